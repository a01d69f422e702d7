//! The forms in which events arrive. Path and content type decide which one it is; what is read is the same for all.
//!
//! | Content type | at `/api/events` | at `/api/events/batch` |
//! |---|---|---|
//! | `application/json` | one event | a batch |
//! | `application/cloudevents+json` | one CloudEvent | 415 |
//! | `application/cloudevents-batch+json` | a batch of CloudEvents | likewise |
//! | any, with the header `ce-specversion` | one CloudEvent, the body is its data | as without it |

use domain::event::json::rule::{Rule, Violation};
use domain::event::{InvalidEvent, NewEvent, cloud_event, require_object};
use domain::problem::{Kind, Problem};
use http::HeaderMap;
use runtime::request::{media_type, require_plain, unsupported};
use serde::Deserialize;
use serde_json::value::RawValue;

const MAX_BATCH_BYTES: usize = 1024 * 1024;
const MAX_BATCH_EVENTS: usize = 500;

/// What a request brings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// One event.
    One(Single),
    /// Several events, each in the same form.
    Batch(Batch),
}

/// How one event is written down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Single {
    Json,
    StructuredCloudEvent,
    BinaryCloudEvent,
}

/// How several events are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Batch {
    Json,
    CloudEvents,
}

impl Form {
    /// The form of a request.
    ///
    /// # Errors
    /// 415 where it is none of them, or encoded.
    pub(crate) fn of(path: &str, headers: &HeaderMap) -> Result<Self, Problem> {
        require_plain(headers)?;
        let is_batch = path == "/api/events/batch";
        match media_type(headers).as_str() {
            "application/cloudevents-batch+json" => Ok(Self::Batch(Batch::CloudEvents)),
            "application/cloudevents+json" if !is_batch => Ok(Self::One(Single::StructuredCloudEvent)),
            other if other.starts_with("application/cloudevents") => Err(unsupported(
                "CloudEvents are read as application/cloudevents+json at /api/events, as application/cloudevents-batch+json, or with ce- headers",
            )),
            _ if !is_batch && headers.contains_key(cloud_event::BINARY_HEADER) => {
                Ok(Self::One(Single::BinaryCloudEvent))
            }
            "application/json" if is_batch => Ok(Self::Batch(Batch::Json)),
            "application/json" => Ok(Self::One(Single::Json)),
            _ => Err(unsupported("send the body with Content-Type: application/json")),
        }
    }
}

impl Single {
    /// Reads the event.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub(crate) fn read(self, headers: &HeaderMap, body: &[u8]) -> Result<NewEvent, InvalidEvent> {
        match self {
            Self::Json => NewEvent::parse(body),
            Self::StructuredCloudEvent => cloud_event::parse_structured(body),
            Self::BinaryCloudEvent => cloud_event::parse_binary(headers, body),
        }
    }
}

impl Batch {
    /// The items, each still to be read.
    ///
    /// # Errors
    /// What keeps the whole from being a batch.
    pub(crate) fn items(self, body: &[u8]) -> Result<Vec<&RawValue>, Problem> {
        if body.len() > MAX_BATCH_BYTES {
            let detail = format!("the batch is {} bytes (maximum is {MAX_BATCH_BYTES})", body.len());
            return Err(Problem::new(Kind::TooLarge, detail));
        }
        let (items, pointer) = match self {
            Self::Json => (serde_json::from_slice(body).map(|Events { events }| events), "/events"),
            Self::CloudEvents => (serde_json::from_slice(body), ""),
        };
        let items: Vec<&RawValue> = items.map_err(|error| not_a_batch(body, &error))?;
        if self == Self::Json {
            require_object(body)?;
        }
        if items.len() > MAX_BATCH_EVENTS {
            let detail = format!("the batch has {} events (maximum is {MAX_BATCH_EVENTS})", items.len());
            return Err(Problem::new(Kind::Invalid, detail).at(pointer));
        }
        Ok(items)
    }

    /// Reads one item.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub(crate) fn read(self, item: &RawValue) -> Result<NewEvent, InvalidEvent> {
        match self {
            Self::Json => NewEvent::parse(item.get().as_bytes()),
            Self::CloudEvents => cloud_event::parse_structured(item.get().as_bytes()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Events<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

/// Why a body is no batch. Its items are checked one by one, so the text as a whole was not.
fn not_a_batch(body: &[u8], error: &serde_json::Error) -> InvalidEvent {
    let rule = if error.to_string().starts_with("duplicate field") {
        Rule::RepeatedKey
    } else if error.is_data() {
        return InvalidEvent::shape(error);
    } else {
        let lines = body.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
        Rule::Syntax(lines.map(<[u8]>::len).sum::<usize>() + error.column())
    };
    InvalidEvent::Json(Violation { rule, pointer: String::new() })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

    use super::*;

    #[test]
    fn path_and_content_type_decide_and_the_mark_of_the_binary_form_where_they_do_not() {
        let form = |path: &str, content_type: &'static str, marked: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            if marked {
                headers.insert(cloud_event::BINARY_HEADER, HeaderValue::from_static("1.0"));
            }
            Form::of(path, &headers).ok()
        };
        let (one, batch) = ("/api/events", "/api/events/batch");
        for (content_type, marked, at_one, at_batch) in [
            ("application/json", false, Some(Form::One(Single::Json)), Some(Form::Batch(Batch::Json))),
            (
                "application/json",
                true,
                Some(Form::One(Single::BinaryCloudEvent)),
                Some(Form::Batch(Batch::Json)),
            ),
            (
                "Application/CloudEvents+JSON; charset=utf-8",
                true,
                Some(Form::One(Single::StructuredCloudEvent)),
                None,
            ),
            (
                "application/cloudevents-batch+json",
                true,
                Some(Form::Batch(Batch::CloudEvents)),
                Some(Form::Batch(Batch::CloudEvents)),
            ),
            ("application/cloudevents+avro", true, None, None),
            ("image/png", true, Some(Form::One(Single::BinaryCloudEvent)), None),
            ("image/png", false, None, None),
        ] {
            assert_eq!(form(one, content_type, marked), at_one, "{content_type} {marked}");
            assert_eq!(form(batch, content_type, marked), at_batch, "{content_type} {marked}");
        }
    }

    #[test]
    fn no_form_is_encoded() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(cloud_event::BINARY_HEADER, HeaderValue::from_static("1.0"));
        assert_eq!(Form::of("/api/events", &headers).unwrap_err().kind, Kind::UnsupportedMediaType);
    }
}

//! The forms in which events arrive. The path, the content type and the header `ce-specversion` select the form.
//!
//! | Content type | at `/api/events` | at `/api/events/batch` |
//! |---|---|---|
//! | `application/json` | one event | a batch |
//! | `application/cloudevents+json` | one CloudEvent | 415 |
//! | `application/cloudevents-batch+json` | a batch of CloudEvents | a batch of CloudEvents |
//! | any other, with the header `ce-specversion` | one CloudEvent whose data is the body | 415 |

use domain::event::json::read::read;
use domain::event::json::rule::Bounds;
use domain::event::{InvalidEvent, MAX_BODY_BYTES, NewEvent, PAYLOAD_BOUNDS, cloud_event, json, object};
use domain::problem::{Kind, Problem};
use http::HeaderMap;
use runtime::request::{media_type, require_plain, unsupported_type};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The largest request body of a batch, in bytes.
const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// The largest number of events in a batch.
const MAX_BATCH_EVENTS: usize = 500;

/// Limits that no valid batch exceeds: around each payload are its event, the array and the object of the batch, and a
/// value has at least one byte.
const BATCH_BOUNDS: Bounds = Bounds { depth: PAYLOAD_BOUNDS.depth + 3, nodes: MAX_BATCH_BYTES };

/// The form of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// One event.
    One(Single),
    /// A batch of events.
    Batch(Batch),
}

/// The form of one event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Single {
    Json,
    StructuredCloudEvent,
    BinaryCloudEvent,
}

/// The form of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Batch {
    Json,
    CloudEvents,
}

impl Form {
    /// Returns the form of a request.
    ///
    /// # Errors
    /// 415 for any other form, or for a content encoding.
    pub(crate) fn of(path: &str, headers: &HeaderMap) -> Result<Self, Problem> {
        require_plain(headers)?;
        let is_batch = path == "/api/events/batch";
        let is_binary = headers.contains_key(cloud_event::BINARY_HEADER);
        match media_type(headers).as_str() {
            "application/cloudevents-batch+json" => Ok(Self::Batch(Batch::CloudEvents)),
            "application/cloudevents+json" if !is_batch => Ok(Self::One(Single::StructuredCloudEvent)),
            other if other.starts_with("application/cloudevents") => Err(unsupported_type(headers, ALLOWED)),
            _ if is_binary && !is_batch => Ok(Self::One(Single::BinaryCloudEvent)),
            "application/json" if is_batch => Ok(Self::Batch(Batch::Json)),
            "application/json" => Ok(Self::One(Single::Json)),
            _ => Err(unsupported_type(headers, ALLOWED)),
        }
    }
}

/// The allowed content types, for error texts.
const ALLOWED: &str = "`application/json`, or a CloudEvent: `application/cloudevents-batch+json` for a batch; \
    `application/cloudevents+json`, or `ce-` headers with any other type, for one event at `/api/events`";

impl Single {
    /// Reads the event.
    ///
    /// # Errors
    /// [`InvalidEvent`] with the first broken rule.
    pub(crate) fn read(self, headers: &HeaderMap, body: &[u8]) -> Result<NewEvent, InvalidEvent> {
        match self {
            Self::Json => NewEvent::parse(body),
            Self::StructuredCloudEvent => cloud_event::parse_structured(body),
            Self::BinaryCloudEvent => cloud_event::parse_binary(headers, body),
        }
    }
}

impl Batch {
    /// Splits the body into its items. They are not checked yet.
    ///
    /// # Errors
    /// 413 for too many bytes, 400 for invalid JSON, 422 for JSON that is not a batch or has too many items.
    pub(crate) fn items(self, body: &[u8]) -> Result<Vec<&RawValue>, Problem> {
        if body.len() > MAX_BATCH_BYTES {
            let found = body.len();
            let detail = format!(
                "the batch is {found} bytes (maximum is {MAX_BATCH_BYTES}, and {MAX_BODY_BYTES} per event); send smaller batches"
            );
            return Err(Problem::new(Kind::TooLarge, detail));
        }
        let (items, pointer) = match self {
            Self::Json => (object(body).map(|Events { events }| events), "/events"),
            Self::CloudEvents => (read(body).map_err(InvalidEvent::from), ""),
        };
        let items = items.map_err(|error| not_a_batch(body, error))?;
        if items.len() > MAX_BATCH_EVENTS {
            let found = items.len();
            let detail =
                format!("the batch has {found} events (maximum is {MAX_BATCH_EVENTS}); send smaller batches");
            return Err(Problem::new(Kind::Invalid, detail).at(pointer));
        }
        Ok(items)
    }

    /// Reads one item.
    ///
    /// # Errors
    /// [`InvalidEvent`] with the first broken rule.
    pub(crate) fn read(self, item: &&RawValue) -> Result<NewEvent, InvalidEvent> {
        match self {
            Self::Json => NewEvent::parse(item.get().as_bytes()),
            Self::CloudEvents => cloud_event::parse_structured(item.get().as_bytes()),
        }
    }
}

/// The body of a batch in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Events<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

/// Returns why a body is not a batch: a rule of JSON that it breaks, or else `error`. The whole text is checked only here,
/// because the items of a batch are checked one by one.
fn not_a_batch(body: &[u8], error: InvalidEvent) -> InvalidEvent {
    json::check(body, BATCH_BOUNDS).err().map_or(error, InvalidEvent::from)
}

#[cfg(test)]
mod tests {
    use domain::problem::Source;
    use http::HeaderValue;
    use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

    use super::*;

    #[test]
    fn path_content_type_and_binary_header_select_the_form() {
        let form = |path: &str, content_type: &'static str, is_binary: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            if is_binary {
                headers.insert(cloud_event::BINARY_HEADER, HeaderValue::from_static("1.0"));
            }
            Form::of(path, &headers).ok()
        };
        for (content_type, is_binary, at_one, at_batch) in [
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
            assert_eq!(form("/api/events", content_type, is_binary), at_one, "{content_type}");
            assert_eq!(form("/api/events/batch", content_type, is_binary), at_batch, "{content_type}");
        }
    }

    #[test]
    fn a_content_encoding_is_refused_in_every_form() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(cloud_event::BINARY_HEADER, HeaderValue::from_static("1.0"));
        assert_eq!(Form::of("/api/events", &headers).unwrap_err().kind, Kind::UnsupportedMediaType);
    }

    fn check(form: Batch, body: &str, kind: Kind, pointer: Option<&str>, words: &str) {
        let problem = form.items(body.as_bytes()).unwrap_err();
        let source = pointer.map(|pointer| Source::Pointer(pointer.to_owned()));
        assert_eq!((problem.kind, problem.source, problem.detail.as_str()), (kind, source, words), "{body}");
    }

    #[test]
    fn a_body_that_is_not_a_batch_is_refused_in_our_own_words() {
        let malformed = |body, pointer, words| check(Batch::Json, body, Kind::Malformed, pointer, words);
        malformed(
            r#"{"events":[1,]}"#,
            Some("/events/1"),
            "`/events/1`: invalid JSON at byte 13; send JSON as in RFC 8259",
        );
        malformed("[[", Some("/0/0"), "`/0/0`: invalid JSON at byte 2; send JSON as in RFC 8259");
        let twice = "`/events`: a member is sent twice in one object; send it once";
        malformed(r#"{"events":[],"events":[]}"#, Some("/events"), twice);

        let invalid = |body, pointer, words| check(Batch::Json, body, Kind::Invalid, pointer, words);
        invalid("[]", None, "the body is an array; send a JSON object");
        invalid("{}", Some("/events"), "`/events` is missing; add it");
        invalid(r#"{"events":7}"#, Some("/events"), "`/events` is a number; send an array");
        let unknown = "`/more` is not a known member; allowed: `events`; remove it or correct its name";
        invalid(r#"{"events":[],"more":1}"#, Some("/more"), unknown);

        let object = "the body is an object; send an array";
        check(Batch::CloudEvents, "{}", Kind::Invalid, None, object);
        let many = format!("[{}1]", "1,".repeat(MAX_BATCH_EVENTS));
        let words = "the batch has 501 events (maximum is 500); send smaller batches";
        check(Batch::CloudEvents, &many, Kind::Invalid, Some(""), words);
    }
}

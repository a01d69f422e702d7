//! The forms in which events arrive. The path, the content type and the header `ce-specversion` select the form.
//!
//! | Content type | at `/api/events` | at `/api/events/batch` |
//! |---|---|---|
//! | `application/json`, another `application/*+json`, none | one event | a batch |
//! | `application/cloudevents+json` | one CloudEvent | 415 |
//! | `application/cloudevents-batch+json` | a batch of CloudEvents | a batch of CloudEvents |
//! | any other, with the header `ce-specversion` | one CloudEvent whose data is the body | 415 |

use std::borrow::Cow;

use domain::event::json::read::read;
use domain::event::json::rule::Bounds;
use domain::event::json::split::split;
use domain::event::json::without_mark;
use domain::event::{InvalidEvent, MAX_BODY_BYTES, NewEvent, PAYLOAD_BOUNDS, cloud_event, json, object};
use domain::problem::{Kind, Problem};
use http::HeaderMap;
use runtime::encoding;
use runtime::request::{is_json, media_type, unsupported_type};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The path of batches.
pub(crate) const BATCH: &str = "/api/events/batch";

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
    /// 415 for any other form.
    pub(crate) fn of(path: &str, headers: &HeaderMap) -> Result<Self, Problem> {
        let is_batch = path == BATCH;
        let is_binary = headers.contains_key(cloud_event::BINARY_HEADER);
        match media_type(headers).as_str() {
            "application/cloudevents-batch+json" => Ok(Self::Batch(Batch::CloudEvents)),
            "application/cloudevents+json" if !is_batch => Ok(Self::One(Single::StructuredCloudEvent)),
            other if other.starts_with("application/cloudevents") => Err(unsupported_type(headers, ALLOWED)),
            _ if is_binary && !is_batch => Ok(Self::One(Single::BinaryCloudEvent)),
            json if is_json(json) && is_batch => Ok(Self::Batch(Batch::Json)),
            json if is_json(json) => Ok(Self::One(Single::Json)),
            _ => Err(unsupported_type(headers, ALLOWED)),
        }
    }

    /// Returns the body without its content encoding and without a byte order mark.
    ///
    /// # Errors
    /// 415 for another content encoding, 400 for a body that is not encoded as it says, 413 for one that decodes to too
    /// many bytes.
    pub(crate) fn decode<'a>(self, headers: &HeaderMap, body: &'a [u8]) -> Result<Cow<'a, [u8]>, Problem> {
        let limit = match self {
            Self::One(_) => MAX_BODY_BYTES,
            Self::Batch(_) => MAX_BATCH_BYTES,
        };
        let decoded = encoding::decode(headers, body, limit)?;
        Ok(match (self, decoded) {
            (Self::One(Single::BinaryCloudEvent), data) => data,
            (_, Cow::Borrowed(text)) => Cow::Borrowed(without_mark(text)),
            (_, Cow::Owned(text)) => Cow::Owned(without_mark(&text).to_vec()),
        })
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
    /// Splits the body into its items. They are not checked yet, and may be no JSON.
    ///
    /// # Errors
    /// 413 for too many bytes, 400 for a text that cannot be split, 422 for JSON that is not a batch or has too many items.
    pub(crate) fn items(self, body: &[u8]) -> Result<Vec<&[u8]>, Problem> {
        if body.len() > MAX_BATCH_BYTES {
            let found = body.len();
            let detail = format!(
                "the batch is {found} bytes (maximum is {MAX_BATCH_BYTES}, and {MAX_BODY_BYTES} per event); send smaller batches"
            );
            return Err(Problem::new(Kind::TooLarge, detail));
        }
        let (items, pointer, member) = match self {
            Self::Json => (object(body).map(|Events { events }| events), "/events", Some("events")),
            Self::CloudEvents => (read(body).map_err(InvalidEvent::from), "", None),
        };
        let items = match items {
            Ok(items) => items.into_iter().map(|item: &RawValue| item.get().as_bytes()).collect(),
            Err(error) => split_invalid(body, member, error)?,
        };
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
    pub(crate) fn read(self, item: &[u8]) -> Result<NewEvent, InvalidEvent> {
        match self {
            Self::Json => NewEvent::parse(item),
            Self::CloudEvents => cloud_event::parse_structured(item),
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

/// Splits a body that was not read as a batch, if only the texts of its items can be wrong.
///
/// # Errors
/// `error` if the body is JSON of another shape; else the first rule of JSON that the body breaks. The whole text is checked
/// only here, because the items of a batch are checked one by one.
fn split_invalid<'a>(
    body: &'a [u8],
    member: Option<&str>,
    error: InvalidEvent,
) -> Result<Vec<&'a [u8]>, InvalidEvent> {
    match json::check(body, BATCH_BOUNDS) {
        Ok(_) => Err(error),
        Err(violation) => split(body, member).ok_or_else(|| violation.into()),
    }
}

#[cfg(test)]
mod tests {
    use domain::problem::Source;
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

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
        let one = |form| Some(Form::One(form));
        let batch = |form| Some(Form::Batch(form));
        let (structured, many) =
            ("Application/CloudEvents+JSON; charset=utf-8", "application/cloudevents-batch+json");
        for (content_type, is_binary, at_one, at_batch) in [
            ("application/json", false, one(Single::Json), batch(Batch::Json)),
            ("application/json", true, one(Single::BinaryCloudEvent), batch(Batch::Json)),
            (structured, true, one(Single::StructuredCloudEvent), None),
            (many, true, batch(Batch::CloudEvents), batch(Batch::CloudEvents)),
            ("application/cloudevents+avro", true, None, None),
            ("", false, one(Single::Json), batch(Batch::Json)),
            ("application/vnd.shop+json", false, one(Single::Json), batch(Batch::Json)),
            ("image/png", true, one(Single::BinaryCloudEvent), None),
            ("image/png", false, None, None),
        ] {
            assert_eq!(form("/api/events", content_type, is_binary), at_one, "{content_type}");
            assert_eq!(form("/api/events/batch", content_type, is_binary), at_batch, "{content_type}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_removed_from_text_and_kept_in_data() {
        let decode = |form: Form| form.decode(&HeaderMap::new(), b"\xef\xbb\xbf1").unwrap().into_owned();
        assert_eq!(decode(Form::One(Single::Json)), b"1");
        assert_eq!(decode(Form::Batch(Batch::CloudEvents)), b"1");
        assert_eq!(decode(Form::One(Single::BinaryCloudEvent)), b"\xef\xbb\xbf1");
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

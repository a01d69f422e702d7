//! An event: what a client sends, what is accepted, and the rules between the two.

pub mod claim;
pub mod claim_name;
pub mod cloud_event;
pub mod event_type;
pub mod fingerprint;
pub mod id;
pub mod json;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use thiserror::Error;

use self::claim_name::{ClaimName, DedupId};
use self::event_type::{EventType, InvalidEventType};
use self::id::EventId;
use self::json::read::read;
use self::json::rule::{Bounds, Rule, Violation};
use self::json::shape::InvalidShape;
use crate::problem::{Kind, Problem, Source};
use crate::tenant::id::TenantId;
use crate::tenant::tier::Tier;
use crate::trace::Trace;

/// The largest payload, in bytes; of a CloudEvent, the largest data.
pub const MAX_PAYLOAD_BYTES: usize = 256 * 1024;

/// The largest request body of one event, and the largest CloudEvent, in bytes: a payload and 64 KiB around it. It keeps an
/// event below the `DynamoDB` item limit of 400 KB.
pub const MAX_BODY_BYTES: usize = MAX_PAYLOAD_BYTES + 64 * 1024;

/// The limits of a payload.
pub const PAYLOAD_BOUNDS: Bounds = Bounds { depth: 32, nodes: 10_000 };

/// The limits of a body: the payload, the object around it, and two other members.
const BODY_BOUNDS: Bounds = Bounds { depth: PAYLOAD_BOUNDS.depth + 1, nodes: PAYLOAD_BOUNDS.nodes + 3 };

/// A valid request for an event, before it has an id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewEvent {
    /// The type of the event.
    pub event_type: EventType,
    /// The JSON value exactly as the client sent it, byte for byte.
    pub payload: String,
    /// The client's own name for the event, if the client sent one.
    pub name: Option<ClaimName>,
}

/// An accepted event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// The id of the event in the 202, the webhook, the inbox and the acknowledgement.
    pub id: EventId,
    /// The tenant that owns the event.
    pub tenant: TenantId,
    /// The tenant's tier when the event was accepted. It decides how long the event is kept.
    pub tier: Tier,
    /// The type of the event.
    pub event_type: EventType,
    /// The JSON value exactly as the client sent it.
    pub payload: String,
    /// The `dedup_id` of the request, if there was one.
    pub dedup_id: Option<DedupId>,
    /// The trace of the request, if it had one. It is not stored with the event.
    pub trace: Option<Trace>,
}

/// The reason why a request is not a valid event.
#[derive(Debug, Error, PartialEq)]
pub enum InvalidEvent {
    /// The body is not JSON, is ambiguous JSON, or exceeds a limit.
    #[error("{0}")]
    Json(#[from] Violation),
    /// The body is JSON of another shape.
    #[error("{0}")]
    Shape(#[from] InvalidShape),
    /// A required member is missing.
    #[error("`/{0}` is missing; add it")]
    Missing(&'static str),
    /// The type is not valid.
    #[error("`type` {0}")]
    Type(#[from] InvalidEventType),
    /// The `dedup_id` is not valid.
    #[error("`/dedup_id` must have 1 to 255 printable ASCII characters; correct it or leave it out")]
    DedupId,
    /// An attribute of a CloudEvent is not valid.
    #[error("`{name}` {rule}")]
    Attribute {
        /// The JSON pointer of the attribute, or the name of its header.
        name: String,
        /// The JSON pointer of the attribute, if it is a member of the body.
        pointer: Option<String>,
        /// The rule that the attribute breaks.
        rule: &'static str,
    },
    /// The event has too many bytes.
    #[error(
        "the {what} is {actual} bytes (maximum is {max}); send a smaller payload, or a reference to the data"
    )]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The number of bytes.
        actual: usize,
        /// The allowed number of bytes.
        max: usize,
    },
}

impl InvalidEvent {
    /// Makes the error for a member of a CloudEvent that breaks this rule.
    pub(crate) fn attribute(name: &str, rule: &'static str) -> Self {
        let pointer = json::pointer::pointer_to(name);
        Self::Attribute { name: json::pointer::shortened(&format!("/{name}")), pointer: Some(pointer), rule }
    }

    /// Makes the error for a header of a CloudEvent that breaks this rule.
    pub(crate) fn header(name: &str, rule: &'static str) -> Self {
        Self::Attribute { name: json::pointer::shortened(name), pointer: None, rule }
    }

    /// Returns the JSON pointer (RFC 6901) of the member that is wrong, if it is known.
    #[must_use]
    pub fn pointer(&self) -> Option<String> {
        match self {
            Self::Json(violation) => Some(violation.pointer.clone()).filter(|pointer| !pointer.is_empty()),
            Self::Shape(invalid) => Some(invalid.pointer()).filter(|pointer| !pointer.is_empty()),
            Self::Missing(member) => Some(format!("/{member}")),
            Self::Type(_) => Some("/type".to_owned()),
            Self::DedupId => Some("/dedup_id".to_owned()),
            Self::Attribute { pointer, .. } => pointer.clone(),
            Self::TooLarge { .. } => None,
        }
    }
}

impl From<InvalidEvent> for Problem {
    fn from(error: InvalidEvent) -> Self {
        let kind = match &error {
            InvalidEvent::Json(violation) => kind_of(violation.rule),
            InvalidEvent::TooLarge { .. } => Kind::TooLarge,
            InvalidEvent::Shape(_)
            | InvalidEvent::Missing(_)
            | InvalidEvent::Type(_)
            | InvalidEvent::Attribute { .. }
            | InvalidEvent::DedupId => Kind::Invalid,
        };
        Self { source: error.pointer().map(Source::Pointer), ..Self::new(kind, error.to_string()) }
    }
}

/// Returns 400 for a text that is not strict JSON, and 422 for one that exceeds a limit.
fn kind_of(rule: Rule) -> Kind {
    match rule {
        Rule::Syntax(_) | Rule::Utf8(_) | Rule::RepeatedKey | Rule::UnpairedSurrogate => Kind::Malformed,
        Rule::Depth(_) | Rule::Nodes(_) | Rule::Number => Kind::Invalid,
    }
}

impl From<InvalidEventType> for Problem {
    fn from(error: InvalidEventType) -> Self {
        InvalidEvent::from(error).into()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    #[serde(borrow, rename = "type")]
    event_type: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    dedup_id: Option<&'a RawValue>,
}

/// Reads a member that is present. `null` counts as present, because any JSON value can be a payload.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl NewEvent {
    /// Reads `{type, payload, dedup_id?}`.
    ///
    /// # Errors
    /// [`InvalidEvent`] with the first broken rule.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidEvent> {
        within("event", body.len(), MAX_BODY_BYTES)?;
        // 1. Check the text. Only a payload can break a limit of the body, so the error names the payload's limit.
        let nodes = json::check(body, BODY_BOUNDS).map_err(with_payload_bounds)?;
        let body: Body<'_> = object(body)?;

        // 2. Check the payload's own number of values: all values without those around it.
        let around = 1 + usize::from(body.event_type.is_some()) + usize::from(body.dedup_id.is_some());
        if nodes - around > PAYLOAD_BOUNDS.nodes {
            let rule = Rule::Nodes(PAYLOAD_BOUNDS.nodes);
            return Err(Violation { rule, pointer: "/payload".to_owned() }.into());
        }

        // 3. Read each member.
        let event_type = body.event_type.ok_or(InvalidEvent::Missing("type"))?;
        let payload = body.payload.ok_or(InvalidEvent::Missing("payload"))?;
        within("payload", payload.get().len(), MAX_PAYLOAD_BYTES)?;
        Ok(Self {
            event_type: EventType::parse(text("type", event_type)?)?,
            payload: payload.get().to_owned(),
            name: dedup_id(body.dedup_id)?.map(ClaimName::Dedup),
        })
    }

    /// Returns the accepted event with this id.
    #[must_use]
    pub fn into_event(self, id: EventId, tenant: TenantId, tier: Tier) -> Event {
        let Self { event_type, payload, name } = self;
        let dedup_id = match name {
            Some(ClaimName::Dedup(id)) => Some(id),
            _ => None,
        };
        Event { id, tenant, tier, event_type, payload, dedup_id, trace: None }
    }
}

/// Checks a number of bytes.
fn within(what: &'static str, actual: usize, max: usize) -> Result<(), InvalidEvent> {
    if actual > max { Err(InvalidEvent::TooLarge { what, actual, max }) } else { Ok(()) }
}

/// Replaces the limits of a body by those of its payload.
fn with_payload_bounds(violation: Violation) -> Violation {
    let rule = match violation.rule {
        Rule::Depth(_) => Rule::Depth(PAYLOAD_BOUNDS.depth),
        Rule::Nodes(_) => Rule::Nodes(PAYLOAD_BOUNDS.nodes),
        other => other,
    };
    Violation { rule, ..violation }
}

/// Reads the member `dedup_id`. `null` counts as absent.
fn dedup_id(raw: Option<&RawValue>) -> Result<Option<DedupId>, InvalidEvent> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Ok(None) };
    let text = text("dedup_id", raw)?;
    DedupId::parse(text).map(Some).ok_or(InvalidEvent::DedupId)
}

/// Reads a member that must be a string.
fn text(member: &str, raw: &RawValue) -> Result<String, InvalidShape> {
    read(raw.get().as_bytes()).map_err(|invalid| invalid.within(member))
}

/// Reads a JSON object from a text that [`json::check`] accepted.
///
/// # Errors
/// [`InvalidEvent::Shape`] for another shape.
pub fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, InvalidEvent> {
    require_object(body)?;
    Ok(read(body)?)
}

/// Checks that a JSON text is an object. Serde also accepts an array of the members' values, so a type alone does not
/// check that.
///
/// # Errors
/// [`InvalidEvent::Shape`] for any other text.
pub fn require_object(body: &[u8]) -> Result<(), InvalidEvent> {
    let found = match body.trim_ascii_start().first() {
        Some(b'{') => return Ok(()),
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    };
    Err(InvalidShape::wrong_kind(found, "a JSON object").into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_payload_is_kept_byte_for_byte() {
        let body = br#"{"payload": {"b":1.50, "a":"\u00e9", "a2": 12345678901234567890123} ,"type":"x"}"#;
        let event = NewEvent::parse(body).unwrap();
        assert_eq!(event.payload, r#"{"b":1.50, "a":"\u00e9", "a2": 12345678901234567890123}"#);
    }

    #[test]
    fn any_json_value_can_be_a_payload() {
        for payload in ["null", "false", "0", "\"\"", "[]", "{}"] {
            let body = format!(r#"{{"type":"a","payload":{payload}}}"#);
            assert_eq!(NewEvent::parse(body.as_bytes()).unwrap().payload, payload);
        }
    }

    #[test]
    fn each_broken_rule_has_its_own_error() {
        let check = |body: &str, error: &InvalidEvent| {
            assert_eq!(NewEvent::parse(body.as_bytes()).as_ref(), Err(error), "{body}");
        };
        check(r#"{"payload":1}"#, &InvalidEvent::Missing("type"));
        check(r#"{"type":"a"}"#, &InvalidEvent::Missing("payload"));
        check(r#"{"type":"a\n","payload":1}"#, &InvalidEventType.into());
        check(r#"{"type":"","payload":1}"#, &InvalidEventType.into());
        check(r#"{"type":"a","payload":1,"dedup_id":""}"#, &InvalidEvent::DedupId);
        check(r#"{"type":"a","payload":1,"dedup_id":"é"}"#, &InvalidEvent::DedupId);
        for body in ["", "{", "nope", r#"{"type":"a","payload":1} x"#] {
            assert!(matches!(NewEvent::parse(body.as_bytes()), Err(InvalidEvent::Json(_))), "{body}");
        }
        for (body, pointer, words) in [
            ("[]", None, "the body is an array; send a JSON object"),
            (r#"["a",1,"x"]"#, None, "the body is an array; send a JSON object"),
            ("7", None, "the body is a number; send a JSON object"),
            (r#"{"type":7,"payload":1}"#, Some("/type"), "`/type` is a number; send a string"),
            (r#"{"type":null,"payload":1}"#, Some("/type"), "`/type` is missing; add it"),
            (
                r#"{"type":"a","payload":1,"dedup_id":[]}"#,
                Some("/dedup_id"),
                "`/dedup_id` is an array; send a string",
            ),
            (
                r#"{"type":"a","payload":1,"extra":2}"#,
                Some("/extra"),
                "`/extra` is not a known member; allowed: `type`, `payload`, `dedup_id`; remove it or correct its name",
            ),
        ] {
            let error = NewEvent::parse(body.as_bytes()).unwrap_err();
            assert_eq!((error.pointer().as_deref(), error.to_string().as_str()), (pointer, words), "{body}");
            assert_eq!(Problem::from(error).kind, Kind::Invalid, "{body}");
        }
    }

    #[test]
    fn the_bounds_of_a_payload_are_exact() {
        let rule = |payload: &str, dedup_id: &str| {
            let body = format!(r#"{{"type":"a",{dedup_id}"payload":{payload}}}"#);
            match NewEvent::parse(body.as_bytes()) {
                Err(InvalidEvent::Json(violation)) => Some(violation.rule),
                other => other.map(|_| None).unwrap(),
            }
        };
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let many = |count: usize| format!("[{}1]", "1,".repeat(count - 2));
        for dedup_id in ["", r#""dedup_id":"x","#, r#""dedup_id":null,"#] {
            assert_eq!(rule(&nested(32), dedup_id), None);
            assert_eq!(rule(&nested(33), dedup_id), Some(Rule::Depth(32)));
            assert_eq!(rule(&many(10_000), dedup_id), None);
            assert_eq!(rule(&many(10_001), dedup_id), Some(Rule::Nodes(10_000)));
        }
    }

    #[test]
    fn the_size_limit_is_exact() {
        let parse = |payload: usize, around: usize| {
            let text = "x".repeat(payload - 2);
            let body = format!("{{\"type\":\"a\",\"payload\":\"{text}\"{}}}", " ".repeat(around - 23));
            assert_eq!(body.len(), payload + around);
            NewEvent::parse(body.as_bytes()).map(|event| event.payload.len())
        };
        let (max, around) = (MAX_PAYLOAD_BYTES, MAX_BODY_BYTES - MAX_PAYLOAD_BYTES);
        assert_eq!(parse(max, around), Ok(max));
        let payload = InvalidEvent::TooLarge { what: "payload", actual: max + 1, max };
        assert_eq!(parse(max + 1, 23), Err(payload));
        let event = InvalidEvent::TooLarge { what: "event", actual: MAX_BODY_BYTES + 1, max: MAX_BODY_BYTES };
        assert_eq!(parse(max, around + 1), Err(event));
    }

    proptest! {
        #[test]
        fn no_input_makes_the_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = NewEvent::parse(&body);
        }
    }
}

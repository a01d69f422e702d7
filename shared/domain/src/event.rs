//! What arrives: an event, its identity, and the rules a request must keep.

pub mod id;

pub mod event_type;

pub mod claim;

pub mod json;

pub mod cloud_event;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use thiserror::Error;

use self::claim::{ClaimName, DedupId};
use self::event_type::{EventType, InvalidEventType};
use self::id::EventId;
use self::json::{Bounds, Rule, Violation};
use crate::problem::{Kind, Problem};
use crate::tenant::id::TenantId;
use crate::tenant::tier::Tier;

/// The largest request body, in bytes as sent. The item limit of `DynamoDB`, 400 KB, is the real bound.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// More of a client's own words no error repeats.
const MAX_QUOTED_CHARS: usize = 120;

/// What a payload may hold.
pub const PAYLOAD_BOUNDS: Bounds = Bounds { depth: 32, nodes: 10_000 };

/// What a body may hold: the payload, the object around it, and two other members.
const BODY_BOUNDS: Bounds = Bounds { depth: PAYLOAD_BOUNDS.depth + 1, nodes: PAYLOAD_BOUNDS.nodes + 3 };

/// A request for an event, every rule of its form checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewEvent {
    /// What kind.
    pub event_type: EventType,
    /// The JSON value exactly as it was sent, byte for byte.
    pub payload: String,
    /// The client's own name for the event, if it gave one.
    pub name: Option<ClaimName>,
}

/// An accepted event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Its identity everywhere: in the 202, the webhook, the inbox and the acknowledgement.
    pub id: EventId,
    /// Whose event it is.
    pub tenant: TenantId,
    /// The tenant's tier when it was accepted; it decides how long the event is kept.
    pub tier: Tier,
    /// What kind.
    pub event_type: EventType,
    /// The JSON value exactly as it was sent.
    pub payload: String,
    /// What the client gave as `dedup_id`.
    pub dedup_id: Option<DedupId>,
}

/// Why a request is no event.
#[derive(Debug, Error, PartialEq)]
pub enum InvalidEvent {
    /// No JSON, or JSON that readers understand differently, or too much of it.
    #[error("{0}")]
    Json(#[from] Violation),
    /// JSON of another shape.
    #[error("{0}")]
    Shape(String),
    /// A member that must be there is not.
    #[error("the member \"{0}\" is required")]
    Missing(&'static str),
    /// The type breaks its rule.
    #[error("\"type\" {0}")]
    Type(#[from] InvalidEventType),
    /// The dedup id breaks its rule.
    #[error("\"dedup_id\" must be 1 to 255 printable ASCII characters")]
    DedupId,
    /// An attribute of a CloudEvent breaks its rule.
    #[error("{name} {rule}")]
    Attribute {
        /// Its name, or that of its header.
        name: String,
        /// Where it is, if it is a member of the body.
        pointer: Option<String>,
        /// What it must be.
        rule: &'static str,
    },
    /// Too many bytes.
    #[error("the event is {actual} bytes (maximum is {MAX_BODY_BYTES})")]
    TooLarge {
        /// How many there were.
        actual: usize,
    },
}

impl InvalidEvent {
    /// JSON of another shape. What the client wrote is told in part only: an answer must stay small.
    #[must_use]
    pub fn shape(error: &serde_json::Error) -> Self {
        Self::Shape(beginning(&error.to_string(), MAX_QUOTED_CHARS))
    }

    /// A member of a CloudEvent that breaks this rule.
    pub(crate) fn attribute(name: &str, rule: &'static str) -> Self {
        let pointer = Some(json::pointer_to(name));
        Self::Attribute { name: format!("{:?}", beginning(name, MAX_QUOTED_CHARS)), pointer, rule }
    }

    /// A header that breaks this rule.
    pub(crate) fn header(name: &str, rule: &'static str) -> Self {
        Self::Attribute { name: format!("the header {name}"), pointer: None, rule }
    }

    /// The JSON pointer (RFC 6901) of the member at fault, where there is one.
    #[must_use]
    pub fn pointer(&self) -> Option<String> {
        match self {
            Self::Missing(member) => Some(format!("/{member}")),
            Self::Type(_) => Some("/type".to_owned()),
            Self::DedupId => Some("/dedup_id".to_owned()),
            Self::Attribute { pointer, .. } => pointer.clone(),
            Self::Json(violation) if !violation.pointer.is_empty() => Some(violation.pointer.clone()),
            Self::Json(_) | Self::Shape(_) | Self::TooLarge { .. } => None,
        }
    }
}

impl From<InvalidEvent> for Problem {
    fn from(error: InvalidEvent) -> Self {
        let kind = match error {
            InvalidEvent::Json(Violation { rule: Rule::Depth | Rule::Nodes | Rule::Number, .. }) => {
                Kind::Invalid
            }
            InvalidEvent::Json(_) => Kind::Malformed,
            InvalidEvent::TooLarge { .. } => Kind::TooLarge,
            InvalidEvent::Shape(_)
            | InvalidEvent::Missing(_)
            | InvalidEvent::Type(_)
            | InvalidEvent::Attribute { .. }
            | InvalidEvent::DedupId => Kind::Invalid,
        };
        Self { pointer: error.pointer(), ..Self::new(kind, error.to_string()) }
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

/// A member that is there, even where it says `null`: any JSON value can be a payload, and every one is counted.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl NewEvent {
    /// Reads `{type, payload, dedup_id?}`.
    ///
    /// # Errors
    /// The first rule of [`InvalidEvent`] that is broken.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidEvent> {
        if body.len() > MAX_BODY_BYTES {
            return Err(InvalidEvent::TooLarge { actual: body.len() });
        }
        let nodes = json::check(body, BODY_BOUNDS)?;
        let body: Body<'_> = object(body)?;
        let around = 1 + usize::from(body.event_type.is_some()) + usize::from(body.dedup_id.is_some());
        if nodes - around > PAYLOAD_BOUNDS.nodes {
            return Err(Violation { rule: Rule::Nodes, pointer: "/payload".to_owned() }.into());
        }
        let event_type = body.event_type.ok_or(InvalidEvent::Missing("type"))?;
        let payload = body.payload.ok_or(InvalidEvent::Missing("payload"))?;
        let dedup_id = |raw| text(raw).and_then(DedupId::parse).ok_or(InvalidEvent::DedupId);
        Ok(Self {
            event_type: EventType::parse(text(event_type).ok_or(InvalidEventType)?)?,
            payload: payload.get().to_owned(),
            name: body
                .dedup_id
                .filter(|raw| raw.get() != "null")
                .map(dedup_id)
                .transpose()?
                .map(ClaimName::Dedup),
        })
    }

    /// The accepted event under this identity.
    #[must_use]
    pub fn into_event(self, id: EventId, tenant: TenantId, tier: Tier) -> Event {
        let Self { event_type, payload, name } = self;
        let dedup_id = match name {
            Some(ClaimName::Dedup(id)) => Some(id),
            _ => None,
        };
        Event { id, tenant, tier, event_type, payload, dedup_id }
    }
}

/// Reads a JSON object, from a text that [`json::check`] has passed.
///
/// # Errors
/// [`InvalidEvent::Shape`] for another shape.
pub fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, InvalidEvent> {
    require_object(body)?;
    of_shape(body)
}

/// Asks of JSON that it is an object: Serde would take an array of the members' values as well.
///
/// # Errors
/// [`InvalidEvent::Shape`] for anything else.
pub fn require_object(body: &[u8]) -> Result<(), InvalidEvent> {
    let is_object = body.trim_ascii_start().starts_with(b"{");
    if is_object { Ok(()) } else { Err(InvalidEvent::Shape("a JSON object is expected".to_owned())) }
}

/// Reads JSON of a given shape, from a text that [`json::check`] has passed.
///
/// # Errors
/// [`InvalidEvent::Shape`] for another shape.
pub fn of_shape<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, InvalidEvent> {
    serde_json::from_slice(body).map_err(|error| InvalidEvent::shape(&error))
}

/// As much of a text as an error tells.
fn beginning(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_payload_comes_out_byte_for_byte() {
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
    fn each_broken_rule_is_told_as_itself() {
        let check = |body: &str, error: &InvalidEvent| {
            assert_eq!(NewEvent::parse(body.as_bytes()).as_ref(), Err(error), "{body}");
        };
        check(r#"{"payload":1}"#, &InvalidEvent::Missing("type"));
        check(r#"{"type":"a"}"#, &InvalidEvent::Missing("payload"));
        check(r#"{"type":"a b","payload":1}"#, &InvalidEventType.into());
        check(r#"{"type":"","payload":1}"#, &InvalidEventType.into());
        check(r#"{"type":7,"payload":1}"#, &InvalidEventType.into());
        check(r#"{"type":"a","payload":1,"dedup_id":""}"#, &InvalidEvent::DedupId);
        check(r#"{"type":"a","payload":1,"dedup_id":"é"}"#, &InvalidEvent::DedupId);
        check(r#"{"type":"a","payload":1,"dedup_id":7}"#, &InvalidEvent::DedupId);
        for body in ["", "{", "nope", r#"{"type":"a","payload":1} x"#] {
            assert!(matches!(NewEvent::parse(body.as_bytes()), Err(InvalidEvent::Json(_))), "{body}");
        }
        for body in ["[]", r#"["a",1,"x"]"#, "7", r#"{"type":"a","payload":1,"extra":2}"#] {
            assert!(matches!(NewEvent::parse(body.as_bytes()), Err(InvalidEvent::Shape(_))), "{body}");
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
            assert_eq!(rule(&nested(33), dedup_id), Some(Rule::Depth));
            assert_eq!(rule(&many(10_000), dedup_id), None);
            assert_eq!(rule(&many(10_001), dedup_id), Some(Rule::Nodes));
        }
    }

    #[test]
    fn the_size_limit_is_exact() {
        let body = |length: usize| format!("{{\"type\":\"a\",\"payload\":\"{}\"}}", "x".repeat(length - 25));
        assert_eq!(body(MAX_BODY_BYTES).len(), MAX_BODY_BYTES);
        assert!(NewEvent::parse(body(MAX_BODY_BYTES).as_bytes()).is_ok());
        let over = NewEvent::parse(body(MAX_BODY_BYTES + 1).as_bytes());
        assert_eq!(over, Err(InvalidEvent::TooLarge { actual: MAX_BODY_BYTES + 1 }));
    }

    proptest! {
        #[test]
        fn no_input_makes_the_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = NewEvent::parse(&body);
        }
    }
}

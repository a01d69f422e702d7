//! Where a duplicate is decided: a client's own name for an event, or for a request, is claimed once for 24 hours.

use std::time::Duration;

use ring::digest::{Context, SHA256};

use crate::event::event_type::EventType;
use crate::event::id::EventId;
use crate::timestamp::Timestamp;

/// How long a claim holds, judged by its timestamp; the table's own deletion comes later.
pub const CLAIM_LIFETIME: Duration = Duration::from_hours(24);

/// A client's own name for an event or a request: 1 to 255 printable ASCII characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DedupId(String);

impl DedupId {
    /// Accepts a name of the allowed characters and length.
    #[must_use]
    pub fn parse(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let printable = text.bytes().all(|c| matches!(c, b' '..=b'~'));
        ((1..=255).contains(&text.len()) && printable).then_some(Self(text))
    }

    /// The name that our own code wrote into a table or a queue.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Under which name a claim is made. The two kinds never meet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClaimName {
    /// `dedup_id`: names the event; a repeat answers 409.
    Dedup(DedupId),
    /// A CloudEvent's `source` and `id`, which together name an event; a repeat answers 409.
    CloudEvent {
        /// The context in which the event happened.
        source: String,
        /// The event's name within it.
        id: String,
    },
    /// The header `Idempotency-Key`: names the request; a repeat is answered as the first one.
    Idempotency(DedupId),
    /// The header `Idempotency-Key` on a batch: names the item at this place of it.
    IdempotencyItem(DedupId, usize),
}

impl ClaimName {
    /// The kind's name in the table's keys.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Dedup(_) => "dedup",
            Self::CloudEvent { .. } => "ce",
            Self::Idempotency(_) => "idem",
            Self::IdempotencyItem(..) => "idem-item",
        }
    }

    /// Whether it names the event itself, and not the request that brings it.
    #[must_use]
    pub const fn is_of_event(&self) -> bool {
        matches!(self, Self::Dedup(_) | Self::CloudEvent { .. })
    }

    /// SHA-256 of the name, so that any name makes a short key.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        match self {
            Self::Dedup(name) | Self::Idempotency(name) => sha256(&[name.0.as_bytes()]),
            Self::CloudEvent { source, id } => {
                sha256(&[&source.len().to_be_bytes(), source.as_bytes(), id.as_bytes()])
            }
            Self::IdempotencyItem(name, index) => sha256(&[&index.to_be_bytes(), name.0.as_bytes()]),
        }
    }
}

/// SHA-256 over what was asked: tells whether a repeat is a repeat or something else under a used name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of an event's content.
    #[must_use]
    pub fn of(event_type: &EventType, payload: &str) -> Self {
        let event_type = event_type.as_str().as_bytes();
        Self(sha256(&[event_type, b"\0", payload.as_bytes()])) // no type contains a NUL
    }

    /// The fingerprint of a request that brings no event.
    #[must_use]
    pub fn of_request(request: &str) -> Self {
        Self(sha256(&[request.as_bytes()]))
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// What a claim says, of an event or of what else a request made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Claim<I = EventId> {
    /// What the name stands for.
    pub id: I,
    /// What was asked.
    pub fingerprint: Fingerprint,
    /// When the name is free again.
    pub expires_at: Timestamp,
}

impl<I> Claim<I> {
    /// The claim for what was accepted at `now`.
    #[must_use]
    pub fn new(id: I, fingerprint: Fingerprint, now: Timestamp) -> Self {
        Self { id, fingerprint, expires_at: now.after(CLAIM_LIFETIME) }
    }

    /// Whether the name is not free again yet.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.seconds() >= now.seconds()
    }
}

/// How a claim ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Claimed<I = EventId> {
    /// The name was free: it stands for ours now.
    First,
    /// The name stands for this, and the same was asked. An event must be **sent again** under this id: a claim never proves
    /// that its message was sent.
    Repeat(I),
    /// The name stands for something else.
    Mismatch,
}

impl<I: Clone + PartialEq> Claimed<I> {
    /// What it means that `held` was found where `ours` was to be written.
    #[must_use]
    pub fn decide(held: &Claim<I>, ours: &Claim<I>) -> Self {
        if held.id == ours.id {
            Self::First // our own write, repeated by the SDK after its answer was lost
        } else if held.fingerprint == ours.fingerprint {
            Self::Repeat(held.id.clone())
        } else {
            Self::Mismatch
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(payload: &str) -> Claim {
        let now = Timestamp::from_millis(1);
        let id = EventId::generate(now, 1, &mut rand::rng());
        Claim::new(id, Fingerprint::of(&EventType::parse("a").unwrap(), payload), now)
    }

    #[test]
    fn our_own_write_found_again_is_ours() {
        let ours = claim("1");
        assert_eq!(Claimed::decide(&ours, &ours), Claimed::First);
    }

    #[test]
    fn the_same_content_is_a_repeat_and_carries_the_first_id() {
        let held = claim("1");
        assert_eq!(Claimed::decide(&held, &claim("1")), Claimed::Repeat(held.id));
        assert_eq!(Claimed::decide(&held, &claim("2")), Claimed::Mismatch);
    }

    #[test]
    fn the_fingerprint_keeps_type_and_payload_apart() {
        let of = |event_type: &str, payload| Fingerprint::of(&EventType::parse(event_type).unwrap(), payload);
        assert_ne!(of("ab", "1"), of("a", "b1"));
    }

    #[test]
    fn names_of_different_kinds_or_places_never_meet() {
        let name = || DedupId::parse("x").unwrap();
        let cloud_event =
            |source: &str, id: &str| ClaimName::CloudEvent { source: source.into(), id: id.into() };
        let names = [
            ClaimName::Dedup(name()),
            ClaimName::Idempotency(name()),
            ClaimName::IdempotencyItem(name(), 0),
            cloud_event("x", ""),
        ];
        let kinds: std::collections::HashSet<_> = names.iter().map(ClaimName::kind).collect();
        assert_eq!(kinds.len(), names.len());
        assert_ne!(names[2].digest(), ClaimName::IdempotencyItem(name(), 1).digest());
        assert_ne!(cloud_event("ab", "c").digest(), cloud_event("a", "bc").digest());
    }

    #[test]
    fn a_name_is_1_to_255_printable_characters() {
        for good in ["a", "order 7/é".trim_end_matches('é'), &"x".repeat(255)] {
            assert!(DedupId::parse(good).is_some(), "{good}");
        }
        for bad in ["", "é", "a\n", &"x".repeat(256)] {
            assert!(DedupId::parse(bad).is_none(), "{bad}");
        }
    }
}

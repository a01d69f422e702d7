//! Deduplication: a client names an event or a request, and the first request with a name claims it for 24 hours.

use std::time::Duration;

use crate::event::fingerprint::Fingerprint;
use crate::event::id::EventId;
use crate::timestamp::Timestamp;

/// How long a claim lasts. The timestamp of the claim decides; `DynamoDB` deletes the item later.
pub const CLAIM_LIFETIME: Duration = Duration::from_hours(24);

/// A claim, as it is stored. `I` is the id of what the request created: an event by default.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Claim<I = EventId> {
    /// The id of what the first request created.
    pub id: I,
    /// The fingerprint of the first request.
    pub fingerprint: Fingerprint,
    /// When the name is free again.
    pub expires_at: Timestamp,
    /// Whether the client has seen nothing but a 503 for this name.
    pub is_unconfirmed: bool,
}

impl<I> Claim<I> {
    /// Makes the claim of a request that was accepted at `now`.
    #[must_use]
    pub fn new(id: I, fingerprint: Fingerprint, now: Timestamp) -> Self {
        Self { id, fingerprint, expires_at: now.after(CLAIM_LIFETIME), is_unconfirmed: false }
    }

    /// Returns whether the claim still lasts at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.seconds() >= now.seconds()
    }
}

/// The result of a claim.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Claimed<I = EventId> {
    /// The name was free, and is now claimed for this request.
    First,
    /// An earlier request with the same content holds this claim. An event must be **sent again** under its id, because
    /// a claim does not prove that its message was sent.
    Repeat(Claim<I>),
    /// An earlier request with other content claimed the name for this id.
    Mismatch(I),
}

impl<I: Clone + PartialEq> Claimed<I> {
    /// Decides the result when `held` is stored where `ours` was to be written.
    #[must_use]
    pub fn decide(held: &Claim<I>, ours: &Claim<I>) -> Self {
        if held.id == ours.id {
            Self::First // our own write: the SDK repeated it after a lost answer
        } else if ours.fingerprint.repeats(&held.fingerprint) {
            Self::Repeat(held.clone())
        } else {
            Self::Mismatch(held.id.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(payload: &str) -> Claim {
        let now = Timestamp::from_millis(1);
        let id = EventId::generate(now, 1, &mut rand::rng());
        Claim::new(id, Fingerprint::of_request(payload), now)
    }

    #[test]
    fn a_claim_with_our_own_id_is_ours() {
        let ours = claim("1");
        assert_eq!(Claimed::decide(&ours, &ours), Claimed::First);
    }

    #[test]
    fn the_same_content_is_a_repeat_and_has_the_first_claim() {
        let held = claim("1");
        assert_eq!(Claimed::decide(&held, &claim("1")), Claimed::Repeat(held));
        assert_eq!(Claimed::decide(&held, &claim("2")), Claimed::Mismatch(held.id));
    }
}

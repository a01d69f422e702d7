//! An event that is claimed and may be sent to the queue.

use domain::event::Event;
use domain::event::claim::Claim;
use domain::event::claim_name::ClaimName;

/// An event with the id that its claims give it.
pub(crate) struct ClaimedEvent {
    pub(crate) event: Event,
    pub(crate) duplicate: Duplicate,
    /// The claims of its names: the `Idempotency-Key` first, then its own name.
    pub(crate) claims: Vec<HeldClaim>,
}

/// A claim that holds a name.
pub(crate) struct HeldClaim {
    pub(crate) name: ClaimName,
    pub(crate) claim: Claim,
    /// Whether this request claimed the name.
    pub(crate) is_new: bool,
}

/// Whether the event repeats an earlier one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Duplicate {
    /// The event is new, or no client has seen a 202 for it.
    No,
    /// An earlier event had the same `dedup_id`. The answer is a 409.
    OfEvent,
    /// An earlier event had the same `source` and `id`. The answer is a 202, because a 409 makes CloudEvents senders retry.
    OfCloudEvent,
    /// An earlier request had the same `Idempotency-Key`. The answer is the first answer again.
    OfRequest,
}

impl Duplicate {
    /// Returns what a repeat of this name is.
    pub(crate) fn of(name: &ClaimName) -> Self {
        match name {
            ClaimName::Dedup(_) => Self::OfEvent,
            ClaimName::CloudEvent { .. } => Self::OfCloudEvent,
            ClaimName::Idempotency(_) | ClaimName::IdempotencyItem { .. } => Self::OfRequest,
        }
    }

    /// Returns whether the event itself is known already, so that this request added nothing.
    pub(crate) fn is_of_event(self) -> bool {
        matches!(self, Self::OfEvent | Self::OfCloudEvent)
    }
}

impl ClaimedEvent {
    /// Returns the event as a duplicate of an item of the same batch, which has the same name.
    pub(crate) fn into_repeat(self) -> Self {
        let of_name = self.claims.last().map_or(self.duplicate, |held| Duplicate::of(&held.name));
        Self { duplicate: of_name, ..self }
    }

    /// Returns whether an earlier request with one of the names was answered 503.
    pub(crate) fn was_unconfirmed(&self) -> bool {
        self.claims.iter().any(|held| held.claim.is_unconfirmed)
    }
}

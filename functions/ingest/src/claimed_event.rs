//! An event that is claimed and may be sent to the queue.

use domain::event::Event;

/// An event with the id that its claim gives it.
pub(crate) struct ClaimedEvent {
    pub(crate) event: Event,
    pub(crate) duplicate: Duplicate,
}

/// Whether the event repeats an earlier one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Duplicate {
    /// The event is new.
    No,
    /// An earlier event had the same `dedup_id`, or the same `source` and `id`. The answer is a 409.
    OfEvent,
    /// An earlier request had the same `Idempotency-Key`. The answer is the first answer again.
    OfRequest,
}

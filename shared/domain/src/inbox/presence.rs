//! When an event is in the inbox.
//!
//! ```text
//!   no endpoint matched ───────────────────────────────────────────> in the inbox from its birth, or never if the tenant
//!                                                                     takes matched events only
//!   deliveries ── all succeed at their first attempt ──────────────> never in the inbox
//!             │── one fails, is put off, or ends without success ──> enters with the update that records it
//!             │── the function delivery is stopped or far behind ──> in the inbox from its birth
//!             │── one is parked, or waits longer than a queue holds
//!             │   a message ───────────────────────────────────────> enters before that
//!             `── its message fails again and again ───────────────> enters at the third receipt, or as a dead letter
//! ```
//!
//! Until an event enters, each of its open deliveries has a message in a queue, or a row in `Schedule`. A message is deleted
//! only after the event has entered, the delivery has ended, or the next message exists. So at each moment a queue,
//! `Schedule` or the inbox has every event that is not taken (delivered or acknowledged). An event that is delivered at once, which is nearly every one, costs nothing for the inbox: no
//! entry in the index, and no change of the backlog.

use crate::inbox::{Head, Outcome, Status};

/// What a transition of an event does to the inbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Move {
    /// The event entered the inbox.
    Entered,
    /// The event left the inbox.
    Left,
    /// The inbox is as before.
    None,
}

impl Move {
    /// Returns what the transition between these heads of one event does.
    #[must_use]
    pub const fn between(before: &Head, after: &Head) -> Self {
        match (before.in_inbox, after.in_inbox) {
            (false, true) => Self::Entered,
            (true, false) => Self::Left,
            (true, true) | (false, false) => Self::None,
        }
    }
}

impl Head {
    /// Puts the event into the inbox, because a delivery waits. Returns `None` if the event is there already or is taken.
    #[must_use]
    pub fn enter_inbox(&self) -> Option<Self> {
        (self.status.is_untaken() && !self.in_inbox).then(|| Self { in_inbox: true, ..self.next() })
    }

    /// Puts a new event into the inbox from its birth, if an endpoint matches: its deliveries are late.
    #[must_use]
    pub fn from_birth(self) -> Self {
        Self { in_inbox: self.status.is_untaken(), ..self }
    }

    /// Returns whether the event is in the inbox after an outcome was recorded that led to this status.
    pub(super) fn stays_in_inbox(&self, status: Status, outcome: &Outcome) -> bool {
        status.is_untaken() && (self.in_inbox || !outcome.is_success())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::DeliveryMessage;
    use crate::delivery::verdict::Verdict;
    use crate::tenant::InboxMode;
    use crate::testing::{START, attempted, endpoint, event, tenant};

    fn head_with(endpoints: u8) -> (Head, Vec<DeliveryMessage>) {
        let tenant = tenant();
        let head = Head::new(&event(&tenant, "a", "1", START), (0..endpoints).map(|n| endpoint(n).id));
        let message = |(id, delivery)| DeliveryMessage::first(&tenant, head.id, id, delivery, true);
        let messages = head.deliveries.iter().map(message).collect();
        (head, messages)
    }

    #[test]
    fn an_event_without_endpoints_is_in_the_inbox_unless_its_tenant_takes_only_matched_events() {
        let (head, _) = head_with(0);
        assert!(head.in_inbox);
        assert!(!head.for_inbox(InboxMode::Matched).in_inbox);
    }

    #[test]
    fn an_event_that_every_endpoint_takes_at_once_is_never_in_the_inbox() {
        let (head, messages) = head_with(2);
        assert!(!head.in_inbox);
        let one = head.record(&messages[0], &attempted(Verdict::Delivered, "200")).unwrap();
        assert_eq!((one.in_inbox, Move::between(&head, &one)), (false, Move::None));
        let both = one.record(&messages[1], &attempted(Verdict::Delivered, "200")).unwrap();
        assert_eq!((both.status, both.in_inbox), (Status::Delivered, false));
    }

    #[test]
    fn an_event_enters_with_the_first_outcome_that_is_no_success_and_leaves_with_the_last_success() {
        let (head, messages) = head_with(2);
        for outcome in [
            attempted(Verdict::RetryAt(START), "500"),
            attempted(Verdict::PutOff(START), "429"),
            attempted(Verdict::GiveUp, "500"),
            Outcome::EndpointDeleted,
            Outcome::EndpointDisabled,
        ] {
            let late = head.record(&messages[0], &outcome).unwrap();
            assert_eq!(Move::between(&head, &late), Move::Entered, "{outcome:?}");
            let other = late.record(&messages[1], &attempted(Verdict::Delivered, "200")).unwrap();
            assert!(other.in_inbox, "the other endpoint has it, this one does not: {outcome:?}");
        }
        let (head, messages) = head_with(1);
        let late = head.record(&messages[0], &attempted(Verdict::RetryAt(START), "500")).unwrap();
        let second = DeliveryMessage { n: 2, ..messages[0].clone() };
        let taken = late.record(&second, &attempted(Verdict::Delivered, "200")).unwrap();
        assert_eq!(Move::between(&late, &taken), Move::Left);
    }

    #[test]
    fn an_event_that_waits_enters_once_and_one_that_is_taken_does_not() {
        let (head, messages) = head_with(1);
        let waiting = head.enter_inbox().unwrap();
        assert_eq!((waiting.in_inbox, waiting.rev), (true, head.rev + 1));
        assert_eq!(waiting.enter_inbox(), None);
        let taken = head.record(&messages[0], &attempted(Verdict::Delivered, "200")).unwrap();
        assert_eq!(taken.enter_inbox(), None);
        assert_eq!(head.acknowledge().unwrap().enter_inbox(), None);
    }
}

//! Records the outcome of a delivery message in the head of its event.

use crate::delivery::verdict::Verdict;
use crate::delivery::{CLOCK_TOLERANCE, Delivery, DeliveryMessage, DeliveryState, LastAttempt, Step};
use crate::endpoint::id::EndpointId;
use crate::inbox::{Head, Outcome, Status};
use crate::timestamp::Timestamp;

impl Head {
    /// Returns when the delivery to this endpoint was first put off.
    #[must_use]
    pub fn put_off_since(&self, endpoint: &EndpointId) -> Option<Timestamp> {
        self.deliveries.get(endpoint)?.put_off_since
    }

    /// Records the outcome of this message. Returns `None` if the message must not change the delivery any more.
    #[must_use]
    pub fn record(&self, message: &DeliveryMessage, outcome: &Outcome) -> Option<Self> {
        let mut next = self.next();
        let entry = next.deliveries.get_mut(&message.endpoint)?;
        if entry.step(&message.run, message.n, Timestamp::from_millis(u64::MAX)) != Step::Attempt {
            return None;
        }
        match outcome {
            Outcome::EndpointDeleted => entry.state = DeliveryState::Cancelled,
            Outcome::EndpointDisabled => entry.state = DeliveryState::Failed,
            Outcome::Attempted(Verdict::PutOff(at), attempt) => put_off(entry, *at, attempt)?,
            Outcome::Attempted(Verdict::RetryAt(at), attempt) => {
                spend(entry, message.n, attempt);
                entry.next_at = *at;
            }
            Outcome::Attempted(Verdict::Delivered, attempt) => {
                spend(entry, message.n, attempt);
                entry.state = DeliveryState::Delivered;
            }
            Outcome::Attempted(Verdict::GiveUp | Verdict::DisableEndpoint, attempt) => {
                spend(entry, message.n, attempt);
                entry.state = DeliveryState::Failed;
            }
        }
        next.status = match next.status_of_deliveries() {
            left @ (Status::Delivered | Status::Acked) => left,
            _ if self.status == Status::Quarantined => Status::Quarantined,
            left => left,
        };
        next.in_inbox = self.stays_in_inbox(next.status, outcome);
        if !next.in_inbox {
            next.lease = None; // a webhook delivered the event, so the lease is lost
        }
        Some(next)
    }
}

/// Records attempt `n` as made.
fn spend(delivery: &mut Delivery, n: u32, attempt: &LastAttempt) {
    delivery.attempts = n;
    delivery.last = Some(attempt.clone());
}

/// Puts an attempt off: its number is not spent. Returns `None` if another process made the same attempt meanwhile and put
/// it off: the time of that process counts, so that the messages of both are due at the same time.
fn put_off(delivery: &mut Delivery, at: Timestamp, attempt: &LastAttempt) -> Option<()> {
    if delivery.next_at > attempt.at.after(CLOCK_TOLERANCE) {
        return None;
    }
    delivery.next_at = at;
    delivery.put_off_since.get_or_insert(attempt.at);
    Some(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::delivery::run::Run;
    use crate::testing::{START, attempted, endpoint, event, tenant};

    #[test]
    fn an_attempt_that_is_put_off_stays_unspent_and_is_put_off_once() {
        let (tenant, id) = (tenant(), endpoint(1).id);
        let head = Head::new(&event(&tenant, "a", "1", START), [id.clone()]);
        let first = DeliveryMessage::first(&tenant, head.id, &id, &head.deliveries[&id], false);
        let (soon, later) = (START.after(Duration::from_mins(1)), START.after(Duration::from_mins(2)));
        let next = head.record(&first, &attempted(Verdict::PutOff(soon), "429")).unwrap();
        let delivery = &next.deliveries[&id];
        assert_eq!((delivery.attempts, delivery.next_at, next.status), (0, soon, Status::Delivering));
        assert!(delivery.put_off_since.is_some());
        assert_eq!(delivery.step(&Run::Original, 1, START), Step::Wait(soon));
        assert_eq!(next.record(&first, &attempted(Verdict::PutOff(later), "429")), None, "a second process");
        let taken = next.record(&first, &attempted(Verdict::Delivered, "200")).unwrap();
        assert_eq!((taken.deliveries[&id].attempts, taken.status), (1, Status::Delivered));
    }
}

//! The transitions of a lease: lease, acknowledge, release, extend.
//!
//! ```text
//!   free ── lease ──> leased ── acknowledge, before the lease ends ──> acknowledged
//!     ^                 │ ── release ────────────────────────────────> free again, after the delay; this lease does not count
//!     │                 │ ── the lease ends ─────────────────────────> free again
//!     │                 │ ── a webhook delivers the event ───────────> delivered, and the lease is lost
//!     │                 `── it was the last allowed lease ───────────> quarantined; not leased again
//!     └─ release from quarantine ─────────────────────────────────────'
//! ```
//!
//! The id of a lease is its fencing token. Each lease has a new id, which is stored in the head of each event that it holds.
//! A request with another id, or after the end of the lease, changes nothing.

use std::time::Duration;

use crate::delivery::CLOCK_TOLERANCE;
use crate::inbox::lease::{Acknowledged, Lease, LeaseId, LeaseTerms};
use crate::inbox::{Head, Status};
use crate::timestamp::Timestamp;

impl Head {
    /// Returns whether the event can be leased at `now`.
    #[must_use]
    pub fn is_free(&self, include_open: bool, now: Timestamp) -> bool {
        let wanted = match self.status {
            Status::Pending | Status::Failed => true,
            Status::Delivering => include_open,
            Status::Delivered | Status::Acked | Status::Quarantined | Status::Unmatched | Status::Deleted => {
                false
            }
        };
        wanted && self.in_inbox && !self.is_expired_or_deleted(now) && !self.is_kept_from_others(now)
    }

    /// Leases the event. The last allowed lease also quarantines it. Returns `None` if the event is not free.
    #[must_use]
    pub fn lease(&self, terms: &LeaseTerms, now: Timestamp) -> Option<Self> {
        if !self.is_free(terms.include_open, now) {
            return None;
        }
        let lease_count = self.lease_count + 1;
        let status = if lease_count >= terms.max_leases { Status::Quarantined } else { self.status };
        let lease = Some(Lease { holder: Some(terms.holder.clone()), until: terms.until });
        Some(Self { status, lease, lease_count, ..self.next() })
    }

    /// Returns whether a lease on these terms is the last allowed one of the event.
    #[must_use]
    pub fn has_last_lease(&self, terms: &LeaseTerms, now: Timestamp) -> bool {
        self.lease(terms, now).is_some_and(|next| next.status == Status::Quarantined)
    }

    /// Returns whether this lease holds the event at `now`.
    #[must_use]
    pub fn is_held_by(&self, lease: &LeaseId, now: Timestamp) -> bool {
        self.in_inbox
            && !self.is_expired_or_deleted(now)
            && self.was_leased_as(lease)
            && self.lease.as_ref().is_some_and(|held| now < held.until)
    }

    /// Acknowledges the event under a lease. Open deliveries end with it.
    #[must_use]
    pub fn acknowledge_as(&self, lease: &LeaseId, now: Timestamp) -> Acknowledged<Self> {
        if self.is_held_by(lease, now) {
            Acknowledged::Now(Box::new(self.acked()))
        } else if self.status == Status::Acked && self.was_leased_as(lease) {
            Acknowledged::Already // every other way to acknowledge removes the lease
        } else {
            Acknowledged::Lost
        }
    }

    /// Releases the event, which cannot be leased again within `delay`. The lease no longer counts: only leases that
    /// expire count towards quarantine. Returns `None` if the lease does not hold the event.
    #[must_use]
    pub fn release(&self, lease: &LeaseId, delay: Duration, now: Timestamp) -> Option<Self> {
        if !self.is_held_by(lease, now) {
            return None;
        }
        let status = match self.status {
            Status::Quarantined => self.status_of_deliveries(), // this was the last allowed lease
            other => other,
        };
        let lease_count = self.lease_count.saturating_sub(1);
        Some(Self { status, lease: waiting(delay, now), lease_count, ..self.next() })
    }

    /// Moves the end of the lease to `until`. Returns `None` if the lease does not hold the event.
    #[must_use]
    pub fn extend(&self, lease: &LeaseId, until: Timestamp, now: Timestamp) -> Option<Self> {
        if !self.is_held_by(lease, now) {
            return None;
        }
        let extended = Lease { holder: Some(lease.clone()), until };
        Some(Self { lease: Some(extended), ..self.next() })
    }

    /// Releases the event from quarantine, and counts its leases from zero. Returns `None` if the event is not in
    /// quarantine, or if its last lease has not ended.
    #[must_use]
    pub fn release_from_quarantine(&self, delay: Duration, now: Timestamp) -> Option<Self> {
        if self.status != Status::Quarantined
            || self.is_expired_or_deleted(now)
            || self.is_kept_from_others(now)
        {
            return None;
        }
        let status = self.status_of_deliveries();
        Some(Self { status, lease: waiting(delay, now), lease_count: 0, ..self.next() })
    }

    /// Returns whether a lease or a delay keeps the event from others. It does so [`CLOCK_TOLERANCE`] longer than its
    /// holder may use it, because the clocks of two instances differ.
    fn is_kept_from_others(&self, now: Timestamp) -> bool {
        self.lease.as_ref().is_some_and(|lease| now < lease.until.after(CLOCK_TOLERANCE))
    }

    fn was_leased_as(&self, lease: &LeaseId) -> bool {
        self.lease.as_ref().and_then(|held| held.holder.as_ref()) == Some(lease)
    }
}

/// Returns the delay after a release; `None` for no delay.
fn waiting(delay: Duration, now: Timestamp) -> Option<Lease> {
    (!delay.is_zero()).then(|| Lease { holder: None, until: now.after(delay) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::DeliveryMessage;
    use crate::delivery::verdict::Verdict;
    use crate::testing::{START, attempted, endpoint, event, tenant};

    fn terms(seconds: u64) -> LeaseTerms {
        let holder = LeaseId::generate(&mut rand::rng());
        LeaseTerms { holder, until: at(seconds), include_open: false, max_leases: 3 }
    }

    fn at(seconds: u64) -> Timestamp {
        START.after(Duration::from_secs(seconds))
    }

    fn pending() -> Head {
        Head::new(&event(&tenant(), "a", "1", START), [])
    }

    #[test]
    fn a_leased_event_is_free_again_after_its_end_and_the_clock_tolerance() {
        let first = terms(10);
        let second = terms(30);
        let held = pending().lease(&first, START).unwrap();
        assert_eq!((held.lease_count, held.rev), (1, 2));
        for now in [START, at(9), at(10)] {
            assert_eq!(held.lease(&second, now), None, "{now}");
        }
        assert!(held.is_held_by(&first.holder, at(9)) && !held.is_held_by(&first.holder, at(10)));
        let again = held.lease(&second, at(11)).unwrap();
        assert_eq!(again.lease_count, 2);
        assert!(again.is_held_by(&second.holder, at(12)) && !again.is_held_by(&first.holder, at(12)));
    }

    #[test]
    fn an_acknowledgement_needs_a_current_lease_and_can_be_repeated_under_that_lease_only() {
        let first = terms(10);
        let second = terms(30);
        let held = pending().lease(&first, START).unwrap();
        let Acknowledged::Now(acked) = held.acknowledge_as(&first.holder, at(9)) else { panic!() };
        assert_eq!(acked.status, Status::Acked);
        assert_eq!(acked.acknowledge_as(&first.holder, at(99)), Acknowledged::Already);
        assert_eq!(acked.acknowledge_as(&second.holder, at(9)), Acknowledged::Lost);
        assert_eq!(held.acknowledge_as(&first.holder, at(10)), Acknowledged::Lost);
        let by_hand = held.acknowledge().unwrap();
        assert_eq!(by_hand.acknowledge_as(&first.holder, at(9)), Acknowledged::Lost);
    }

    #[test]
    fn a_delivered_webhook_ends_the_lease() {
        let tenant = tenant();
        let terms = LeaseTerms { include_open: true, ..terms(10) };
        let new = Head::new(&event(&tenant, "a", "1", START), [endpoint(1).id]).enter_inbox().unwrap();
        assert_eq!(new.lease(&LeaseTerms { include_open: false, ..terms.clone() }, START), None);
        let under_way = Head { in_inbox: false, ..new.clone() };
        assert_eq!(under_way.lease(&terms, START), None, "its first attempt is under way");
        let held = new.lease(&terms, START).unwrap();
        let (ep, delivery) = held.deliveries.first_key_value().unwrap();
        let message = DeliveryMessage::first(&tenant, held.id, ep, delivery, false);
        let taken = held.record(&message, &attempted(Verdict::Delivered, "200")).unwrap();
        assert_eq!((taken.status, taken.lease.as_ref()), (Status::Delivered, None));
        assert_eq!(taken.acknowledge_as(&terms.holder, START), Acknowledged::Lost);
    }

    #[test]
    fn a_webhook_ends_a_quarantine_only_by_delivering_the_event() {
        let tenant = tenant();
        let new = Head::new(&event(&tenant, "a", "1", START), [endpoint(1).id]).enter_inbox().unwrap();
        let last = LeaseTerms { include_open: true, max_leases: 1, ..terms(10) };
        let quarantined = new.lease(&last, START).unwrap();
        let (ep, delivery) = quarantined.deliveries.first_key_value().unwrap();
        let message = DeliveryMessage::first(&tenant, quarantined.id, ep, delivery, false);
        for (verdict, status) in [
            (Verdict::RetryAt(START), Status::Quarantined),
            (Verdict::GiveUp, Status::Quarantined),
            (Verdict::Delivered, Status::Delivered),
        ] {
            assert_eq!(quarantined.record(&message, &attempted(verdict, "x")).unwrap().status, status);
        }
    }

    #[test]
    fn a_released_event_waits_for_the_delay() {
        let first = terms(10);
        let second = terms(99);
        let held = pending().lease(&first, START).unwrap();
        assert_eq!(held.release(&second.holder, Duration::ZERO, START), None);
        let free = held.release(&first.holder, Duration::ZERO, at(1)).unwrap();
        assert!(free.is_free(false, at(1)));
        let later = held.release(&first.holder, Duration::from_secs(20), at(1)).unwrap();
        assert!(!later.is_free(false, at(21)) && later.is_free(false, at(22)));
        assert!(!later.is_held_by(&first.holder, at(2)));
    }

    #[test]
    fn the_holder_of_a_lease_can_extend_it() {
        let first = terms(10);
        let held = pending().lease(&first, START).unwrap();
        let longer = held.extend(&first.holder, at(60), at(9)).unwrap();
        assert!(longer.is_held_by(&first.holder, at(59)) && longer.lease_count == 1);
        assert_eq!(held.extend(&first.holder, at(60), at(10)), None);
    }

    #[test]
    fn the_last_lease_quarantines_until_a_release() {
        let mut head = pending();
        for n in 0..3 {
            head = head.lease(&terms(20 * n + 10), at(20 * n)).unwrap();
        }
        assert_eq!((head.status, head.lease_count), (Status::Quarantined, 3));
        assert!(head.in_inbox);
        assert_eq!(
            head.release_from_quarantine(Duration::ZERO, at(50)),
            None,
            "its last lease has not ended"
        );
        assert_eq!(head.lease(&terms(99), at(60)), None);
        let free = head.release_from_quarantine(Duration::ZERO, at(60)).unwrap();
        assert_eq!((free.status, free.lease_count), (Status::Pending, 0));
        assert!(free.lease(&terms(99), at(60)).is_some());
        assert_eq!(free.release_from_quarantine(Duration::ZERO, at(60)), None);
        assert_eq!(
            head.acknowledge().unwrap().status,
            Status::Acked,
            "an acknowledgement by id needs no lease"
        );
    }

    #[test]
    fn the_holder_of_the_last_lease_can_acknowledge() {
        let last = LeaseTerms { max_leases: 1, ..terms(10) };
        let held = pending().lease(&last, START).unwrap();
        assert_eq!(held.status, Status::Quarantined);
        assert!(matches!(held.acknowledge_as(&last.holder, at(9)), Acknowledged::Now(_)));
    }
}

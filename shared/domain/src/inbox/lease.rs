//! Taking events from the inbox for a while: lease, acknowledge, give back, hold longer.
//!
//! ```text
//!   free ── lease ──> held ── acknowledge, while it holds ──> acknowledged
//!     ^                 │ ── release, or its time ends ─────> free again, perhaps not before some moment
//!     │                 │ ── a webhook took the event ──────> delivered, and the lease is lost
//!     │                 `── it was the last of its leases ──> quarantined: held by nobody after that
//!     └─ released by hand ──────────────────────────────────────────'
//! ```
//!
//! A lease's id is its fencing token: it is drawn afresh for every lease and stands in the head of each event that it
//! holds. Whoever comes with another one, or too late, has lost the event and changes nothing.

use std::fmt;
use std::time::Duration;

use rand::Rng;

use crate::delivery::CLOCK_TOLERANCE;
use crate::id;
use crate::inbox::{Head, Status};
use crate::timestamp::Timestamp;

/// The identity of one lease: `lse_` and 32 hexadecimal digits. Only its holder knows it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct LeaseId(String);

impl LeaseId {
    const PREFIX: &str = "lse_";

    /// A new identity.
    pub fn generate(rng: &mut impl Rng) -> Self {
        Self(id::random(Self::PREFIX, rng))
    }

    /// Accepts exactly the form that [`LeaseId`] is shown in.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        id::is_canonical(Self::PREFIX, text).then(|| Self(text.to_owned()))
    }

    /// The identity that our own code wrote into a table.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The identity as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who has an event, and until when nobody else gets it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lease {
    /// The lease; `None` where the event was given back with a delay and just waits.
    pub holder: Option<LeaseId>,
    /// The end.
    pub until: Timestamp,
}

/// On which terms events are leased.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Terms {
    /// The lease that will hold them.
    pub holder: LeaseId,
    /// Until when.
    pub until: Timestamp,
    /// Whether events are wanted too that a webhook delivery is still open for.
    pub include_open: bool,
    /// How often an event is leased before it is quarantined.
    pub most_leases: u32,
}

/// What an acknowledgement by the holder of a lease comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Acknowledged {
    /// This is to be written.
    Now(Box<Head>),
    /// It was acknowledged under this very lease before: the answer was lost.
    Already,
    /// The lease does not hold the event.
    Lost,
}

impl Head {
    /// Whether the event can be leased now.
    #[must_use]
    pub fn is_free(&self, include_open: bool, now: Timestamp) -> bool {
        let wanted = match self.status {
            Status::Pending | Status::Failed => true,
            Status::Delivering => include_open,
            Status::Delivered | Status::Acked | Status::Quarantined | Status::Deleted => false,
        };
        wanted && !self.is_gone(now) && !self.is_kept_from_others(now)
    }

    /// The head once it is leased; `None` where it cannot be.
    #[must_use]
    pub fn lease(&self, terms: &Terms, now: Timestamp) -> Option<Self> {
        if !self.is_free(terms.include_open, now) {
            return None;
        }
        let lease_count = self.lease_count + 1;
        let status = if lease_count >= terms.most_leases { Status::Quarantined } else { self.status };
        let lease = Some(Lease { holder: Some(terms.holder.clone()), until: terms.until });
        Some(Self { status, lease, lease_count, ..self.next() })
    }

    /// Whether this lease holds the event at `now`.
    #[must_use]
    pub fn is_held_by(&self, lease: &LeaseId, now: Timestamp) -> bool {
        self.status.is_in_inbox()
            && !self.is_gone(now)
            && self.was_leased_as(lease)
            && self.lease.as_ref().is_some_and(|held| now < held.until)
    }

    /// The acknowledgement by the holder of a lease. Deliveries that are still open end with it.
    #[must_use]
    pub fn acknowledge_as(&self, lease: &LeaseId, now: Timestamp) -> Acknowledged {
        if self.is_held_by(lease, now) {
            Acknowledged::Now(Box::new(self.acked()))
        } else if self.status == Status::Acked && self.was_leased_as(lease) {
            Acknowledged::Already // whoever else acknowledges an event takes its lease away
        } else {
            Acknowledged::Lost
        }
    }

    /// The head once its holder gave it back, not to be leased again within `delay`; `None` where the lease does not
    /// hold it.
    #[must_use]
    pub fn release(&self, lease: &LeaseId, delay: Duration, now: Timestamp) -> Option<Self> {
        let waits = (!delay.is_zero()).then(|| Lease { holder: None, until: now.after(delay) });
        self.is_held_by(lease, now).then(|| Self { lease: waits, ..self.next() })
    }

    /// The head once its holder has it until another moment; `None` where the lease does not hold it.
    #[must_use]
    pub fn extend(&self, lease: &LeaseId, until: Timestamp, now: Timestamp) -> Option<Self> {
        let extended = || Some(Lease { holder: Some(lease.clone()), until });
        self.is_held_by(lease, now).then(|| Self { lease: extended(), ..self.next() })
    }

    /// The head once it is out of quarantine, its leases counted anew; `None` where it is in none, or its last
    /// lease still holds.
    #[must_use]
    pub fn release_from_quarantine(&self, delay: Duration, now: Timestamp) -> Option<Self> {
        if self.status != Status::Quarantined || self.is_gone(now) || self.is_kept_from_others(now) {
            return None;
        }
        let waits = (!delay.is_zero()).then(|| Lease { holder: None, until: now.after(delay) });
        let status = self.status_of_deliveries();
        Some(Self { status, lease: waits, lease_count: 0, ..self.next() })
    }

    /// Whether a lease or a delay keeps the event from others: a moment longer than its holder may rely on it, since
    /// clocks differ.
    fn is_kept_from_others(&self, now: Timestamp) -> bool {
        self.lease.as_ref().is_some_and(|lease| now < lease.until.after(CLOCK_TOLERANCE))
    }

    fn was_leased_as(&self, lease: &LeaseId) -> bool {
        self.lease.as_ref().and_then(|held| held.holder.as_ref()) == Some(lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::DeliveryMessage;
    use crate::delivery::verdict::Verdict;
    use crate::testing::{START, attempted, endpoint, event, tenant};

    fn terms(seconds: u64) -> Terms {
        let holder = LeaseId::generate(&mut rand::rng());
        Terms { holder, until: at(seconds), include_open: false, most_leases: 3 }
    }

    fn at(seconds: u64) -> Timestamp {
        START.after(Duration::from_secs(seconds))
    }

    fn pending() -> Head {
        Head::new(&event(&tenant(), "a", "1", START), [])
    }

    #[test]
    fn a_leased_event_is_leased_to_nobody_else_until_its_time_and_a_moment_have_passed() {
        let (first, second) = (terms(10), terms(30));
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
    fn an_acknowledgement_counts_while_the_lease_holds_and_is_told_again_under_that_lease_alone() {
        let (first, second) = (terms(10), terms(30));
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
    fn a_webhook_that_takes_the_event_ends_the_lease() {
        let (tenant, terms) = (tenant(), Terms { include_open: true, ..terms(10) });
        let born = Head::new(&event(&tenant, "a", "1", START), [endpoint(1).id]);
        assert_eq!(born.lease(&Terms { include_open: false, ..terms.clone() }, START), None);
        let held = born.lease(&terms, START).unwrap();
        let (ep, delivery) = held.deliveries.first_key_value().unwrap();
        let message = DeliveryMessage::first(&tenant, held.id, ep, delivery, false);
        let taken = held.record(&message, &attempted(Verdict::Delivered, "200")).unwrap();
        assert_eq!((taken.status, taken.lease.as_ref()), (Status::Delivered, None));
        assert_eq!(taken.acknowledge_as(&terms.holder, START), Acknowledged::Lost);
    }

    #[test]
    fn a_webhook_ends_a_quarantine_only_by_taking_the_event() {
        let tenant = tenant();
        let born = Head::new(&event(&tenant, "a", "1", START), [endpoint(1).id]);
        let last = Terms { include_open: true, most_leases: 1, ..terms(10) };
        let kept = born.lease(&last, START).unwrap();
        let (ep, delivery) = kept.deliveries.first_key_value().unwrap();
        let message = DeliveryMessage::first(&tenant, kept.id, ep, delivery, false);
        for (verdict, status) in [
            (Verdict::RetryAt(START), Status::Quarantined),
            (Verdict::GiveUp, Status::Quarantined),
            (Verdict::Delivered, Status::Delivered),
        ] {
            assert_eq!(kept.record(&message, &attempted(verdict, "x")).unwrap().status, status);
        }
    }

    #[test]
    fn what_is_given_back_waits_as_long_as_asked() {
        let (first, second) = (terms(10), terms(99));
        let held = pending().lease(&first, START).unwrap();
        assert_eq!(held.release(&second.holder, Duration::ZERO, START), None);
        let free = held.release(&first.holder, Duration::ZERO, at(1)).unwrap();
        assert!(free.is_free(false, at(1)));
        let later = held.release(&first.holder, Duration::from_secs(20), at(1)).unwrap();
        assert!(!later.is_free(false, at(21)) && later.is_free(false, at(22)));
        assert!(!later.is_held_by(&first.holder, at(2)));
    }

    #[test]
    fn whoever_holds_it_may_hold_it_longer() {
        let first = terms(10);
        let held = pending().lease(&first, START).unwrap();
        let longer = held.extend(&first.holder, at(60), at(9)).unwrap();
        assert!(longer.is_held_by(&first.holder, at(59)) && longer.lease_count == 1);
        assert_eq!(held.extend(&first.holder, at(60), at(10)), None);
    }

    #[test]
    fn the_last_lease_quarantines_until_somebody_releases_it() {
        let mut head = pending();
        for n in 0..3 {
            head = head.lease(&terms(20 * n + 10), at(20 * n)).unwrap();
        }
        assert_eq!((head.status, head.lease_count), (Status::Quarantined, 3));
        assert!(head.status.is_in_inbox());
        assert_eq!(head.release_from_quarantine(Duration::ZERO, at(50)), None, "its last lease still holds");
        assert_eq!(head.lease(&terms(99), at(60)), None);
        let free = head.release_from_quarantine(Duration::ZERO, at(60)).unwrap();
        assert_eq!((free.status, free.lease_count), (Status::Pending, 0));
        assert!(free.lease(&terms(99), at(60)).is_some());
        assert_eq!(free.release_from_quarantine(Duration::ZERO, at(60)), None);
        assert_eq!(head.acknowledge().unwrap().status, Status::Acked, "by its id it can be acknowledged");
    }

    #[test]
    fn the_holder_of_the_last_lease_may_still_acknowledge() {
        let last = Terms { most_leases: 1, ..terms(10) };
        let held = pending().lease(&last, START).unwrap();
        assert_eq!(held.status, Status::Quarantined);
        assert!(matches!(held.acknowledge_as(&last.holder, at(9)), Acknowledged::Now(_)));
    }
}

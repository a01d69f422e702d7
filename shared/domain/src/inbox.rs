//! An event's status and each of its transitions. An event is in the inbox exactly until every endpoint that
//! matched took it, or somebody acknowledged it, or its owner deleted it. Webhooks and those who [lease] from the inbox work on one and the
//! same head; a [replay] brings it back.
//!
//! Every transition takes the head that was read and gives the head to be written, with the next `rev`; the
//! table writes it only where `rev` is still the one read. So no transition overwrites another, and a status follows
//! from the deliveries beside it, unless the event was acknowledged, quarantined or deleted.

pub mod lease;

pub mod leasing;

pub mod replay;

pub mod expiry;

pub mod notice;

#[cfg(test)]
mod interleavings;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::delivery::verdict::Verdict;
use crate::delivery::{Delivery, DeliveryMessage, DeliveryState, LastAttempt, ORIGINAL, Step};
use crate::endpoint::id::EndpointId;
use crate::event::Event;
use crate::event::claim::DedupId;
use crate::event::event_type::EventType;
use crate::event::id::EventId;
use crate::timestamp::Timestamp;

use lease::Lease;

/// What is left of a deleted event is kept this long: longer than any message about it can live in a queue (14 days).
const KEEP_TOMBSTONE: Duration = Duration::from_hours(15 * 24);

/// Who has the event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// Nobody: no endpoint matched, and it was not acknowledged.
    Pending,
    /// A delivery is open.
    Delivering,
    /// Every endpoint that matched took it.
    Delivered,
    /// The deliveries are final, and not all took it; it is still in the inbox.
    Failed,
    /// Somebody acknowledged it.
    Acked,
    /// It was leased so often without being acknowledged that nobody gets it any more until it is released; it is
    /// still in the inbox, and its webhooks go on. It is so from its last lease on.
    Quarantined,
    /// Its owner had it deleted. What is left holds nothing of it, and keeps a message in flight from bringing it back.
    Deleted,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Delivering,
        Self::Delivered,
        Self::Failed,
        Self::Acked,
        Self::Quarantined,
        Self::Deleted,
    ];

    /// The status' name in JSON and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivering => "delivering",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Acked => "acked",
            Self::Quarantined => "quarantined",
            Self::Deleted => "deleted",
        }
    }

    /// The status of this name; `None` if there is none.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether an event of this status is in the inbox.
    #[must_use]
    pub const fn is_in_inbox(self) -> bool {
        matches!(self, Self::Pending | Self::Delivering | Self::Failed | Self::Quarantined)
    }
}

/// What is stored of an event besides its payload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Head {
    /// Which event.
    pub id: EventId,
    /// What kind.
    pub event_type: EventType,
    /// The client's own name for it.
    pub dedup_id: Option<DedupId>,
    /// Who has it.
    pub status: Status,
    /// One entry for each endpoint that matched when it was stored.
    pub deliveries: BTreeMap<EndpointId, Delivery>,
    /// Who took it from the inbox, and until when nobody else gets it; past that moment it says who had it last.
    pub lease: Option<Lease>,
    /// How often it was leased.
    pub lease_count: u32,
    /// How often the head was written. Every update is conditional on the value it read.
    pub rev: u64,
    /// When it is deleted, delivered or not.
    pub expires_at: Timestamp,
}

/// How an open delivery is to be recorded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// An attempt was made, and judged.
    Attempted(Verdict, LastAttempt),
    /// No attempt: the endpoint was deleted.
    EndpointDeleted,
    /// No attempt: the endpoint is disabled.
    EndpointDisabled,
}

impl Head {
    /// The head of an event that is just being stored, with an open delivery for each match.
    #[must_use]
    pub fn new(event: &Event, matches: impl IntoIterator<Item = EndpointId>) -> Self {
        let accepted_at = event.id.accepted_at();
        let open = Delivery {
            state: DeliveryState::Open,
            generation: ORIGINAL.to_owned(),
            attempts: 0,
            next_at: accepted_at,
            last: None,
        };
        let retention = Duration::from_hours(24 * u64::from(event.tier.limits().retention_days));
        let head = Self {
            id: event.id,
            event_type: event.event_type.clone(),
            dedup_id: event.dedup_id.clone(),
            status: Status::Pending,
            deliveries: matches.into_iter().map(|endpoint| (endpoint, open.clone())).collect(),
            lease: None,
            lease_count: 0,
            rev: 1,
            expires_at: accepted_at.after(retention),
        };
        Self { status: head.status_of_deliveries(), ..head }
    }

    /// The head kept for no more than so many days from its birth; for fewer where it ends before.
    #[must_use]
    pub fn kept_at_most(self, days: u16) -> Self {
        let end = self.id.accepted_at().after(Duration::from_hours(24 * u64::from(days)));
        Self { expires_at: self.expires_at.min(end), ..self }
    }

    /// Whether its retention has ended, or its owner had it deleted. The table keeps it for some more time; it counts
    /// as absent.
    #[must_use]
    pub fn is_gone(&self, now: Timestamp) -> bool {
        self.expires_at <= now || self.status == Status::Deleted
    }

    /// The endpoints whose first attempt nobody recorded yet: each wants a message, now and at every repeat.
    pub fn untried(&self) -> impl Iterator<Item = (&EndpointId, &Delivery)> {
        self.deliveries.iter().filter(|(_, d)| d.state == DeliveryState::Open && d.attempts == 0)
    }

    /// Attempts recorded over all deliveries.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.deliveries.values().map(|delivery| delivery.attempts).sum()
    }

    /// The head after this message's outcome; `None` where the message no longer acts.
    #[must_use]
    pub fn record(&self, message: &DeliveryMessage, outcome: &Outcome) -> Option<Self> {
        let mut next = self.next();
        let entry = next.deliveries.get_mut(&message.endpoint)?;
        if entry.step(&message.generation, message.n, Timestamp::from_millis(u64::MAX)) != Step::Attempt {
            return None;
        }
        match outcome {
            Outcome::EndpointDeleted => entry.state = DeliveryState::Cancelled,
            Outcome::EndpointDisabled => entry.state = DeliveryState::Failed,
            Outcome::Attempted(verdict, attempt) => {
                entry.attempts = message.n;
                entry.last = Some(attempt.clone());
                match verdict {
                    Verdict::Delivered => entry.state = DeliveryState::Delivered,
                    Verdict::RetryAt(at) => entry.next_at = *at,
                    Verdict::GiveUp | Verdict::DisableEndpoint => entry.state = DeliveryState::Failed,
                }
            }
        }
        next.status = match next.status_of_deliveries() {
            left @ (Status::Delivered | Status::Acked) => left,
            _ if self.status == Status::Quarantined => Status::Quarantined,
            left => left,
        };
        if !next.status.is_in_inbox() {
            next.lease = None; // who held it is too late: a webhook took it
        }
        Some(next)
    }

    /// The head after an acknowledgement by whoever knows its id; `None` where the event is out of the inbox already.
    /// Deliveries that are still open end. A lease ends too: its holder is told that it is lost.
    #[must_use]
    pub fn acknowledge(&self) -> Option<Self> {
        self.status.is_in_inbox().then(|| Self { lease: None, ..self.acked() })
    }

    /// What is left when its owner has it deleted: nothing but its id.
    #[must_use]
    pub fn tombstone(&self, now: Timestamp) -> Self {
        Self {
            event_type: EventType::from_stored(Status::Deleted.as_str()),
            dedup_id: None,
            status: Status::Deleted,
            deliveries: BTreeMap::new(),
            lease: None,
            lease_count: 0,
            expires_at: now.after(KEEP_TOMBSTONE),
            ..self.next()
        }
    }

    fn acked(&self) -> Self {
        let mut next = Self { status: Status::Acked, ..self.next() };
        for delivery in next.deliveries.values_mut().filter(|d| d.state != DeliveryState::Delivered) {
            delivery.state = DeliveryState::Acked;
        }
        next
    }

    fn next(&self) -> Self {
        Self { rev: self.rev + 1, ..self.clone() }
    }

    fn status_of_deliveries(&self) -> Status {
        let any = |wanted| self.deliveries.values().any(|delivery| delivery.state == wanted);
        if self.deliveries.is_empty() {
            Status::Pending
        } else if any(DeliveryState::Open) {
            Status::Delivering
        } else if any(DeliveryState::Failed) || any(DeliveryState::Cancelled) {
            Status::Failed
        } else if any(DeliveryState::Acked) {
            Status::Acked
        } else {
            Status::Delivered
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::id::TenantId;
    use crate::tenant::tier::Tier;
    use crate::testing::attempted;

    fn event() -> Event {
        let now = Timestamp::from_seconds(1000);
        Event {
            id: EventId::generate(now, 1, &mut rand::rng()),
            tenant: TenantId::from_stored("org_1"),
            tier: Tier::Free,
            event_type: EventType::parse("a").unwrap(),
            payload: "1".to_owned(),
            dedup_id: None,
        }
    }

    fn endpoints(count: usize) -> Vec<EndpointId> {
        (0..count).map(|i| EndpointId::from_stored(format!("ep_{i}"))).collect()
    }

    fn message(head: &Head, endpoint: &EndpointId, n: u32) -> DeliveryMessage {
        let tenant = TenantId::from_stored("org_1");
        DeliveryMessage {
            n,
            ..DeliveryMessage::first(&tenant, head.id, endpoint, &head.deliveries[endpoint], false)
        }
    }

    fn delivered() -> Outcome {
        attempted(Verdict::Delivered, "200")
    }

    fn given_up() -> Outcome {
        attempted(Verdict::GiveUp, "500")
    }

    #[test]
    fn an_event_nobody_wants_waits_in_the_inbox_until_it_is_acknowledged() {
        let head = Head::new(&event(), []);
        assert_eq!(head.status, Status::Pending);
        let acked = head.acknowledge().unwrap();
        assert_eq!((acked.status, acked.rev), (Status::Acked, 2));
        assert_eq!(acked.acknowledge(), None);
    }

    #[test]
    fn it_leaves_the_inbox_when_every_endpoint_took_it() {
        let ids = endpoints(2);
        let head = Head::new(&event(), ids.clone());
        let one = head.record(&message(&head, &ids[0], 1), &delivered()).unwrap();
        assert_eq!(one.status, Status::Delivering);
        let both = one.record(&message(&one, &ids[1], 1), &delivered()).unwrap();
        assert_eq!(both.status, Status::Delivered);
        assert!(!both.status.is_in_inbox());
    }

    #[test]
    fn it_stays_in_the_inbox_when_one_endpoint_gave_up_or_went_away() {
        for outcome in [given_up(), Outcome::EndpointDeleted, Outcome::EndpointDisabled] {
            let ids = endpoints(2);
            let head = Head::new(&event(), ids.clone());
            let one = head.record(&message(&head, &ids[0], 1), &outcome).unwrap();
            let both = one.record(&message(&one, &ids[1], 1), &delivered()).unwrap();
            assert_eq!(both.status, Status::Failed);
            assert!(both.status.is_in_inbox());
        }
    }

    #[test]
    fn trace_1_a_success_recorded_after_an_acknowledgement_changes_nothing() {
        let ids = endpoints(1);
        let head = Head::new(&event(), ids.clone());
        let acked = head.acknowledge().unwrap();
        assert_eq!(acked.record(&message(&head, &ids[0], 1), &delivered()), None);
    }

    #[test]
    fn trace_1_a_cancelled_delivery_is_not_cancelled_twice() {
        let ids = endpoints(1);
        let head = Head::new(&event(), ids.clone());
        let gone = head.record(&message(&head, &ids[0], 1), &Outcome::EndpointDeleted).unwrap();
        assert_eq!(gone.record(&message(&head, &ids[0], 1), &Outcome::EndpointDeleted), None);
    }

    #[test]
    fn trace_6_a_message_of_another_run_changes_nothing() {
        let ids = endpoints(1);
        let head = Head::new(&event(), ids.clone());
        let other = DeliveryMessage { generation: "job_1".to_owned(), ..message(&head, &ids[0], 1) };
        assert_eq!(head.record(&other, &delivered()), None);
    }

    #[test]
    fn what_is_left_of_a_deleted_event_holds_nothing_and_outlives_every_message_about_it() {
        let head = Head::new(&event(), endpoints(1));
        let now = head.expires_at;
        let left = head.tombstone(now);
        assert!(left.is_gone(Timestamp::from_millis(0)) && left.deliveries.is_empty());
        assert_eq!((left.event_type.as_str(), left.rev), ("deleted", 2));
        assert_eq!(left.untried().count(), 0);
        assert_eq!((left.acknowledge(), left.expires_at), (None, now.after(Duration::from_hours(15 * 24))));
    }

    #[test]
    fn retention_counts_from_birth() {
        let event = event();
        let head = Head::new(&event, []);
        assert_eq!(head.expires_at, event.id.accepted_at().after(Duration::from_hours(7 * 24)));
        assert!(!head.is_gone(Timestamp::from_millis(head.expires_at.millis() - 1)));
        assert!(head.is_gone(head.expires_at));
        let days = |head: Head| head.expires_at.since(event.id.accepted_at()).as_secs() / (24 * 3600);
        assert_eq!([1, 6, 7, 90].map(|most| days(head.clone().kept_at_most(most))), [1, 6, 7, 7]);
    }
}

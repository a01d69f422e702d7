//! The status of an event, and the transitions between statuses. An event that no endpoint matched is in the inbox from
//! its birth, one with deliveries [enters](presence) it when a delivery does not succeed at once. It leaves the inbox when
//! every matching endpoint has it, or a client acknowledged it, or its owner deleted it. Webhooks and [leases](leasing)
//! work on the same head.
//!
//! Every transition takes the head that was read and returns the head to write, with the next `rev`. The table writes
//! it only if `rev` has not changed, so no transition overwrites another. The status follows from the deliveries,
//! unless the event was acknowledged, quarantined or deleted.

pub mod expiry;
pub mod lease;
pub mod leasing;
pub mod notice;
pub mod notice_request;
pub mod notice_type;
pub mod presence;
mod recording;
pub mod replay;

#[cfg(test)]
mod interleavings;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::delivery::run::Run;
use crate::delivery::verdict::Verdict;
use crate::delivery::webhook_request::Content;
use crate::delivery::{Delivery, DeliveryState, LastAttempt};
use crate::endpoint::id::EndpointId;
use crate::event::Event;
use crate::event::claim_name::DedupId;
use crate::event::event_type::EventType;
use crate::event::id::EventId;
use crate::tenant::{InboxMode, allowance};
use crate::timestamp::Timestamp;

use lease::Lease;

/// How long the tombstone of a deleted event is kept: longer than a message about the event can stay in a queue (14
/// days).
const KEEP_TOMBSTONE: Duration = Duration::from_hours(15 * 24);

/// The status of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// No endpoint matched, and the event is not acknowledged.
    Pending,
    /// At least one delivery is open.
    Delivering,
    /// Every matching endpoint has the event.
    Delivered,
    /// All deliveries are final, and at least one failed or was cancelled. The event is still in the inbox.
    Failed,
    /// A client acknowledged the event.
    Acked,
    /// The event was leased the allowed number of times without an acknowledgement. It cannot be leased again until a
    /// client releases it from quarantine. It is still in the inbox, and its webhook deliveries go on. The status
    /// starts with the last allowed lease.
    Quarantined,
    /// No endpoint matched, and the inbox of the tenant takes only matched events. The event is in the log alone.
    Unmatched,
    /// The owner deleted the event. Its tombstone has no data of the event; it stops a message in flight from storing
    /// the event again.
    Deleted,
}

impl Status {
    /// All statuses.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Delivering,
        Self::Delivered,
        Self::Failed,
        Self::Acked,
        Self::Quarantined,
        Self::Unmatched,
        Self::Deleted,
    ];

    /// Returns the name of the status in JSON and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivering => "delivering",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Acked => "acked",
            Self::Quarantined => "quarantined",
            Self::Unmatched => "unmatched",
            Self::Deleted => "deleted",
        }
    }

    /// Returns the status with this name; `None` for an unknown name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Returns whether an event with this status can be in the inbox. No endpoint has taken it for good, and no client.
    #[must_use]
    pub const fn is_untaken(self) -> bool {
        matches!(self, Self::Pending | Self::Delivering | Self::Failed | Self::Quarantined)
    }
}

/// The head of an event: all that is stored of it except its payload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Head {
    /// The id of the event.
    pub id: EventId,
    /// The type of the event.
    pub event_type: EventType,
    /// The `dedup_id` of the request, if there was one.
    pub dedup_id: Option<DedupId>,
    /// The status of the event.
    pub status: Status,
    /// One entry for each endpoint that matched when the event was stored, or that a replay added.
    pub deliveries: BTreeMap<EndpointId, Delivery>,
    /// Whether the event is in the inbox ([`presence`]).
    pub in_inbox: bool,
    /// The current lease or delay. After its end it still names the last holder.
    pub lease: Option<Lease>,
    /// The number of leases since the event was stored or last released from quarantine.
    pub lease_count: u32,
    /// The units of the tenant's allowance that one delivery of the payload takes
    /// ([`allowance`]).
    pub units: u32,
    /// The number of writes of the head. Each update is conditional on the value that it read.
    pub rev: u64,
    /// When the event expires, delivered or not.
    pub expires_at: Timestamp,
}

/// The result that is recorded for an open delivery.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// An attempt was made. Holds its verdict and the attempt.
    Attempted(Verdict, LastAttempt),
    /// No attempt was made, because the endpoint was deleted.
    EndpointDeleted,
    /// No attempt was made, because the endpoint is disabled.
    EndpointDisabled,
}

impl Outcome {
    /// Returns whether the endpoint has the event.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Attempted(Verdict::Delivered, _))
    }
}

impl Head {
    /// Returns the event as a webhook request carries it.
    #[must_use]
    pub fn content<'a>(&'a self, payload: &'a str) -> Content<'a> {
        Content { id: self.id, event_type: &self.event_type, payload }
    }

    /// Makes the head of a new event, with an open delivery for each matching endpoint.
    #[must_use]
    pub fn new(event: &Event, matches: impl IntoIterator<Item = EndpointId>) -> Self {
        let accepted_at = event.id.accepted_at();
        let open = Delivery {
            state: DeliveryState::Open,
            run: Run::Original,
            attempts: 0,
            next_at: accepted_at,
            last: None,
            put_off_since: None,
        };
        let retention = Duration::from_hours(24 * u64::from(event.tier.limits().retention_days));
        let head = Self {
            id: event.id,
            event_type: event.event_type.clone(),
            dedup_id: event.dedup_id.clone(),
            status: Status::Pending,
            deliveries: matches.into_iter().map(|endpoint| (endpoint, open.clone())).collect(),
            in_inbox: false,
            lease: None,
            lease_count: 0,
            units: allowance::units_of(event.payload.len()),
            rev: 1,
            expires_at: accepted_at.after(retention),
        };
        Self { status: head.status_of_deliveries(), in_inbox: head.deliveries.is_empty(), ..head }
    }

    /// Keeps a new event out of an inbox that does not take it.
    #[must_use]
    pub fn for_inbox(self, mode: InboxMode) -> Self {
        let is_taken = mode == InboxMode::All || !self.deliveries.is_empty();
        if is_taken { self } else { Self { status: Status::Unmatched, in_inbox: false, ..self } }
    }

    /// Limits the retention to this number of days after the event was accepted. A shorter retention stays as it is.
    #[must_use]
    pub fn limit_retention(self, days: u16) -> Self {
        let end = self.id.accepted_at().after(Duration::from_hours(24 * u64::from(days)));
        Self { expires_at: self.expires_at.min(end), ..self }
    }

    /// Returns whether the event has expired or was deleted. `DynamoDB` may keep the item longer, so the timestamp
    /// decides.
    #[must_use]
    pub fn is_expired_or_deleted(&self, now: Timestamp) -> bool {
        self.expires_at <= now || self.status == Status::Deleted
    }

    /// Returns the open deliveries without a recorded attempt. Each of them needs a message for its first attempt,
    /// also when the event is received again.
    pub fn without_attempt(&self) -> impl Iterator<Item = (&EndpointId, &Delivery)> {
        self.deliveries.iter().filter(|(_, d)| d.state == DeliveryState::Open && d.attempts == 0)
    }

    /// Returns the number of recorded attempts of all deliveries.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.deliveries.values().map(|delivery| delivery.attempts).sum()
    }

    /// Acknowledges the event by its id, without a lease, also while its first attempts are under way. Returns `None` if
    /// the event is taken already. Open deliveries end. A lease ends too, and its holder gets `lease-lost`.
    #[must_use]
    pub fn acknowledge(&self) -> Option<Self> {
        self.status.is_untaken().then(|| Self { lease: None, ..self.acked() })
    }

    /// Deletes the event and returns its tombstone, which keeps only the id.
    #[must_use]
    pub fn tombstone(&self, now: Timestamp) -> Self {
        Self {
            event_type: EventType::from_stored(Status::Deleted.as_str()),
            units: 1,
            dedup_id: None,
            status: Status::Deleted,
            deliveries: BTreeMap::new(),
            in_inbox: false,
            lease: None,
            lease_count: 0,
            expires_at: now.after(KEEP_TOMBSTONE),
            ..self.next()
        }
    }

    fn acked(&self) -> Self {
        let mut next = Self { status: Status::Acked, in_inbox: false, ..self.next() };
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
    use crate::delivery::DeliveryMessage;
    use crate::tenant::tier::Tier;
    use crate::testing::{attempted, tenant};

    fn event() -> Event {
        let now = Timestamp::from_seconds(1000);
        Event {
            id: EventId::generate(now, 1, &mut rand::rng()),
            tenant: tenant(),
            tier: Tier::Free,
            event_type: EventType::parse("a").unwrap(),
            payload: "1".to_owned(),
            dedup_id: None,
            trace: None,
        }
    }

    fn endpoints(count: usize) -> Vec<EndpointId> {
        (0..count).map(|i| EndpointId::from_stored(format!("ep_{i}"))).collect()
    }

    fn message(head: &Head, endpoint: &EndpointId, n: u32) -> DeliveryMessage {
        DeliveryMessage {
            n,
            ..DeliveryMessage::first(&tenant(), head.id, endpoint, &head.deliveries[endpoint], false)
        }
    }

    fn delivered() -> Outcome {
        attempted(Verdict::Delivered, "200")
    }

    fn given_up() -> Outcome {
        attempted(Verdict::GiveUp, "500")
    }

    #[test]
    fn an_event_without_endpoints_stays_in_the_inbox_until_it_is_acknowledged() {
        let head = Head::new(&event(), []);
        assert_eq!(head.status, Status::Pending);
        let acked = head.acknowledge().unwrap();
        assert_eq!((acked.status, acked.rev), (Status::Acked, 2));
        assert_eq!(acked.acknowledge(), None);
    }

    #[test]
    fn an_event_leaves_the_inbox_when_every_endpoint_has_it() {
        let ids = endpoints(2);
        let head = Head::new(&event(), ids.clone());
        let one = head.record(&message(&head, &ids[0], 1), &delivered()).unwrap();
        assert_eq!(one.status, Status::Delivering);
        let both = one.record(&message(&one, &ids[1], 1), &delivered()).unwrap();
        assert_eq!(both.status, Status::Delivered);
        assert!(!both.in_inbox);
    }

    #[test]
    fn an_event_stays_in_the_inbox_when_one_delivery_failed_or_was_cancelled() {
        for outcome in [given_up(), Outcome::EndpointDeleted, Outcome::EndpointDisabled] {
            let ids = endpoints(2);
            let head = Head::new(&event(), ids.clone());
            let one = head.record(&message(&head, &ids[0], 1), &outcome).unwrap();
            let both = one.record(&message(&one, &ids[1], 1), &delivered()).unwrap();
            assert_eq!(both.status, Status::Failed);
            assert!(both.in_inbox);
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
        let other = DeliveryMessage { run: Run::from_stored("rpl_1"), ..message(&head, &ids[0], 1) };
        assert_eq!(head.record(&other, &delivered()), None);
    }

    #[test]
    fn a_tombstone_has_no_data_and_outlives_every_message_about_the_event() {
        let head = Head::new(&event(), endpoints(1));
        let now = head.expires_at;
        let left = head.tombstone(now);
        assert!(left.is_expired_or_deleted(Timestamp::from_millis(0)) && left.deliveries.is_empty());
        assert_eq!((left.event_type.as_str(), left.rev), ("deleted", 2));
        assert_eq!(left.without_attempt().count(), 0);
        assert_eq!((left.acknowledge(), left.expires_at), (None, now.after(Duration::from_hours(15 * 24))));
    }

    #[test]
    fn retention_counts_from_the_acceptance() {
        let event = event();
        let head = Head::new(&event, []);
        assert_eq!(head.expires_at, event.id.accepted_at().after(Duration::from_hours(7 * 24)));
        assert!(!head.is_expired_or_deleted(Timestamp::from_millis(head.expires_at.millis() - 1)));
        assert!(head.is_expired_or_deleted(head.expires_at));
        let days = |head: Head| head.expires_at.since(event.id.accepted_at()).as_secs() / (24 * 3600);
        assert_eq!([1, 6, 7, 90].map(|most| days(head.clone().limit_retention(most))), [1, 6, 7, 7]);
    }
}

//! Replays an event: opens its final deliveries again, in a new run.
//!
//! Each delivery names the run that opened it. Runs sort by time. A run does not
//! touch a delivery of its own run or of a later one, so a repeat changes nothing, and two runs at the same time do
//! not undo each other.

use std::collections::BTreeSet;

use crate::delivery::attempt::Attempt;
use crate::delivery::run::Run;
use crate::delivery::{Delivery, DeliveryMessage, DeliveryState};
use crate::endpoint::id::EndpointId;
use crate::endpoint::{Endpoint, EndpointState, MAX_ENDPOINTS};
use crate::inbox::{Head, Status};
use crate::tenant::id::TenantId;
use crate::timestamp::Timestamp;

/// The deliveries that a run opens.
#[derive(Clone, Debug)]
pub struct Reopening<'a> {
    /// The run.
    pub run: &'a Run,
    /// The endpoints whose deliveries are opened.
    pub endpoints: &'a BTreeSet<EndpointId>,
    /// Whether only failed and cancelled deliveries are opened.
    pub only_undelivered: bool,
    /// An endpoint that gets the event even if it did not match when the event was stored.
    pub also_to: Option<&'a EndpointId>,
}

/// Returns the endpoints that a replay sends to: the active ones, or only the named one if it is active.
#[must_use]
pub fn targets(endpoints: &[Endpoint], named: Option<&EndpointId>) -> BTreeSet<EndpointId> {
    let is_target = |endpoint: &&Endpoint| {
        endpoint.state == EndpointState::Active && named.is_none_or(|named| *named == endpoint.id)
    };
    endpoints.iter().filter(is_target).map(|endpoint| endpoint.id.clone()).collect()
}

impl Head {
    /// Opens final deliveries again, with the first attempt due at `at`. Returns `None` if there is none to open.
    #[must_use]
    pub fn reopen(&self, what: &Reopening<'_>, at: Timestamp) -> Option<Self> {
        // 1. Open the final deliveries that the run may open.
        let mut next = self.next();
        let open = Delivery {
            state: DeliveryState::Open,
            run: what.run.clone(),
            attempts: 0,
            next_at: at,
            last: None,
            put_off_since: None,
        };
        let mut opened = 0;
        for (endpoint, delivery) in &mut next.deliveries {
            if what.endpoints.contains(endpoint) && what.wants(delivery) {
                *delivery = open.clone();
                opened += 1;
            }
        }

        // 2. Add the endpoint that did not match at first, if the head has room for it.
        if let Some(endpoint) = what.also_to {
            let has_room = next.deliveries.len() < MAX_ENDPOINTS;
            if has_room && !next.deliveries.contains_key(endpoint) {
                next.deliveries.insert(endpoint.clone(), open);
                opened += 1;
            }
        }

        // 3. An event outside of the inbox stays there while the attempts are under way, as a new event does.
        next.status = Status::Delivering; // a replay ends the quarantine
        next.lease_count = 0;
        if !self.in_inbox {
            next.lease = None; // the holder who acknowledged the event got its answer; a repeat must not acknowledge the reopened event
        }
        (opened > 0 && self.status != Status::Deleted).then_some(next)
    }

    /// Returns the attempts that only this head has, and that `next`, with its reopened deliveries, no longer has.
    #[must_use]
    pub fn attempts_lost_by(&self, next: &Self, tenant: &TenantId) -> Vec<Attempt> {
        let mut forgotten = Vec::new();
        for (endpoint, delivery) in &self.deliveries {
            let opened = next.deliveries.get(endpoint);
            if opened.is_some_and(|opened| opened.run != delivery.run) {
                let message = DeliveryMessage::first(tenant, self.id, endpoint, delivery, false);
                forgotten.extend(Attempt::from_head(&message, delivery));
            }
        }
        forgotten
    }

    /// Returns the open deliveries of this run without a recorded attempt. Each of them needs a message.
    pub fn without_attempt_in<'a>(
        &'a self,
        run: &'a Run,
    ) -> impl Iterator<Item = (&'a EndpointId, &'a Delivery)> {
        self.without_attempt().filter(move |(_, delivery)| delivery.run == *run)
    }

    /// Returns whether this run opened any of the deliveries.
    #[must_use]
    pub fn was_replayed_by(&self, run: &Run) -> bool {
        self.deliveries.values().any(|delivery| delivery.run == *run)
    }
}

impl Reopening<'_> {
    fn wants(&self, delivery: &Delivery) -> bool {
        let is_wanted = match delivery.state {
            DeliveryState::Open => false,
            DeliveryState::Failed | DeliveryState::Cancelled => true,
            DeliveryState::Delivered | DeliveryState::Acked => !self.only_undelivered,
        };
        is_wanted && delivery.run < *self.run
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::time::Duration;

    use super::*;
    use crate::delivery::DeliveryMessage;
    use crate::delivery::verdict::{Answer, Verdict};
    use crate::inbox::lease::{Acknowledged, LeaseId, LeaseTerms};
    use crate::testing::{START, attempted, endpoint, event, tenant};

    static RUN: LazyLock<Run> = LazyLock::new(|| Run::from_stored("rpl_1"));

    /// An event that the first endpoint has and the second does not.
    fn half_delivered() -> (Head, BTreeSet<EndpointId>) {
        let tenant = tenant();
        let ids = [endpoint(1).id, endpoint(2).id];
        let mut head = Head::new(&event(&tenant, "a", "1", START), ids.clone());
        for (id, verdict) in ids.iter().zip([Verdict::Delivered, Verdict::GiveUp]) {
            let message = DeliveryMessage::first(&tenant, head.id, id, &head.deliveries[id], false);
            head = head.record(&message, &attempted(verdict, "204")).unwrap();
        }
        assert_eq!(head.status, Status::Failed);
        (head, ids.into())
    }

    fn all(endpoints: &BTreeSet<EndpointId>) -> Reopening<'_> {
        Reopening { run: &RUN, endpoints, only_undelivered: false, also_to: None }
    }

    #[test]
    fn a_run_opens_each_final_delivery_once() {
        let (head, endpoints) = half_delivered();
        let replayed = head.reopen(&all(&endpoints), START).unwrap();
        assert_eq!((replayed.status, replayed.rev), (Status::Delivering, head.rev + 1));
        assert_eq!(replayed.without_attempt_in(&RUN).count(), 2);
        assert_eq!(replayed.reopen(&all(&endpoints), START), None, "its deliveries are open");
        assert!(replayed.was_replayed_by(&RUN) && !head.was_replayed_by(&RUN));
        let acked = replayed.acknowledge().unwrap();
        assert_eq!(acked.reopen(&all(&endpoints), START), None, "the run opened them before");
        let second = Run::from_stored("rpl_2");
        let later = Reopening { run: &second, ..all(&endpoints) };
        let again = acked.reopen(&later, START).unwrap();
        assert_eq!(
            again.acknowledge().unwrap().reopen(&all(&endpoints), START),
            None,
            "a later run opened them"
        );
    }

    #[test]
    fn an_attempt_that_only_the_head_has_is_returned_before_it_is_overwritten() {
        let (head, endpoints) = half_delivered();
        let taking = endpoint(1).id;
        let tenant = tenant();
        let delivered = Attempt {
            message: DeliveryMessage::first(&tenant, head.id, &taking, &head.deliveries[&taking], false),
            at: START,
            duration_ms: 1,
            answer: Answer::Status { code: 204, retry_after: None, excerpt: String::new() },
            verdict: Verdict::Delivered,
        };
        let replayed = head.reopen(&all(&endpoints), START).unwrap();
        assert_eq!(
            head.attempts_lost_by(&replayed, &tenant),
            [delivered],
            "a failed attempt has its own item"
        );
        let retry = Reopening { only_undelivered: true, ..all(&endpoints) };
        assert_eq!(head.attempts_lost_by(&head.reopen(&retry, START).unwrap(), &tenant), []);
        assert_eq!(replayed.attempts_lost_by(&replayed, &tenant), []);
        let mut late = head.clone();
        late.deliveries.get_mut(&taking).unwrap().attempts = 2;
        assert_eq!(late.attempts_lost_by(&replayed, &tenant), [], "a second attempt has its own item");
    }

    #[test]
    fn trace_6_an_open_delivery_is_not_changed() {
        let ids = [endpoint(1).id];
        let open = Head::new(&event(&tenant(), "a", "1", START), ids.clone());
        assert_eq!(open.reopen(&all(&ids.into()), START), None, "its first attempt may be under way");
    }

    #[test]
    fn a_bulk_retry_opens_failed_deliveries_only() {
        let (head, endpoints) = half_delivered();
        let retry = Reopening { only_undelivered: true, ..all(&endpoints) };
        let replayed = head.reopen(&retry, START).unwrap();
        let opened: Vec<&EndpointId> = replayed.without_attempt_in(&RUN).map(|(id, _)| id).collect();
        assert_eq!(opened, [&endpoint(2).id]);
    }

    #[test]
    fn only_named_endpoints_get_the_event_and_one_that_did_not_match_can() {
        let (head, _) = half_delivered();
        let none = BTreeSet::new();
        let new = endpoint(3).id;
        assert_eq!(head.reopen(&all(&none), START), None);
        let also = Reopening { also_to: Some(&new), ..all(&none) };
        let replayed = head.reopen(&also, START).unwrap();
        assert_eq!(replayed.without_attempt_in(&RUN).map(|(id, _)| id).collect::<Vec<_>>(), [&new]);
        let fifty = (0..50).map(|n| (endpoint(100 + n).id, head.deliveries[&endpoint(1).id].clone()));
        let full = Head { deliveries: fifty.collect(), ..head };
        assert_eq!(
            full.reopen(&also, START),
            None,
            "an event has at most as many deliveries as a tenant has endpoints"
        );
    }

    #[test]
    fn a_lease_survives_a_replay_in_the_inbox_but_not_after_an_acknowledgement() {
        let (head, endpoints) = half_delivered();
        let holder = LeaseId::generate(&mut rand::rng());
        let until = START.after(Duration::from_secs(60));
        let terms = LeaseTerms { holder: holder.clone(), until, include_open: false, max_leases: 10 };
        let leased = head.lease(&terms, START).unwrap();
        let replayed = leased.reopen(&all(&endpoints), START).unwrap();
        assert!(replayed.is_held_by(&holder, START));
        let Acknowledged::Now(acked) = leased.acknowledge_as(&holder, START) else { panic!("it is held") };
        assert_eq!(acked.acknowledge_as(&holder, START), Acknowledged::Already);
        let reopened = acked.reopen(&all(&endpoints), START).unwrap();
        assert_eq!(reopened.acknowledge_as(&holder, START), Acknowledged::Lost);
    }

    #[test]
    fn a_deleted_event_stays_deleted() {
        let (head, endpoints) = half_delivered();
        let also = endpoint(3).id;
        let what = Reopening { also_to: Some(&also), ..all(&endpoints) };
        assert_eq!(head.tombstone(START).reopen(&what, START), None);
    }
}

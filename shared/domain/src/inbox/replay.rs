//! Sending an event again: final deliveries are opened once more, in a run of their own.
//!
//! A run's id is the generation of the deliveries that it opened; ids of runs sort by time, and a run touches no
//! delivery of its own or of a later run. So it does nothing twice however often it is repeated, and two runs at
//! once do not undo each other.

use std::collections::BTreeSet;

use crate::delivery::attempt::Attempt;
use crate::delivery::{Delivery, DeliveryMessage, DeliveryState};
use crate::endpoint::id::EndpointId;
use crate::endpoint::{Endpoint, EndpointState, MAX_ENDPOINTS};
use crate::inbox::{Head, Status};
use crate::tenant::id::TenantId;
use crate::timestamp::Timestamp;

/// What a run opens again.
#[derive(Clone, Debug)]
pub struct Reopening<'a> {
    /// The run: the generation of what it opens.
    pub run: &'a str,
    /// Only deliveries to these.
    pub endpoints: &'a BTreeSet<EndpointId>,
    /// Whether deliveries are left alone that the endpoint took, or that an acknowledgement ended.
    pub only_undelivered: bool,
    /// An endpoint that gets the event even if it did not match when the event was stored.
    pub also_to: Option<&'a EndpointId>,
}

/// To which of a tenant's endpoints events are sent again: those that take deliveries, or of these the one that is named.
#[must_use]
pub fn targets(endpoints: &[Endpoint], named: Option<&EndpointId>) -> BTreeSet<EndpointId> {
    let is_target = |endpoint: &&Endpoint| {
        endpoint.state == EndpointState::Active && named.is_none_or(|named| *named == endpoint.id)
    };
    endpoints.iter().filter(is_target).map(|endpoint| endpoint.id.clone()).collect()
}

impl Head {
    /// The head once final deliveries are opened again, to be attempted at `at`; `None` where there is none to open.
    #[must_use]
    pub fn reopen(&self, what: &Reopening<'_>, at: Timestamp) -> Option<Self> {
        // 1. Open the final deliveries that the run may open.
        let mut next = self.next();
        let open = Delivery {
            state: DeliveryState::Open,
            generation: what.run.to_owned(),
            attempts: 0,
            next_at: at,
            last: None,
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

        // 3. Bring the event back into the inbox.
        next.status = Status::Delivering; // whoever replays it looks after it: it is in quarantine no more
        next.lease_count = 0;
        if !self.status.is_in_inbox() {
            next.lease = None; // who took it out was told so: asking again must not take it out again
        }
        (opened > 0 && self.status != Status::Deleted).then_some(next)
    }

    /// The attempts that stand in this head alone, and that `next`, where deliveries are opened again, does not remember.
    #[must_use]
    pub fn forgotten_in(&self, next: &Self, tenant: &TenantId) -> Vec<Attempt> {
        let mut forgotten = Vec::new();
        for (endpoint, delivery) in &self.deliveries {
            let opened = next.deliveries.get(endpoint);
            if opened.is_some_and(|opened| opened.generation != delivery.generation) {
                let message = DeliveryMessage::first(tenant, self.id, endpoint, delivery, false);
                forgotten.extend(Attempt::remembered(&message, delivery));
            }
        }
        forgotten
    }

    /// The deliveries of this run whose first attempt nobody recorded yet: each wants a message.
    pub fn untried_of<'a>(&'a self, run: &'a str) -> impl Iterator<Item = (&'a EndpointId, &'a Delivery)> {
        self.untried().filter(move |(_, delivery)| delivery.generation == run)
    }

    /// Whether this run opened any of its deliveries.
    #[must_use]
    pub fn was_replayed_by(&self, run: &str) -> bool {
        self.deliveries.values().any(|delivery| delivery.generation == run)
    }
}

impl Reopening<'_> {
    fn wants(&self, delivery: &Delivery) -> bool {
        let is_wanted = match delivery.state {
            DeliveryState::Open => false,
            DeliveryState::Failed | DeliveryState::Cancelled => true,
            DeliveryState::Delivered | DeliveryState::Acked => !self.only_undelivered,
        };
        is_wanted && delivery.generation.as_str() < self.run
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::delivery::DeliveryMessage;
    use crate::delivery::verdict::{Answer, Verdict};
    use crate::inbox::lease::{Acknowledged, LeaseId, Terms};
    use crate::testing::{START, attempted, endpoint, event, tenant};

    const RUN: &str = "rpl_1";

    /// An event whose first endpoint took it and whose second did not.
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
        Reopening { run: RUN, endpoints, only_undelivered: false, also_to: None }
    }

    #[test]
    fn final_deliveries_are_opened_once_by_a_run() {
        let (head, endpoints) = half_delivered();
        let replayed = head.reopen(&all(&endpoints), START).unwrap();
        assert_eq!((replayed.status, replayed.rev), (Status::Delivering, head.rev + 1));
        assert_eq!(replayed.untried_of(RUN).count(), 2);
        assert_eq!(replayed.reopen(&all(&endpoints), START), None, "they are open");
        assert!(replayed.was_replayed_by(RUN) && !head.was_replayed_by(RUN));
        let acked = replayed.acknowledge().unwrap();
        assert_eq!(acked.reopen(&all(&endpoints), START), None, "the run has had them");
        let later = Reopening { run: "rpl_2", ..all(&endpoints) };
        let again = acked.reopen(&later, START).unwrap();
        assert_eq!(
            again.acknowledge().unwrap().reopen(&all(&endpoints), START),
            None,
            "a later run had them"
        );
    }

    #[test]
    fn what_stands_in_the_head_alone_is_told_before_it_is_overwritten() {
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
        assert_eq!(head.forgotten_in(&replayed, &tenant), [delivered], "what failed has an item of its own");
        let retry = Reopening { only_undelivered: true, ..all(&endpoints) };
        assert_eq!(head.forgotten_in(&head.reopen(&retry, START).unwrap(), &tenant), []);
        assert_eq!(replayed.forgotten_in(&replayed, &tenant), []);
        let mut late = head.clone();
        late.deliveries.get_mut(&taking).unwrap().attempts = 2;
        assert_eq!(late.forgotten_in(&replayed, &tenant), [], "a second attempt has an item of its own");
    }

    #[test]
    fn trace_6_what_is_still_open_is_not_touched() {
        let ids = [endpoint(1).id];
        let open = Head::new(&event(&tenant(), "a", "1", START), ids.clone());
        assert_eq!(open.reopen(&all(&ids.into()), START), None, "its first attempt may be under way");
    }

    #[test]
    fn a_bulk_retry_leaves_alone_what_was_taken() {
        let (head, endpoints) = half_delivered();
        let retry = Reopening { only_undelivered: true, ..all(&endpoints) };
        let replayed = head.reopen(&retry, START).unwrap();
        let opened: Vec<&EndpointId> = replayed.untried_of(RUN).map(|(id, _)| id).collect();
        assert_eq!(opened, [&endpoint(2).id]);
    }

    #[test]
    fn only_named_endpoints_get_it_and_one_that_did_not_match_may() {
        let (head, _) = half_delivered();
        let none = BTreeSet::new();
        let new = endpoint(3).id;
        assert_eq!(head.reopen(&all(&none), START), None);
        let also = Reopening { also_to: Some(&new), ..all(&none) };
        let replayed = head.reopen(&also, START).unwrap();
        assert_eq!(replayed.untried_of(RUN).map(|(id, _)| id).collect::<Vec<_>>(), [&new]);
        let fifty = (0..50).map(|n| (endpoint(100 + n).id, head.deliveries[&endpoint(1).id].clone()));
        let full = Head { deliveries: fifty.collect(), ..head };
        assert_eq!(full.reopen(&also, START), None, "no event has more deliveries than a tenant endpoints");
    }

    #[test]
    fn a_lease_holds_what_is_in_the_inbox_and_nothing_that_comes_back_to_it() {
        let (head, endpoints) = half_delivered();
        let holder = LeaseId::generate(&mut rand::rng());
        let until = START.after(Duration::from_secs(60));
        let terms = Terms { holder: holder.clone(), until, include_open: false, most_leases: 10 };
        let leased = head.lease(&terms, START).unwrap();
        let replayed = leased.reopen(&all(&endpoints), START).unwrap();
        assert!(replayed.is_held_by(&holder, START));
        let Acknowledged::Now(acked) = leased.acknowledge_as(&holder, START) else { panic!("it is held") };
        assert_eq!(acked.acknowledge_as(&holder, START), Acknowledged::Already);
        let reopened = acked.reopen(&all(&endpoints), START).unwrap();
        assert_eq!(reopened.acknowledge_as(&holder, START), Acknowledged::Lost);
    }

    #[test]
    fn what_is_deleted_stays_deleted() {
        let (head, endpoints) = half_delivered();
        let also = endpoint(3).id;
        let what = Reopening { also_to: Some(&also), ..all(&endpoints) };
        assert_eq!(head.tombstone(START).reopen(&what, START), None);
    }
}

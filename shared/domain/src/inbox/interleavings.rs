//! Tests random sequences of acts by webhooks, leases, owners and replays. After each act the event is in the inbox,
//! under way or taken, at most one lease holds it, and no delivery is recorded twice.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use crate::delivery::run::Run;
use crate::delivery::verdict::Verdict;
use crate::delivery::{DeliveryMessage, DeliveryState};
use crate::endpoint::id::EndpointId;
use crate::inbox::lease::{Acknowledged, LeaseId, LeaseTerms};
use crate::inbox::replay::Reopening;
use crate::inbox::{Head, Outcome, Status};
use crate::tenant::id::TenantId;
use crate::testing::{START, attempted, endpoint, event, tenant};
use crate::timestamp::Timestamp;

const HOLDERS: usize = 3;
const ENDPOINTS: u8 = 3;
const MAX_LEASES: u32 = 4;

/// One act.
#[derive(Clone, Copy, Debug)]
enum Act {
    Wait(u64),
    Lease { holder: usize, seconds: u64, include_open: bool },
    AcknowledgeAs(usize),
    Acknowledge,
    EnterInbox,
    Release { holder: usize, delay: u64 },
    Extend { holder: usize, seconds: u64 },
    ReleaseFromQuarantine,
    Record { endpoint: u8, n: u32, verdict: u8 },
    Replay { only_undelivered: bool, also_to: bool },
    Delete,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let holder = 0..HOLDERS;
    let endpoint = 1..=ENDPOINTS;
    let act = prop_oneof![
        4 => (0u64..40).prop_map(Act::Wait),
        6 => (holder.clone(), 1u64..60, any::<bool>())
            .prop_map(|(holder, seconds, include_open)| Act::Lease { holder, seconds, include_open }),
        4 => holder.clone().prop_map(Act::AcknowledgeAs),
        1 => Just(Act::Acknowledge),
        2 => Just(Act::EnterInbox),
        2 => (holder.clone(), 0u64..30).prop_map(|(holder, delay)| Act::Release { holder, delay }),
        2 => (holder, 1u64..60).prop_map(|(holder, seconds)| Act::Extend { holder, seconds }),
        1 => Just(Act::ReleaseFromQuarantine),
        6 => (endpoint, 1u32..4, 0u8..5).prop_map(|(endpoint, n, verdict)| Act::Record { endpoint, n, verdict }),
        2 => (any::<bool>(), any::<bool>())
            .prop_map(|(only_undelivered, also_to)| Act::Replay { only_undelivered, also_to }),
        1 => prop::bool::weighted(0.1).prop_map(|dies| if dies { Act::Delete } else { Act::Wait(1) }),
    ];
    prop::collection::vec(act, 0..80)
}

/// One event, and the leases that its holders have.
struct Story {
    tenant: TenantId,
    head: Head,
    now: Timestamp,
    runs: u32,
    leases: usize,
    /// For each holder its lease, and when that lease ends.
    held: Vec<(LeaseId, Timestamp)>,
    deleted: bool,
}

/// The lease with this number.
fn lease_id(number: usize) -> LeaseId {
    LeaseId::parse(&format!("lse_{number:032x}")).expect("an identity")
}

impl Story {
    fn begin(endpoints: u8) -> Self {
        let tenant = tenant();
        let never = Timestamp::from_millis(0);
        let head = Head::new(&event(&tenant, "a", "1", START), (1..=endpoints).map(|n| endpoint(n).id));
        let leases = (0..HOLDERS).map(|holder| (lease_id(holder), never)).collect();
        Self { tenant, head, now: START, runs: 0, leases: HOLDERS, held: leases, deleted: false }
    }

    /// Writes the next head as the table would. Returns false if the act was not allowed.
    fn write(&mut self, next: Option<Head>) -> bool {
        let Some(next) = next else { return false };
        assert_eq!(next.rev, self.head.rev + 1);
        self.head = next;
        true
    }

    fn act(&mut self, act: Act) {
        let now = self.now;
        match act {
            Act::Wait(seconds) => self.now = now.after(Duration::from_secs(seconds)),
            Act::Lease { holder, seconds, include_open } => self.lease(holder, seconds, include_open),
            Act::AcknowledgeAs(holder) => self.acknowledge_as(holder),
            Act::Acknowledge => drop(self.write(self.head.acknowledge())),
            Act::EnterInbox => drop(self.write(self.head.enter_inbox())),
            Act::Release { holder, delay } => {
                let lease = self.held[holder].0.clone();
                if self.write(self.head.release(&lease, Duration::from_secs(delay), now)) {
                    self.held[holder].1 = now;
                }
            }
            Act::Extend { holder, seconds } => {
                let lease = self.held[holder].0.clone();
                let until = now.after(Duration::from_secs(seconds));
                if self.write(self.head.extend(&lease, until, now)) {
                    self.held[holder].1 = until;
                }
            }
            Act::ReleaseFromQuarantine => {
                let next = self.head.release_from_quarantine(Duration::ZERO, now);
                assert!(
                    next.is_none() || self.held.iter().all(|(_, until)| *until <= now),
                    "a lease still holds"
                );
                self.write(next);
            }
            Act::Record { endpoint: number, n, verdict } => self.record(&endpoint(number).id, n, verdict),
            Act::Replay { only_undelivered, also_to } => self.replay(only_undelivered, also_to),
            Act::Delete => {
                self.deleted = true;
                self.write(Some(self.head.tombstone(now)));
            }
        }
    }

    fn replay(&mut self, only_undelivered: bool, also_to: bool) {
        self.runs += 1;
        let run = Run::from_stored(&format!("rpl_{:03}", self.runs));
        let extra = endpoint(9).id;
        let endpoints: BTreeSet<EndpointId> = self.head.deliveries.keys().cloned().collect();
        let also_to = also_to.then_some(&extra);
        let what = Reopening { run: &run, endpoints: &endpoints, only_undelivered, also_to };
        if self.write(self.head.reopen(&what, self.now)) {
            assert_eq!(self.head.reopen(&what, self.now), None, "a run opens each delivery once");
        }
    }

    fn lease(&mut self, holder: usize, seconds: u64, include_open: bool) {
        let now = self.now;
        let id = lease_id(self.leases);
        self.leases += 1;
        let until = now.after(Duration::from_secs(seconds));
        let terms = LeaseTerms { holder: id.clone(), until, include_open, max_leases: MAX_LEASES };
        let is_held = self.held.iter().any(|(lease, until)| now < *until && self.is_in_head(lease));
        if self.write(self.head.lease(&terms, now)) {
            assert!(!is_held, "another lease holds it");
            self.held[holder] = (id, until);
        }
    }

    /// Returns whether the head still has the lease. A webhook, an owner or an acknowledgement may end a lease early,
    /// and then removes it from the head.
    fn is_in_head(&self, lease: &LeaseId) -> bool {
        self.head.lease.as_ref().is_some_and(|held| held.holder.as_ref() == Some(lease))
    }

    fn acknowledge_as(&mut self, holder: usize) {
        let (lease, until) = self.held[holder].clone();
        let was = self.head.status;
        match self.head.acknowledge_as(&lease, self.now) {
            Acknowledged::Now(next) => {
                assert!(self.now < until && was.is_untaken());
                self.write(Some(*next));
                assert_eq!(self.head.acknowledge_as(&lease, self.now), Acknowledged::Already);
            }
            Acknowledged::Already => assert_eq!(was, Status::Acked),
            Acknowledged::Lost => {}
        }
    }

    fn record(&mut self, id: &EndpointId, n: u32, verdict: u8) {
        let Some(delivery) = self.head.deliveries.get(id) else { return };
        let first = DeliveryMessage::first(&self.tenant, self.head.id, id, delivery, false);
        let message = DeliveryMessage { n, ..first };
        let before = delivery.clone();
        let outcome = match verdict {
            0 => attempted(Verdict::Delivered, "200"),
            1 => attempted(Verdict::RetryAt(self.now), "500"),
            2 => attempted(Verdict::GiveUp, "500"),
            3 => Outcome::EndpointDeleted,
            _ => Outcome::EndpointDisabled,
        };
        if self.write(self.head.record(&message, &outcome)) {
            assert_eq!(
                (before.state, before.attempts + 1),
                (DeliveryState::Open, n),
                "a message acts on its own attempt only"
            );
        }
    }

    fn holds_its_promises(&self, before: &Head) {
        let head = &self.head;
        let taken = |state| matches!(state, DeliveryState::Delivered | DeliveryState::Acked);
        let all_taken = head.deliveries.values().all(|delivery| taken(delivery.state));
        let is_taken = if head.deliveries.is_empty() { head.status == Status::Acked } else { all_taken };
        if self.deleted {
            assert!(!head.in_inbox && head.deliveries.is_empty());
        } else {
            assert_eq!(head.status.is_untaken(), !is_taken, "taken or not: {head:?}");
            let mut deliveries = head.deliveries.values();
            let is_under_way = deliveries.any(|delivery| delivery.state == DeliveryState::Open);
            assert!(
                head.in_inbox || is_taken || is_under_way,
                "neither a queue nor the inbox has it: {head:?}"
            );
            assert!(!(head.in_inbox && is_taken), "taken and still in the inbox: {head:?}");
        }
        if before.status == Status::Acked && head.status.is_untaken() {
            assert_eq!(head.status, Status::Delivering, "only a replay brings an event back");
        }
        let holding = self.held.iter().filter(|(lease, _)| head.is_held_by(lease, self.now));
        assert!(holding.count() <= 1, "two leases hold it");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn after_any_acts_an_event_is_in_the_inbox_under_way_or_taken_and_held_by_one_lease_at_most(
        endpoints in 0..=ENDPOINTS,
        acts in acts(),
    ) {
        let mut story = Story::begin(endpoints);
        for act in acts {
            let before = story.head.clone();
            story.act(act);
            story.holds_its_promises(&before);
        }
    }
}

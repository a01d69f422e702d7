//! Which events a replay sends again, and how far it has come.

use std::collections::BTreeSet;

use crate::endpoint::Endpoint;
use crate::endpoint::id::EndpointId;
use crate::event::event_type::EventType;
use crate::event::id::EventId;
use crate::inbox::replay::{Reopening, targets};
use crate::inbox::{Head, Status};
use crate::timestamp::Timestamp;

/// Which events, to whom, and how fast; and how far it is done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Replay {
    /// Which events.
    pub filter: Filter,
    /// Only to this endpoint; and to it even if it did not match when an event was stored, as long as it wants its type.
    pub endpoint: Option<EndpointId>,
    /// No faster than this; `None` where only the endpoints' own rates count.
    pub rate_per_second: Option<u32>,
    /// How many events the filter let through when the replay was asked for.
    pub count: u64,
    /// Whether that is all of them: counting ends somewhere.
    pub count_is_exact: bool,
    /// How far it has come.
    pub progress: Progress,
}

/// Which events of a tenant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter {
    /// How many of the tenant's shards there are.
    pub shards: u8,
    /// From events accepted at this moment on.
    pub since: Timestamp,
    /// Up to those accepted before this moment.
    pub until: Timestamp,
    /// Only of this type.
    pub event_type: Option<EventType>,
    /// Only of this status. Of failed events only what failed is sent again.
    pub status: Option<Status>,
}

/// How far a replay has come: everything before the cursor is done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// The shard it is at; one more than there are once all are done.
    pub shard: u8,
    /// The last event of it that was looked at.
    pub after: Option<EventId>,
    /// Events that the filter let through.
    pub seen: u64,
    /// Events that were sent again to at least one endpoint.
    pub replayed: u64,
    /// Deliveries that were opened again.
    pub deliveries: u64,
}

impl Filter {
    /// Whether this event is one of them.
    #[must_use]
    pub fn lets_through(&self, head: &Head, now: Timestamp) -> bool {
        !head.is_gone(now)
            && self.event_type.as_ref().is_none_or(|event_type| *event_type == head.event_type)
            && self.status.is_none_or(|status| status == head.status)
    }
}

impl Replay {
    /// Whether every shard is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.progress.shard >= self.filter.shards
    }

    /// To which of a tenant's endpoints it may go: those that take deliveries.
    #[must_use]
    pub fn targets(&self, endpoints: &[Endpoint]) -> BTreeSet<EndpointId> {
        targets(endpoints, self.endpoint.as_ref())
    }

    /// How many events it may send in a second while so many replays of its tenant are under way: together half of what the
    /// slowest target takes, so that live events find room beside them.
    #[must_use]
    pub fn pace(&self, endpoints: &[Endpoint], under_way: usize) -> u32 {
        let targets = self.targets(endpoints);
        let rates = endpoints.iter().filter(|endpoint| targets.contains(&endpoint.id));
        let shared_by = u32::try_from(under_way).unwrap_or(u32::MAX).max(1);
        let share = rates.map(|endpoint| endpoint.rate_per_second / 2 / shared_by).min();
        share.into_iter().chain(self.rate_per_second).min().unwrap_or(1).max(1)
    }

    /// The head once this run has opened it; `None` where there is nothing to open, or it was done before.
    #[must_use]
    pub fn reopen(&self, run: &str, head: &Head, endpoints: &[Endpoint], now: Timestamp) -> Option<Head> {
        if !self.filter.lets_through(head, now) {
            return None;
        }
        let targets = self.targets(endpoints);
        let also = endpoints.iter().find(|endpoint| {
            self.endpoint.as_ref() == Some(&endpoint.id)
                && targets.contains(&endpoint.id)
                && endpoint.wants(&head.event_type)
        });
        let what = Reopening {
            run,
            endpoints: &targets,
            only_undelivered: self.filter.status == Some(Status::Failed),
            also_to: also.map(|endpoint| &endpoint.id),
        };
        head.reopen(&what, now)
    }

    /// The replay after a step that looked at these events, in the state they are in now. What the run did with an event
    /// before its process died counts as this step's.
    #[must_use]
    pub fn advanced(&self, run: &str, heads: &[Head], reached: Option<EventId>, now: Timestamp) -> Self {
        let mut next = self.clone();
        let not_opened = heads.iter().filter(|head| !head.was_replayed_by(run));
        let let_through = not_opened.filter(|head| self.filter.lets_through(head, now)).count();
        next.progress.seen += u64::try_from(let_through).unwrap_or(u64::MAX);
        next.progress.count(run, heads);
        next.progress.after = reached;
        if reached.is_none() {
            next.progress.shard += 1;
        }
        next
    }

    /// The replay once it is cancelled, and these are the events that a step which did not end may have opened.
    #[must_use]
    pub fn cut_off(&self, run: &str, heads: &[Head]) -> Self {
        let mut next = self.clone();
        next.progress.count(run, heads);
        next
    }
}

impl Progress {
    /// Counts those of these events that the run has opened.
    fn count(&mut self, run: &str, heads: &[Head]) {
        for head in heads.iter().filter(|head| head.was_replayed_by(run)) {
            let opened = head.deliveries.values().filter(|delivery| delivery.generation == run).count();
            self.seen += 1;
            self.replayed += 1;
            self.deliveries += u64::try_from(opened).unwrap_or(u64::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::EndpointState;
    use crate::endpoint::pattern::Pattern;
    use crate::testing::{START, endpoint, event, tenant};

    const RUN: &str = "rpl_1";

    fn replay() -> Replay {
        let filter = Filter { shards: 2, since: START, until: START, event_type: None, status: None };
        Replay {
            filter,
            endpoint: None,
            rate_per_second: None,
            count: 0,
            count_is_exact: true,
            progress: Progress::default(),
        }
    }

    fn acked() -> Head {
        Head::new(&event(&tenant(), "a", "1", START), [endpoint(1).id]).acknowledge().unwrap()
    }

    #[test]
    fn replays_leave_half_of_the_slowest_endpoints_rate_to_live_events() {
        let of = |number, rate_per_second| Endpoint { rate_per_second, ..endpoint(number) };
        let endpoints = [of(1, 30), of(2, 10)];
        assert_eq!([1, 2, 10].map(|under_way| replay().pace(&endpoints, under_way)), [5, 2, 1]);
        assert_eq!(Replay { endpoint: Some(endpoint(1).id), ..replay() }.pace(&endpoints, 1), 15);
        assert_eq!(Replay { rate_per_second: Some(2), ..replay() }.pace(&endpoints, 1), 2);
        assert_eq!((replay().pace(&[of(1, 1)], 1), replay().pace(&[], 0)), (1, 1));
    }

    #[test]
    fn a_disabled_endpoint_is_no_target() {
        let disabled = Endpoint { state: EndpointState::Disabled, ..endpoint(1) };
        assert_eq!(replay().reopen(RUN, &acked(), &[disabled], START), None);
        assert!(replay().reopen(RUN, &acked(), &[endpoint(1)], START).is_some());
    }

    #[test]
    fn an_endpoint_that_is_named_gets_what_it_wants_even_if_it_is_new() {
        let named = Replay { endpoint: Some(endpoint(2).id), ..replay() };
        let opened = named.reopen(RUN, &acked(), &[endpoint(1), endpoint(2)], START).unwrap();
        assert_eq!(opened.untried_of(RUN).map(|(id, _)| id.clone()).collect::<Vec<_>>(), [endpoint(2).id]);
        let unwilling = Endpoint { event_types: vec![Pattern::parse("b").unwrap()], ..endpoint(2) };
        assert_eq!(named.reopen(RUN, &acked(), &[unwilling], START), None);
    }

    #[test]
    fn what_is_done_again_after_a_crash_is_counted_once() {
        let opened = replay().reopen(RUN, &acked(), &[endpoint(1)], START).unwrap();
        let untouched = Head::new(&event(&tenant(), "a", "1", START), []);
        let heads = [opened, untouched];
        let first = replay().advanced(RUN, &heads, Some(heads[1].id), START);
        let expected = Progress { shard: 0, after: Some(heads[1].id), seen: 2, replayed: 1, deliveries: 1 };
        assert_eq!(first.progress, expected);
        let next = first.advanced(RUN, &[], None, START);
        assert_eq!((next.progress.shard, next.progress.after, next.is_done()), (1, None, false));
        assert!(next.advanced(RUN, &[], None, START).is_done());
    }

    #[test]
    fn what_a_cancelled_step_had_opened_is_counted_and_nothing_else() {
        let opened = replay().reopen(RUN, &acked(), &[endpoint(1)], START).unwrap();
        let cut_off = replay().cut_off(RUN, &[opened, acked()]);
        assert_eq!(cut_off.progress, Progress { seen: 1, replayed: 1, deliveries: 1, ..Progress::default() });
    }
}

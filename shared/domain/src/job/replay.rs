//! The work of a replay job: the events that it sends again, and its progress.

use std::collections::BTreeSet;

use crate::delivery::run::Run;
use crate::endpoint::Endpoint;
use crate::endpoint::id::EndpointId;
use crate::event::event_type::EventType;
use crate::event::id::EventId;
use crate::inbox::replay::{Reopening, targets};
use crate::inbox::{Head, Status};
use crate::timestamp::Timestamp;

/// A replay: its filter, its target, its rate and its progress.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Replay {
    /// The events to send again.
    pub filter: Filter,
    /// The only endpoint to send to. It gets an event even if it did not match when the event was stored, but only if
    /// its patterns match now.
    pub endpoint: Option<EndpointId>,
    /// The largest number of events per second; `None` if only the rates of the endpoints hold.
    pub rate_per_second: Option<u32>,
    /// The number of matching events when the replay was requested.
    pub count: u64,
    /// Whether `count` is the exact number. Counting stops at a limit.
    pub count_is_exact: bool,
    /// The progress of the replay.
    pub progress: Progress,
}

/// The filter of a replay.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter {
    /// The number of the tenant's shards.
    pub shards: u8,
    /// The start of the span: events accepted at this time or later.
    pub since: Timestamp,
    /// The end of the span: events accepted before this time.
    pub until: Timestamp,
    /// The type of the events; `None` for all types.
    pub event_type: Option<EventType>,
    /// The status of the events; `None` for all. With `failed`, only failed and cancelled deliveries are opened
    /// again.
    pub status: Option<Status>,
}

/// The progress of a replay. All events before the cursor are done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// The current shard. When all shards are done, it is the number of shards.
    pub shard: u8,
    /// The last event of the shard that was read.
    pub after: Option<EventId>,
    /// The number of events that matched the filter.
    pub seen: u64,
    /// The number of events sent again to at least one endpoint.
    pub replayed: u64,
    /// The number of opened deliveries.
    pub deliveries: u64,
}

impl Filter {
    /// Returns whether the event matches the filter.
    #[must_use]
    pub fn matches(&self, head: &Head, now: Timestamp) -> bool {
        !head.is_expired_or_deleted(now)
            && self.event_type.as_ref().is_none_or(|event_type| *event_type == head.event_type)
            && self.status.is_none_or(|status| status == head.status)
    }
}

impl Replay {
    /// Returns whether every shard is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.progress.shard >= self.filter.shards
    }

    /// Returns the endpoints to send to: those that are active, or only the named one.
    #[must_use]
    pub fn targets(&self, endpoints: &[Endpoint]) -> BTreeSet<EndpointId> {
        targets(endpoints, self.endpoint.as_ref())
    }

    /// Returns the number of events to send per second, if the tenant has `under_way` replays. Together they use half
    /// of the rate of the slowest target, so that the other half is left to new events.
    #[must_use]
    pub fn pace(&self, endpoints: &[Endpoint], under_way: usize) -> u32 {
        let targets = self.targets(endpoints);
        let rates = endpoints.iter().filter(|endpoint| targets.contains(&endpoint.id));
        let shared_by = u32::try_from(under_way).unwrap_or(u32::MAX).max(1);
        let share = rates.map(|endpoint| endpoint.rate_per_second / 2 / shared_by).min();
        share.into_iter().chain(self.rate_per_second).min().unwrap_or(1).max(1)
    }

    /// Opens the event's deliveries for this run. Returns `None` if there is nothing to open, or if the run opened it
    /// before.
    #[must_use]
    pub fn reopen(&self, run: &Run, head: &Head, endpoints: &[Endpoint], now: Timestamp) -> Option<Head> {
        if !self.filter.matches(head, now) {
            return None;
        }
        let targets = self.targets(endpoints);
        let also = endpoints.iter().find(|endpoint| {
            self.endpoint.as_ref() == Some(&endpoint.id)
                && targets.contains(&endpoint.id)
                && endpoint.matches(&head.event_type)
        });
        let what = Reopening {
            run,
            endpoints: &targets,
            only_undelivered: self.filter.status == Some(Status::Failed),
            also_to: also.map(|endpoint| &endpoint.id),
        };
        head.reopen(&what, now)
    }

    /// Records a step that read these events; `heads` has them as they are stored now. An event that the run opened
    /// before a crash counts in this step.
    #[must_use]
    pub fn advanced(&self, run: &Run, heads: &[Head], reached: Option<EventId>, now: Timestamp) -> Self {
        let mut next = self.clone();
        let not_opened = heads.iter().filter(|head| !head.was_replayed_by(run));
        let matching = not_opened.filter(|head| self.filter.matches(head, now)).count();
        next.progress.seen += u64::try_from(matching).unwrap_or(u64::MAX);
        next.progress.count(run, heads);
        next.progress.after = reached;
        if reached.is_none() {
            next.progress.shard += 1;
        }
        next
    }

    /// Counts the events that an unfinished step of a cancelled replay may have opened.
    #[must_use]
    pub fn count_unfinished_step(&self, run: &Run, heads: &[Head]) -> Self {
        let mut next = self.clone();
        next.progress.count(run, heads);
        next
    }
}

impl Progress {
    /// Counts those of the events that the run has opened.
    fn count(&mut self, run: &Run, heads: &[Head]) {
        for head in heads.iter().filter(|head| head.was_replayed_by(run)) {
            let opened = head.deliveries.values().filter(|delivery| delivery.run == *run).count();
            self.seen += 1;
            self.replayed += 1;
            self.deliveries += u64::try_from(opened).unwrap_or(u64::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::endpoint::EndpointState;
    use crate::endpoint::pattern::Pattern;
    use crate::testing::{START, endpoint, event, tenant};

    static RUN: LazyLock<Run> = LazyLock::new(|| Run::from_stored("rpl_1"));

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
    fn replays_leave_half_of_the_slowest_endpoints_rate_to_new_events() {
        let of = |number, rate_per_second| Endpoint { rate_per_second, ..endpoint(number) };
        let endpoints = [of(1, 30), of(2, 10)];
        assert_eq!([1, 2, 10].map(|under_way| replay().pace(&endpoints, under_way)), [5, 2, 1]);
        assert_eq!(Replay { endpoint: Some(endpoint(1).id), ..replay() }.pace(&endpoints, 1), 15);
        assert_eq!(Replay { rate_per_second: Some(2), ..replay() }.pace(&endpoints, 1), 2);
        assert_eq!((replay().pace(&[of(1, 1)], 1), replay().pace(&[], 0)), (1, 1));
    }

    #[test]
    fn a_disabled_endpoint_is_not_a_target() {
        let disabled = Endpoint { state: EndpointState::Disabled, ..endpoint(1) };
        assert_eq!(replay().reopen(&RUN, &acked(), &[disabled], START), None);
        assert!(replay().reopen(&RUN, &acked(), &[endpoint(1)], START).is_some());
    }

    #[test]
    fn a_named_endpoint_gets_matching_events_even_if_it_is_new() {
        let named = Replay { endpoint: Some(endpoint(2).id), ..replay() };
        let opened = named.reopen(&RUN, &acked(), &[endpoint(1), endpoint(2)], START).unwrap();
        assert_eq!(
            opened.without_attempt_in(&RUN).map(|(id, _)| id.clone()).collect::<Vec<_>>(),
            [endpoint(2).id]
        );
        let unwilling = Endpoint { event_types: vec![Pattern::parse("b").unwrap()], ..endpoint(2) };
        assert_eq!(named.reopen(&RUN, &acked(), &[unwilling], START), None);
    }

    #[test]
    fn an_event_is_counted_once_if_a_step_is_repeated_after_a_crash() {
        let opened = replay().reopen(&RUN, &acked(), &[endpoint(1)], START).unwrap();
        let untouched = Head::new(&event(&tenant(), "a", "1", START), []);
        let heads = [opened, untouched];
        let first = replay().advanced(&RUN, &heads, Some(heads[1].id), START);
        let expected = Progress { shard: 0, after: Some(heads[1].id), seen: 2, replayed: 1, deliveries: 1 };
        assert_eq!(first.progress, expected);
        let next = first.advanced(&RUN, &[], None, START);
        assert_eq!((next.progress.shard, next.progress.after, next.is_done()), (1, None, false));
        assert!(next.advanced(&RUN, &[], None, START).is_done());
    }

    #[test]
    fn the_events_opened_by_a_cancelled_step_are_counted() {
        let opened = replay().reopen(&RUN, &acked(), &[endpoint(1)], START).unwrap();
        let cut_off = replay().count_unfinished_step(&RUN, &[opened, acked()]);
        assert_eq!(cut_off.progress, Progress { seen: 1, replayed: 1, deliveries: 1, ..Progress::default() });
    }
}

//! One visit: everything that is due until the next one, a bounded step at a time. It may end, or die, between any two steps:
//! a row is taken away only after what it stands for is done, so the next visit goes on where this one stopped. A
//! missed visit is caught up with, since rows are taken by their time and not by the minute's.

use std::time::Duration;

use domain::timestamp::Timestamp;
use futures_util::future::join4;
use runtime::metrics::Metrics;
use store::ports::control::Control;
use store::ports::events::Events;
use store::ports::limits::Limits;
use store::ports::schedule::Schedule;
use store::ports::{Clock, DeliveryQueue};
use store::unavailable::PortResult;

/// No step begins when less time than this is left.
const MAX_STEP: Duration = Duration::from_secs(10);

/// What the scheduler touches; its IAM policy says the same.
pub struct Scheduler<C, E, L, S, Q, T> {
    /// Tenants, endpoints and their health; what an erased tenant had.
    pub control: C,
    /// Heads: whether a delivery is open, what a replay opens, what nobody took, what is told and what is erased.
    pub events: E,
    /// Backlogs, stats and counters.
    pub limits: L,
    /// What is due later, what is parked, what will expire, and jobs.
    pub schedule: S,
    /// Where delivery messages go.
    pub deliveries: Q,
    /// The time of day.
    pub clock: T,
    /// How long after an erasure everything is looked through once more.
    pub erasure_pause: Duration,
    /// Takes the line of each invocation.
    pub log: Box<dyn Fn(&str) + Send + Sync>,
}

/// What was done in one visit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Moved {
    /// Messages whose time has come.
    pub(crate) due: u64,
    /// Parked deliveries that were sent again.
    pub(crate) drained: u64,
    /// Parked deliveries that were sent to see whether their endpoint is back.
    pub(crate) probes: u64,
    /// Owners who were told that events of theirs will expire.
    pub(crate) expiring: u64,
    /// Steps of jobs.
    pub(crate) steps: u64,
    /// Steps that failed: the next visit repeats them.
    pub(crate) failures: u64,
}

impl<C: Control, E: Events, L: Limits, S: Schedule, Q: DeliveryQueue, T: Clock> Scheduler<C, E, L, S, Q, T> {
    /// Moves along what is due, and begins nothing that would not have ended before `until`.
    pub async fn handle(&self, until: Timestamp) {
        let began = self.clock.now();
        let (due, parked) = (self.move_due(until), self.look_at_endpoints(until));
        let (told, jobs) = (self.tell_what_expires(until), self.advance_jobs(until));
        let (due, parked, told, jobs) = join4(due, parked, told, jobs).await;
        let moved = due.plus(parked).plus(told).plus(jobs);
        let mut metrics = Metrics::new("scheduler", "moved along");
        for (name, number) in [
            ("due", moved.due),
            ("drained", moved.drained),
            ("probes", moved.probes),
            ("expiring", moved.expiring),
            ("job_steps", moved.steps),
            ("failures", moved.failures),
        ] {
            metrics.count(name, number);
        }
        metrics.milliseconds("handler_ms", self.clock.now().millis_since(began));
        (self.log)(&metrics.line(self.clock.now()));
    }

    /// Whether there is time for another step.
    pub(crate) fn has_time(&self, until: Timestamp) -> bool {
        self.clock.now().after(MAX_STEP) <= until
    }
}

impl Moved {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            due: self.due + other.due,
            drained: self.drained + other.drained,
            probes: self.probes + other.probes,
            expiring: self.expiring + other.expiring,
            steps: self.steps + other.steps,
            failures: self.failures + other.failures,
        }
    }

    /// What a step did; one that failed is logged, and stops no other.
    pub(crate) fn of(step: PortResult<Self>) -> Self {
        step.unwrap_or_else(|error| {
            tracing::warn!(cause = %error, "a step failed; the next visit repeats it");
            Self { failures: 1, ..Self::default() }
        })
    }
}

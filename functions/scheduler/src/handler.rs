//! One visit: everything that is due until the next one, a bounded step at a time. It may end, or die, between any two steps:
//! a row is taken away only after what it stands for is done, so the next visit goes on where this one stopped. A
//! missed visit is caught up with, since rows are taken by their time and not by the minute's.

use std::time::Duration;

use domain::timestamp::Timestamp;
use futures_util::future::join4;
use runtime::metrics::Metrics;
use runtime::telemetry::Log;
use store::clock::Clock;
use store::control::Control;
use store::data_keys::DataKeys;
use store::events::Events;
use store::limits::Limits;
use store::ports::Ports;
use store::queues::DeliveriesQueue;
use store::schedule::Schedule;
use store::unavailable::PortResult;

use crate::config::Config;

/// No step begins when less time than this is left.
const MAX_STEP: Duration = Duration::from_secs(10);

/// What the scheduler touches; its IAM policy says the same.
pub struct Scheduler<P: Ports> {
    pub(crate) control: Control<P::Table>,
    pub(crate) events: Events<P>,
    pub(crate) limits: Limits<P::Table>,
    pub(crate) schedule: Schedule<P::Table>,
    pub(crate) deliveries: DeliveriesQueue<P::Queue>,
    pub(crate) clock: P::Clock,
    /// How long after an erasure everything is looked through once more.
    pub(crate) erasure_pause: Duration,
    /// Writes the one log line of each invocation.
    log: Log,
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

impl<P: Ports> Scheduler<P> {
    /// Returns the function over these ports.
    pub fn new(ports: &P, config: &Config, log: Log) -> Self {
        let Config { control_table, events_table, limits_table, schedule_table, .. } = config;
        let control = ports.table(control_table);
        let keys = DataKeys::new(control.clone(), ports.vault(&config.data_kms_key), ports.clock());
        Self {
            control: Control::new(control),
            events: Events::new(ports.table(events_table), keys),
            limits: Limits::new(ports.table(limits_table)),
            schedule: Schedule::new(ports.table(schedule_table)),
            deliveries: DeliveriesQueue::new(ports.queue(&config.deliveries_queue)),
            clock: ports.clock(),
            erasure_pause: config.erasure_pause,
            log,
        }
    }

    /// Moves along what is due, and begins nothing that would not have ended before `until`.
    pub async fn handle(&self, until: Timestamp) {
        let began = self.clock.now();
        let (due, parked, notices, jobs) = join4(
            Box::pin(self.move_due(until)),
            Box::pin(self.look_at_endpoints(until)),
            Box::pin(self.tell_what_expires(until)),
            Box::pin(self.advance_jobs(until)),
        )
        .await;
        let moved = due.plus(parked).plus(notices).plus(jobs);
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

//! Runs once per minute, and handles all rows of `Schedule` that are due before the next run, in bounded steps. A run can
//! end or crash between any two steps: a row is deleted only after its work is done, so the next run continues. A run that
//! did not take place is made up for, because rows are read by their time, not by the current minute.

use std::time::Duration;

use domain::inbox::notice::NoticeEvent;
use domain::tenant::stats::{TenantChange, TenantChanges};
use domain::timestamp::Timestamp;
use futures_util::future::join5;
use runtime::batch;
use runtime::metrics::Metrics;
use runtime::telemetry::Log;
use store::clock::Clock;
use store::control::Control;
use store::data_keys::DataKeys;
use store::events::Events;
use store::limits::Limits;
use store::limits::counters::Counts;
use store::notices::{Notices, Sent};
use store::ports::Ports;
use store::queues::{DrainsQueue, Lanes};
use store::schedule::Schedule;
use store::unavailable::PortResult;

use crate::config::Config;

/// The longest time of one step. No step begins with less time left.
const MAX_STEP: Duration = Duration::from_secs(10);

/// The function and all that it uses. Its IAM policy allows no more.
pub struct Scheduler<P: Ports> {
    pub(crate) control: Control<P::Table>,
    pub(crate) events: Events<P>,
    pub(crate) limits: Limits<P::Table>,
    pub(crate) schedule: Schedule<P::Table>,
    pub(crate) deliveries: Lanes<P::Queue>,
    pub(crate) drains: DrainsQueue<P::Queue>,
    pub(crate) notices: Notices<P>,
    pub(crate) clock: P::Clock,
    /// The pause of an erasure before all data is searched once more.
    pub(crate) erasure_pause: Duration,
    /// Writes the log line of each invocation.
    log: Log,
}

/// The numbers of one run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct RunCounts {
    /// Number of due messages that this run sent to the queue.
    pub(crate) due: u64,
    /// How long ago the oldest of them was due, in milliseconds; 0 if none was late.
    pub(crate) late_ms: u64,
    /// Shares of the endpoints with parked deliveries that were sent to drain.
    pub(crate) shares: u64,
    /// Expiry notices that were stored.
    pub(crate) expiring: u64,
    /// Other notices that were stored.
    pub(crate) notices: u64,
    /// Steps of jobs that have a further step.
    pub(crate) steps: u64,
    /// Steps that failed. The next run repeats them.
    pub(crate) failures: u64,
}

impl<P: Ports> Scheduler<P> {
    /// Makes the function over these ports.
    pub fn new(ports: &P, config: &Config, log: Log) -> Self {
        let Config { control_table, events_table, limits_table, schedule_table, .. } = config;
        let control = ports.table(control_table);
        let keys =
            DataKeys::new(control.clone(), ports.vault(&config.data_kms_key), ports.clock()).read_only();
        let control = Control::new(control);
        let events = Events::new(ports.table(events_table), keys);
        let deliveries =
            Lanes::new(ports.queue(&config.deliveries_queue), ports.queue(&config.slow_deliveries_queue));
        Self {
            notices: Notices::new(control.clone(), events.clone(), deliveries.clone(), ports.clock()),
            control,
            events,
            deliveries,
            drains: DrainsQueue::new(ports.queue(&config.drains_queue)),
            limits: Limits::new(ports.table(limits_table)),
            schedule: Schedule::new(ports.table(schedule_table)),
            clock: ports.clock(),
            erasure_pause: config.erasure_pause,
            log,
        }
    }

    /// Handles what is due. Begins no step that could not end before `until`.
    pub async fn handle(&self, until: Timestamp) {
        let began = self.clock.now();
        let (due, shared, expiring, notices, jobs) = join5(
            Box::pin(self.send_due(until)),
            Box::pin(self.share_endpoints()),
            Box::pin(self.send_expiry_notices(until)),
            Box::pin(self.send_inbox_notices(until)),
            Box::pin(self.advance_jobs(until)),
        )
        .await;
        let counts = due.plus(shared).plus(expiring).plus(notices).plus(jobs);
        let mut metrics = Metrics::new("run ended");
        for (name, number) in [
            ("due", counts.due),
            ("late_ms", counts.late_ms),
            ("shares", counts.shares),
            ("expiring", counts.expiring),
            ("notices", counts.notices),
            ("job_steps", counts.steps),
            ("failures", counts.failures),
        ] {
            metrics.count(name, number);
        }
        metrics.set("handler_ms", self.clock.now().millis_since(began));
        self.log.write(metrics, self.clock.now());
    }

    /// Sends a notice, and counts it as stored. Returns whether it is new.
    pub(crate) async fn send_notice(&self, notice: NoticeEvent) -> PortResult<bool> {
        let (tenant, accepted_at) = (notice.tenant.clone(), notice.id.accepted_at());
        let Sent::New { in_inbox } = self.notices.send(notice).await? else { return Ok(false) };
        let change = TenantChange::for_stored(accepted_at, in_inbox);
        let changes = TenantChanges::default().with(&tenant, &change);
        let stored = Counts { stored: 1, settled: u64::from(!in_inbox), ..Counts::default() };
        batch::count(&self.limits, stored, None, &changes, self.clock.now()).await;
        Ok(true)
    }

    /// Returns whether there is time for another step.
    pub(crate) fn has_time(&self, until: Timestamp) -> bool {
        self.clock.now().after(MAX_STEP) <= until
    }
}

impl RunCounts {
    /// Adds the other numbers.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            due: self.due + other.due,
            late_ms: self.late_ms.max(other.late_ms),
            shares: self.shares + other.shares,
            expiring: self.expiring + other.expiring,
            notices: self.notices + other.notices,
            steps: self.steps + other.steps,
            failures: self.failures + other.failures,
        }
    }

    /// Returns the numbers of a step. A failed step is logged and counted, and does not stop other steps.
    pub(crate) fn of_step(step: PortResult<Self>) -> Self {
        step.unwrap_or_else(|error| {
            tracing::warn!(cause = %error, "a step failed; the next run repeats it");
            Self { failures: 1, ..Self::default() }
        })
    }
}

//! Handles the shares of a batch: each endpoint of a share according to its state.
//!
//! ```text
//!   paused, tenant suspended      sends nothing
//!   circuit breaker open          probe.rs: sends one delivery as a probe, if a probe is due
//!   active, deleted, disabled     drain.rs: sends the deliveries of one minute, spread over the minute; delivery
//!                                 reads the endpoint again, and records or sends
//!   no parked delivery            deletes the endpoint's rows, unless a delivery was parked since they were read
//! ```
//!
//! A share is valid for one minute: the scheduler makes new ones in the next minute. So no message returns to its queue, and the
//! work for a share ends before the next shares are made. Work that still waits for an answer then is dropped, as if the process
//! had ended: an endpoint is drained twice at the same time only if SQS delivers a message twice, or the scheduler runs twice.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use domain::delivery::Bypass;
use domain::delivery::gate::{self, Gate};
use domain::delivery::lane::Lane;
use domain::delivery::schedule::{EndpointRow, Parked};
use domain::delivery::share::ParkedEndpoint;
use domain::endpoint::DEFAULT_RATE_PER_SECOND;
use domain::endpoint::pace::Pace;
use domain::timestamp::Timestamp;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use runtime::batch;
use runtime::metrics::Metrics;
use runtime::telemetry::Log;
use store::clock::Clock;
use store::control::Control;
use store::data_keys::DataKeys;
use store::envelope::read_share;
use store::events::Events;
use store::ports::Ports;
use store::queues::Lanes;
use store::schedule::{Rows, Schedule};
use store::unavailable::PortResult;
use tokio::time::timeout;

use crate::config::Config;
use crate::counts::Counts;

/// The longest time of one step. No step begins with less time left.
const MAX_STEP: Duration = Duration::from_secs(10);

/// The largest number of endpoints at the same time.
const CONCURRENT_ENDPOINTS: usize = 16;

/// The function and all that it uses. Its IAM policy allows no more.
pub struct Drain<P: Ports> {
    pub(crate) control: Control<P::Table>,
    pub(crate) events: Events<P>,
    pub(crate) schedule: Schedule<P::Table>,
    pub(crate) deliveries: Lanes<P::Queue>,
    pub(crate) clock: P::Clock,
    /// Writes the log line of each invocation.
    log: Log,
}

impl<P: Ports> Drain<P> {
    /// Makes the function over these ports.
    pub fn new(ports: &P, config: &Config, log: Log) -> Self {
        let control = ports.table(&config.control_table);
        let keys = DataKeys::new(control.clone(), ports.vault(&config.data_kms_key), ports.clock());
        let [quick, slow] = [&config.deliveries_queue, &config.slow_deliveries_queue];
        Self {
            control: Control::new(control),
            events: Events::new(ports.table(&config.events_table), keys.read_only()),
            schedule: Schedule::new(ports.table(&config.schedule_table)),
            deliveries: Lanes::new(ports.queue(quick), ports.queue(slow)),
            clock: ports.clock(),
            log,
        }
    }

    /// Handles the shares of a batch. Begins no step that could not end before `until`.
    pub async fn handle(&self, event: SqsEvent, until: Timestamp) {
        let began = self.clock.now();
        let messages = batch::read_messages(event, &[]);
        let shares = messages.iter().map(|message| self.handle_message(&message.body, until));
        let counts = join_all(shares).await.into_iter().fold(Counts::default(), Counts::plus);
        let mut metrics = Metrics::new("share drained");
        counts.write_to(&mut metrics);
        metrics.set("handler_ms", self.clock.now().millis_since(began));
        self.log.write(metrics, self.clock.now());
    }

    async fn handle_message(&self, body: &str, until: Timestamp) -> Counts {
        let share = match read_share(body) {
            Ok(share) => share,
            Err(error) => {
                tracing::warn!(cause = %error, "a share is unreadable; the next one repeats it");
                return Counts { failures: 1, ..Counts::default() };
            }
        };
        let until = until.min(share.until);
        let endpoints = stream::iter(&share.endpoints).map(|endpoint| async move {
            if !self.has_time(until) {
                return Counts::left();
            }
            let handled = timeout(until.since(self.clock.now()), self.handle_endpoint(endpoint, until));
            handled.await.map_or_else(|_| Counts::left(), Counts::of_endpoint)
        });
        let handled = endpoints.buffer_unordered(CONCURRENT_ENDPOINTS);
        handled.fold(Counts::default(), |sum, counts| async move { sum.plus(counts) }).await
    }

    async fn handle_endpoint(&self, parked: &ParkedEndpoint, until: Timestamp) -> PortResult<Counts> {
        let endpoint = self.control.endpoint(&parked.tenant, &parked.id).await?;
        match endpoint {
            Some(endpoint) if gate::gate(&endpoint, Bypass::Probe) == Gate::Parked => {
                self.retire_if_empty(parked).await
            }
            Some(endpoint) if gate::gate(&endpoint, Bypass::None) == Gate::Parked => {
                self.probe(parked, &endpoint).await
            }
            endpoint => {
                let now = self.clock.now();
                let lane = Lane::of(endpoint.as_ref(), now);
                let full = Pace::per_second(DEFAULT_RATE_PER_SECOND);
                let pace = endpoint.map_or(full, |endpoint| endpoint.pace(now));
                self.drain(parked, lane, pace, until).await
            }
        }
    }

    /// Deletes the rows of the parts that have no parked delivery.
    async fn retire_if_empty(&self, parked: &ParkedEndpoint) -> PortResult<Counts> {
        for row in parked.rows() {
            let found = self.schedule.parked(&row.partition, None, 1).await?;
            self.rows_or_retire(&row, found).await?;
        }
        Ok(Counts::default())
    }

    /// Returns what was found in a whole partition. Deletes the row of the partition if nothing was.
    pub(crate) async fn rows_or_retire(
        &self,
        row: &EndpointRow,
        found: Rows<Parked>,
    ) -> PortResult<Vec<Parked>> {
        if found.is_empty {
            self.schedule.delete_endpoint_row(row).await?;
        }
        Ok(found.rows)
    }

    /// Returns whether there is time for another step.
    pub(crate) fn has_time(&self, until: Timestamp) -> bool {
        self.clock.now().after(MAX_STEP) <= until
    }
}

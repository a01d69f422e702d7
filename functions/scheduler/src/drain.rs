//! Handles the parked deliveries of each endpoint, according to the endpoint's state:
//!
//! ```text
//!   paused, tenant suspended      sends nothing
//!   circuit breaker open          sends one delivery as a probe, if a probe is due
//!   active, deleted, disabled     sends the deliveries of one minute, spread over the minute; delivery reads
//!                                 the endpoint again, and records or sends
//!   no parked delivery            deletes the endpoint row, unless a delivery was parked since the row was read
//! ```
//!
//! A parked row is deleted after its message was sent, and only if it was not parked again in between.

use domain::delivery::gate::{self, Gate};
use domain::delivery::lane::Lane;
use domain::delivery::schedule::{EndpointRow, Parked, SHARDS, drain_delay};
use domain::delivery::{Bypass, Step};
use domain::endpoint::health::window::hash;
use domain::endpoint::pace::Pace;
use domain::endpoint::{DEFAULT_RATE_PER_SECOND, Endpoint};
use domain::inbox::Head;
use domain::timestamp::Timestamp;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use store::clock::Clock;
use store::items::Updated;
use store::ports::Ports;
use store::queues::Delayed;
use store::unavailable::PortResult;

use crate::handler::{RunCounts, Scheduler};

/// The largest number of endpoints at the same time.
const CONCURRENT_ENDPOINTS: usize = 16;

/// The largest number of rows of one endpoint that are deleted at the same time.
const CONCURRENT_ROWS: usize = 16;

/// The number of deliveries of one endpoint in one step.
const STEP: usize = 200;

impl<P: Ports> Scheduler<P> {
    /// Handles every endpoint that has parked deliveries.
    pub(crate) async fn drain_endpoints(&self, until: Timestamp) -> RunCounts {
        let mut failures = RunCounts::default();
        let mut rows = Vec::new();
        for shard in join_all((0..SHARDS).map(|shard| self.schedule.endpoint_rows(shard))).await {
            match shard {
                Ok(of_shard) => rows.extend(of_shard),
                Err(error) => failures = failures.plus(RunCounts::of_step(Err(error))),
            }
        }
        let drains = stream::iter(rows)
            .map(|row| async move { RunCounts::of_step(self.drain_endpoint(&row, until).await) })
            .buffer_unordered(CONCURRENT_ENDPOINTS);
        drains.fold(failures, |sum, counts| async move { sum.plus(counts) }).await
    }

    async fn drain_endpoint(&self, row: &EndpointRow, until: Timestamp) -> PortResult<RunCounts> {
        let endpoint = self.control.endpoint(&row.tenant, &row.endpoint).await?;
        match endpoint {
            Some(endpoint) if gate::gate(&endpoint, Bypass::Probe) == Gate::Parked => {
                self.retire_if_empty(row).await
            }
            Some(endpoint) if gate::gate(&endpoint, Bypass::None) == Gate::Parked => {
                self.probe(row, &endpoint).await
            }
            endpoint => {
                let now = self.clock.now();
                let lane = Lane::of(endpoint.as_ref(), now);
                let full = Pace::per_second(DEFAULT_RATE_PER_SECOND);
                let pace = endpoint.map_or(full, |endpoint| endpoint.pace(now));
                self.drain(row, lane, pace, until).await
            }
        }
    }

    /// Deletes the endpoint row if the endpoint has no parked delivery.
    async fn retire_if_empty(&self, row: &EndpointRow) -> PortResult<RunCounts> {
        if self.schedule.parked(&row.tenant, &row.endpoint, None, 1).await?.is_empty {
            self.schedule.delete_endpoint_row(row).await?;
        }
        Ok(RunCounts::default())
    }

    /// Sends an open delivery as a probe, if a probe is due: the newest one and the oldest one in turn, and another event
    /// than the last time if there is one.
    async fn probe(&self, row: &EndpointRow, endpoint: &Endpoint) -> PortResult<RunCounts> {
        let Some(open) = endpoint.health.due_probe(self.clock.now()) else {
            return Ok(RunCounts::default());
        };
        let parked = if open.takes_newest() {
            self.schedule.newest_parked(&row.tenant, &row.endpoint, STEP).await?
        } else {
            self.schedule.parked(&row.tenant, &row.endpoint, None, STEP).await?
        };
        if parked.is_empty {
            self.schedule.delete_endpoint_row(row).await?;
        }
        let mut rows = parked.rows;
        rows.sort_by_key(|parked| open.last_probed == Some(hash(parked.message.event))); // keeps the order otherwise
        for (place, parked) in rows.iter().enumerate() {
            // 1. Skip deliveries that are no longer open: their probe would not be sent.
            if !self.is_open(row, parked).await? {
                self.schedule.unpark(parked).await?;
                continue;
            }
            // 2. A delivery that was tried before spends its attempt if others wait: it must not hold them for ever.
            let spends = parked.was_tried() && self.is_any_open(row, &rows[place + 1..]).await?;
            let bypass = if spends { Bypass::SpendingProbe } else { Bypass::Probe };

            // 3. Claim the probe. If the endpoint was changed, the next run decides again.
            let Some(change) = endpoint.health.claim_probe(parked.message.event, self.clock.now()) else {
                break;
            };
            if self.control.change_health(&row.tenant, endpoint, &change).await? == Updated::Raced {
                break;
            }
            // 4. Send it, and delete the row only then.
            let lane = Lane::of(Some(endpoint), self.clock.now());
            self.deliveries.send(&[Delayed::at_once(parked.message.delayed(bypass), lane)]).await?;
            self.schedule.unpark(parked).await?;
            return Ok(RunCounts { probes: 1, ..RunCounts::default() });
        }
        Ok(RunCounts::default())
    }

    /// Returns whether any of these deliveries still waits for its attempt.
    async fn is_any_open(&self, row: &EndpointRow, others: &[Parked]) -> PortResult<bool> {
        for other in others {
            if self.is_open(row, other).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns whether the parked delivery still waits for its attempt. If it does not, deletes what a probe in flight has
    /// stored of a deleted event.
    async fn is_open(&self, row: &EndpointRow, parked: &Parked) -> PortResult<bool> {
        let Some(found) = self.events.head(&row.tenant, parked.message.event).await? else {
            return Ok(false);
        };
        let is_open = needs_attempt(&found.head, parked);
        if !is_open {
            self.events.delete_leftovers(&row.tenant, &found.head).await?;
        }
        Ok(is_open)
    }

    /// Sends the parked deliveries of one minute by this lane, the oldest events first.
    async fn drain(
        &self,
        row: &EndpointRow,
        lane: Lane,
        pace: Pace,
        until: Timestamp,
    ) -> PortResult<RunCounts> {
        let per_minute = pace.to_per_minute();
        let mut sent = 0;
        let mut last: Option<Parked> = None;
        while sent < per_minute && self.has_time(until) {
            // 1. Read the next rows. Rows that are parked again during the run lie before `last`, and wait for the next run.
            let limit = STEP.min(per_minute - sent);
            let parked = self.schedule.parked(&row.tenant, &row.endpoint, last.as_ref(), limit).await?;
            if parked.is_empty && last.is_none() {
                self.schedule.delete_endpoint_row(row).await?;
            }
            let rows = parked.rows;
            if rows.is_empty() {
                break; // no row is left, or this version cannot read the rows
            }

            // 2. Send their messages, and delete the rows only then: a crash in between repeats a message and loses none.
            let places = rows.iter().zip(sent..);
            let delayed = |(parked, place): (&Parked, usize)| Delayed {
                message: parked.message.clone(),
                lane,
                delay: drain_delay(place, pace),
            };
            let messages: Vec<Delayed> = places.map(delayed).collect();
            self.deliveries.send(&messages).await?;
            let deletions = stream::iter(&rows).map(|parked| self.schedule.unpark(parked));
            deletions.buffer_unordered(CONCURRENT_ROWS).try_collect::<()>().await?;
            sent += rows.len();
            last = rows.last().cloned();
        }
        Ok(RunCounts { drained: u64::try_from(sent).unwrap_or(u64::MAX), ..RunCounts::default() })
    }
}

/// Returns whether the head still needs the attempt of a parked delivery, now or later.
fn needs_attempt(head: &Head, Parked { message, .. }: &Parked) -> bool {
    let end_of_time = Timestamp::from_millis(u64::MAX);
    let delivery = head.deliveries.get(&message.endpoint);
    delivery.is_some_and(|delivery| delivery.step(&message.run, message.n, end_of_time) == Step::Attempt)
}

//! What is parked before an endpoint, as the endpoint is now:
//!
//! ```text
//!   paused                        nothing
//!   breaker open                  one delivery as a probe, when one is due
//!   active, deleted, disabled     a minute's worth, spread over the minute; the message finds out what is to be done
//!   nothing parked                the endpoint's row goes, unless something was parked since it was read
//! ```
//!
//! A parked row is taken away after its message was sent, and only where it was not parked again meanwhile.

use domain::delivery::gate::{self, Gate};
use domain::delivery::schedule::{EndpointRow, Parked, SHARDS, drain_delay, drained_per_minute};
use domain::delivery::{Bypass, Step};
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

use crate::handler::{Moved, Scheduler};

/// Endpoints that are looked at side by side.
const CONCURRENT_ENDPOINTS: usize = 16;

/// Rows of one endpoint that are taken away side by side.
const CONCURRENT_ROWS: usize = 16;

/// So many deliveries of one endpoint are read and sent in one step.
const STEP: usize = 200;

impl<P: Ports> Scheduler<P> {
    /// Looks at every endpoint that has parked deliveries.
    pub(crate) async fn look_at_endpoints(&self, until: Timestamp) -> Moved {
        let shards = join_all((0..SHARDS).map(|shard| self.schedule.endpoint_rows(shard))).await;
        let failed = shards.iter().filter(|rows| rows.is_err()).count();
        let rows = shards.into_iter().filter_map(Result::ok).flatten();
        let looks = stream::iter(rows).map(|row| async move { Moved::of(self.look_at(&row, until).await) });
        let looks = looks.buffer_unordered(CONCURRENT_ENDPOINTS);
        let failures = Moved { failures: u64::try_from(failed).unwrap_or(u64::MAX), ..Moved::default() };
        looks.fold(failures, |sum, moved| async move { sum.plus(moved) }).await
    }

    async fn look_at(&self, row: &EndpointRow, until: Timestamp) -> PortResult<Moved> {
        let endpoint = self.control.endpoint(&row.tenant, &row.endpoint).await?;
        match endpoint {
            Some(endpoint) if gate::gate(&endpoint, Bypass::Probe) == Gate::Parked => {
                self.retire_if_empty(row).await
            }
            Some(endpoint) if gate::gate(&endpoint, Bypass::None) == Gate::Parked => {
                self.probe(row, &endpoint).await
            }
            endpoint => {
                let rate = endpoint.map_or(DEFAULT_RATE_PER_SECOND, |endpoint| endpoint.rate_per_second);
                self.drain(row, rate, until).await
            }
        }
    }

    /// Takes the row of an endpoint away for which nothing is parked any more.
    async fn retire_if_empty(&self, row: &EndpointRow) -> PortResult<Moved> {
        if self.schedule.parked(&row.tenant, &row.endpoint, None, 1).await?.is_empty {
            self.schedule.delete_endpoint_row(row).await?;
        }
        Ok(Moved::default())
    }

    /// Sends the oldest delivery that is still open to see whether the endpoint is back, where a probe is due.
    async fn probe(&self, row: &EndpointRow, endpoint: &Endpoint) -> PortResult<Moved> {
        let Some(change) = endpoint.health.claim_probe(self.clock.now()) else { return Ok(Moved::default()) };
        let parked = self.schedule.parked(&row.tenant, &row.endpoint, None, STEP).await?;
        if parked.is_empty {
            self.schedule.delete_endpoint_row(row).await?;
        }
        for parked in &parked.rows {
            let head = self.events.head(&row.tenant, parked.message.event).await?.map(|found| found.head);
            if !head.as_ref().is_some_and(|head| waits(head, parked)) {
                if let Some(head) = &head {
                    self.events.delete_leftovers(&row.tenant, head).await?; // a probe under way may have left its attempt behind
                }
                self.schedule.unpark(parked).await?; // acknowledged or expired meanwhile: it would prove nothing
                continue;
            }
            if self.control.change_health(&row.tenant, endpoint, &change).await? == Updated::Raced {
                break; // the endpoint has changed: the next visit sees how
            }
            self.deliveries.send(&[Delayed::at_once(parked.message.delayed(Bypass::Probe))]).await?;
            self.schedule.unpark(parked).await?;
            return Ok(Moved { probes: 1, ..Moved::default() });
        }
        Ok(Moved::default())
    }

    /// Sends a minute's worth of parked deliveries, the oldest events first.
    async fn drain(&self, row: &EndpointRow, rate: u32, until: Timestamp) -> PortResult<Moved> {
        let (mut sent, most, mut last) = (0, drained_per_minute(rate), None);
        while sent < most && self.has_time(until) {
            let wanted = STEP.min(most - sent);
            let parked = self.schedule.parked(&row.tenant, &row.endpoint, last.as_ref(), wanted).await?;
            if parked.is_empty && last.is_none() {
                self.schedule.delete_endpoint_row(row).await?;
            }
            let parked = parked.rows;
            if parked.is_empty() {
                break; // nothing is left, or nothing that this version can read
            }
            let places = parked.iter().zip(sent..);
            let messages: Vec<Delayed> =
                places.map(|(parked, place)| delayed(parked, drain_delay(place, rate))).collect();
            self.deliveries.send(&messages).await?;
            let rows = stream::iter(&parked).map(|parked| self.schedule.unpark(parked));
            rows.buffer_unordered(CONCURRENT_ROWS).try_collect::<()>().await?;
            sent += parked.len();
            last = parked.last().cloned(); // what is parked again meanwhile waits for the next visit
        }
        Ok(Moved { drained: u64::try_from(sent).unwrap_or(u64::MAX), ..Moved::default() })
    }
}

fn delayed(parked: &Parked, delay: std::time::Duration) -> Delayed {
    Delayed { message: parked.message.clone(), delay }
}

/// Whether anybody still waits for this delivery.
fn waits(head: &Head, Parked { message, .. }: &Parked) -> bool {
    let entry = head.deliveries.get(&message.endpoint);
    let step =
        entry.map(|entry| entry.step(&message.generation, message.n, Timestamp::from_millis(u64::MAX)));
    step == Some(Step::Attempt)
}

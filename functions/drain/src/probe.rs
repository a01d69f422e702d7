//! Sends one parked delivery to an endpoint whose circuit breaker is open, if a probe is due.

use domain::delivery::lane::Lane;
use domain::delivery::schedule::Parked;
use domain::delivery::share::ParkedEndpoint;
use domain::delivery::{Bypass, DeliveryMessage, Step};
use domain::endpoint::Endpoint;
use domain::endpoint::health::window::hash;
use domain::inbox::Head;
use domain::timestamp::Timestamp;
use futures_util::future::try_join_all;
use store::clock::Clock;
use store::items::Updated;
use store::ports::Ports;
use store::queues::Delayed;
use store::unavailable::PortResult;

use crate::counts::Counts;
use crate::handler::Drain;

/// The number of parked deliveries among which a probe is chosen.
const CHOICE: usize = 200;

impl<P: Ports> Drain<P> {
    /// Sends an open delivery as a probe, if a probe is due: the newest one and the oldest one in turn, and another event
    /// than the last time if there is one.
    pub(crate) async fn probe(&self, parked: &ParkedEndpoint, endpoint: &Endpoint) -> PortResult<Counts> {
        let Some(open) = endpoint.health.due_probe(self.clock.now()) else {
            return Ok(Counts::default());
        };
        let mut rows = self.candidates(parked, open.takes_newest()).await?;
        rows.sort_by_key(|row| open.last_probed == Some(hash(row.message.event))); // keeps the order otherwise
        for (place, row) in rows.iter().enumerate() {
            // 1. Skip deliveries that are no longer open: their probe would not be sent.
            if !self.is_open(row).await? {
                self.schedule.unpark(std::slice::from_ref(row)).await?;
                continue;
            }
            // 2. A delivery that was tried before spends its attempt if others wait: it must not hold them for ever.
            let spends = row.was_tried() && self.is_another_open(row, &rows[place + 1..]).await?;
            let bypass = if spends { Bypass::SpendingProbe } else { Bypass::Probe };

            // 3. Claim the probe. If the endpoint was changed, the next share decides again.
            let Some(change) = endpoint.health.claim_probe(row.message.event, self.clock.now()) else {
                break;
            };
            if self.control.change_health(&parked.tenant, endpoint, &change).await? == Updated::Raced {
                break;
            }
            // 4. Send it, and delete the row only then.
            let lane = Lane::of(Some(endpoint), self.clock.now());
            self.deliveries.send(&[Delayed::at_once(row.message.delayed(bypass), lane)]).await?;
            self.schedule.unpark(std::slice::from_ref(row)).await?;
            return Ok(Counts { probes: 1, ..Counts::default() });
        }
        Ok(Counts::default())
    }

    /// Returns parked deliveries of the endpoint, the newest or the oldest event first. Deletes the row of a part that has
    /// none.
    async fn candidates(&self, parked: &ParkedEndpoint, takes_newest: bool) -> PortResult<Vec<Parked>> {
        let of_each = CHOICE.div_ceil(parked.parts.len().max(1));
        let parts = parked.rows().map(|row| async move {
            let found = if takes_newest {
                self.schedule.newest_parked(&row.partition, of_each).await?
            } else {
                self.schedule.parked(&row.partition, None, of_each).await?
            };
            self.rows_or_retire(&row, found).await
        });
        let mut rows: Vec<Parked> = try_join_all(parts).await?.into_iter().flatten().collect();
        rows.sort_by_key(|row| row.message.event);
        if takes_newest {
            rows.reverse();
        }
        Ok(rows)
    }

    /// Returns whether any of these deliveries, but not this one itself, still waits for its attempt.
    async fn is_another_open(&self, this: &Parked, others: &[Parked]) -> PortResult<bool> {
        for other in others.iter().filter(|other| other.message.attempt() != this.message.attempt()) {
            if self.is_open(other).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns whether the parked delivery still waits for its attempt. If it does not, deletes what a probe in flight has
    /// stored of a deleted event.
    async fn is_open(&self, Parked { message, .. }: &Parked) -> PortResult<bool> {
        let Some(found) = self.events.head(&message.tenant, message.event).await? else {
            return Ok(false);
        };
        let is_open = needs_attempt(&found.head, message);
        if !is_open {
            self.events.delete_leftovers(&message.tenant, &found.head).await?;
        }
        Ok(is_open)
    }
}

/// Returns whether the head still needs the attempt of a message, now or later.
fn needs_attempt(head: &Head, message: &DeliveryMessage) -> bool {
    let end_of_time = Timestamp::from_millis(u64::MAX);
    let delivery = head.deliveries.get(&message.endpoint);
    delivery.is_some_and(|delivery| delivery.step(&message.run, message.n, end_of_time) == Step::Attempt)
}

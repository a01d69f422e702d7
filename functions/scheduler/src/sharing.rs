//! Shares the endpoints with parked deliveries out to drain.

use domain::delivery::schedule::{HORIZON, SHARDS};
use domain::delivery::share::shares;
use futures_util::future::join_all;
use store::clock::Clock;
use store::ports::Ports;

use crate::handler::{RunCounts, Scheduler};

impl<P: Ports> Scheduler<P> {
    /// Sends a message for each share to the queue `drains`. A share that is not sent, or not handled, is made again by the next
    /// run.
    pub(crate) async fn share_endpoints(&self) -> RunCounts {
        let until = self.clock.now().after(HORIZON);
        let mut counts = RunCounts::default();
        let mut rows = Vec::new();
        for shard in join_all((0..SHARDS).map(|shard| self.schedule.endpoint_rows(shard))).await {
            match shard {
                Ok(of_shard) => rows.extend(of_shard),
                Err(error) => counts = counts.plus(RunCounts::of_step(Err(error))),
            }
        }
        let shares = shares(rows, rand::random_range(0..usize::MAX), until);
        let sent = self.drains.send(&shares).await;
        let number = u64::try_from(shares.len()).unwrap_or(u64::MAX);
        counts.plus(RunCounts::of_step(sent.map(|()| RunCounts { shares: number, ..RunCounts::default() })))
    }
}

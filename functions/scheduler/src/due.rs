//! Sends the messages that are due before the next run, each with the rest of its delay and by the lane of its endpoint, and
//! then deletes their rows. If a message is sent twice, the second one changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::delivery::lane::Lane;
use domain::delivery::schedule::{Due, HORIZON, SHARDS};
use domain::endpoint::Endpoint;
use domain::endpoint::id::EndpointId;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use store::clock::Clock;
use store::ports::Ports;
use store::queues::Delayed;
use store::unavailable::PortResult;
use tokio::time::timeout;

use crate::handler::{RunCounts, Scheduler};

/// The number of rows in one step.
const STEP: usize = 100;

/// The largest number of endpoints that are read at the same time for one shard.
const CONCURRENT_READS: usize = 16;

/// The longest time for the reads of one step.
const MAX_READ_TIME: Duration = Duration::from_secs(5);

/// The tenant and the endpoint of a row.
type Target<'a> = (&'a TenantId, &'a EndpointId);

impl<P: Ports> Scheduler<P> {
    /// Sends the due messages of all shards.
    pub(crate) async fn send_due(&self, until: Timestamp) -> RunCounts {
        let shards = (0..SHARDS)
            .map(|shard| async move { RunCounts::of_step(self.send_due_of_shard(shard, until).await) });
        join_all(shards).await.into_iter().fold(RunCounts::default(), RunCounts::plus)
    }

    async fn send_due_of_shard(&self, shard: u8, until: Timestamp) -> PortResult<RunCounts> {
        let mut counts = RunCounts::default();
        while self.has_time(until) {
            // 1. Read the oldest rows.
            let now = self.clock.now();
            let rows = self.schedule.due(shard, now.after(HORIZON), STEP).await?;

            // 2. Send their messages, and delete the rows only then: a crash in between repeats a message and loses none.
            let endpoints = self.read_endpoints(&rows).await;
            let delayed = |row: &Due| Delayed {
                message: row.message.clone(),
                lane: Lane::of(endpoints.get(&target(row)), now),
                delay: row.at.since(now),
            };
            let messages: Vec<Delayed> = rows.iter().map(delayed).collect();
            self.deliveries.send(&messages).await?;
            self.schedule.delete_due(&rows).await?;

            counts.due += u64::try_from(rows.len()).unwrap_or(u64::MAX);
            let oldest = rows.first().map_or(0, |row| now.millis_since(row.at));
            counts.late_ms = counts.late_ms.max(oldest);
            if rows.len() < STEP {
                break;
            }
        }
        Ok(counts)
    }

    /// Reads each endpoint of these rows once. One that cannot be read is left out, and all are if the table is too slow: delivery
    /// reads them again.
    async fn read_endpoints<'a>(&self, rows: &'a [Due]) -> BTreeMap<Target<'a>, Endpoint> {
        let targets: BTreeSet<Target<'a>> = rows.iter().map(target).collect();
        let reads = stream::iter(targets).map(|target| async move {
            let endpoint = self.control.endpoint(target.0, target.1).await;
            (target, endpoint.ok().flatten())
        });
        let read = reads.buffer_unordered(CONCURRENT_READS);
        let found = read.filter_map(|(target, endpoint)| async move { Some((target, endpoint?)) });
        timeout(MAX_READ_TIME, found.collect()).await.unwrap_or_default()
    }
}

fn target(row: &Due) -> Target<'_> {
    (&row.message.tenant, &row.message.endpoint)
}

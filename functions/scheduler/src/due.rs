//! Sends the messages that are due before the next run, each with the rest of its delay, and then deletes their rows. If a
//! message is sent twice, the second one changes nothing.

use domain::delivery::schedule::{Due, HORIZON, SHARDS};
use domain::timestamp::Timestamp;
use futures_util::future::join_all;
use store::clock::Clock;
use store::ports::Ports;
use store::queues::Delayed;
use store::unavailable::PortResult;

use crate::handler::{RunCounts, Scheduler};

/// The number of rows in one step.
const STEP: usize = 100;

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
            let messages: Vec<Delayed> = rows.iter().map(|row| delayed(row, now)).collect();
            self.deliveries.send(&messages).await?;
            self.schedule.delete_due(&rows).await?;

            counts.due += u64::try_from(rows.len()).unwrap_or(u64::MAX);
            if rows.len() < STEP {
                break;
            }
        }
        Ok(counts)
    }
}

fn delayed(row: &Due, now: Timestamp) -> Delayed {
    Delayed { message: row.message.clone(), delay: row.at.since(now) }
}

//! Messages whose time comes before the next visit: sent with the rest of their delay, and only then is their row taken away.
//! Sent twice, a message does nothing the second time.

use domain::delivery::schedule::{Due, HORIZON, SHARDS};
use domain::timestamp::Timestamp;
use futures_util::future::join_all;
use store::clock::Clock;
use store::ports::Ports;
use store::queues::Delayed;
use store::unavailable::PortResult;

use crate::handler::{Moved, Scheduler};

/// So many rows in one step.
const STEP: usize = 100;

impl<P: Ports> Scheduler<P> {
    /// Sends what is due in all shards.
    pub(crate) async fn move_due(&self, until: Timestamp) -> Moved {
        let shards = (0..SHARDS).map(|shard| async move { Moved::of(self.move_due_of(shard, until).await) });
        join_all(shards).await.into_iter().fold(Moved::default(), Moved::plus)
    }

    async fn move_due_of(&self, shard: u8, until: Timestamp) -> PortResult<Moved> {
        let mut moved = Moved::default();
        while self.has_time(until) {
            let now = self.clock.now();
            let rows = self.schedule.due(shard, now.after(HORIZON), STEP).await?;
            let messages: Vec<Delayed> = rows.iter().map(|row| delayed(row, now)).collect();
            self.deliveries.send(&messages).await?;
            self.schedule.delete_due(&rows).await?;
            moved.due += u64::try_from(rows.len()).unwrap_or(u64::MAX);
            if rows.len() < STEP {
                break;
            }
        }
        Ok(moved)
    }
}

fn delayed(row: &Due, now: Timestamp) -> Delayed {
    Delayed { message: row.message.clone(), delay: row.at.since(now) }
}

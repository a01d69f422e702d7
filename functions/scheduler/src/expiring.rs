//! Sends expiry notices: one event in the inbox of the owner for all undelivered events that expire together. Then deletes
//! the row. A notice that is sent twice is the same event, which is stored once.

use domain::inbox::expiry::{ExpiryBatch, MAX_LOOKED_AT};
use domain::timestamp::Timestamp;
use futures_util::stream::{self, StreamExt};
use store::clock::Clock;
use store::ports::Ports;
use store::unavailable::PortResult;

use crate::handler::{RunCounts, Scheduler};

/// The largest number of rows in one run. At midnight the rows of all tenants are due, and the notices have a day of time.
const MAX_ROWS: usize = 1000;

/// The largest number of `Schedule` rows that are handled at the same time.
const CONCURRENT_ROWS: usize = 8;

impl<P: Ports> Scheduler<P> {
    /// Sends the expiry notices that are due.
    pub(crate) async fn send_expiry_notices(&self, until: Timestamp) -> RunCounts {
        let rows = match self.schedule.expiring(self.clock.now(), MAX_ROWS).await {
            Ok(rows) => rows,
            Err(error) => return RunCounts::of_step(Err(error)),
        };
        let notices = stream::iter(&rows).map(|row| async move {
            if self.has_time(until) {
                RunCounts::of_step(self.send_expiry_notice(row).await)
            } else {
                RunCounts::default()
            }
        });
        let notices = notices.buffer_unordered(CONCURRENT_ROWS);
        notices.fold(RunCounts::default(), |sum, counts| async move { sum.plus(counts) }).await
    }

    async fn send_expiry_notice(&self, row: &ExpiryBatch) -> PortResult<RunCounts> {
        let undelivered = self.events.undelivered(row, MAX_LOOKED_AT).await?;
        let mut counts = RunCounts::default();
        if let Some(notice) = row.notice(&undelivered, self.clock.now()) {
            counts.expiring = u64::from(self.send_notice(notice).await?);
        }
        self.schedule.delete_expiring(row).await?;
        Ok(counts)
    }
}

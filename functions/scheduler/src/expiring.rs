//! Events that nobody took and that will expire: their owner is told by one event in the inbox, and only then is the row taken
//! away. Told twice, it is the same event, stored once.

use domain::inbox::expiry::{ExpiryBatch, MAX_LOOKED_AT};
use domain::tenant::stats::{TenantChange, TenantChanges};
use domain::timestamp::Timestamp;
use futures_util::stream::{self, StreamExt};
use runtime::batch;
use store::clock::Clock;
use store::events::Inserted;
use store::limits::counters::Counts;
use store::ports::Ports;
use store::unavailable::PortResult;

use crate::handler::{Moved, Scheduler};

/// So many rows in one visit: at midnight those of all tenants are due at once, and there is a day to tell them.
const MAX_ROWS: usize = 1000;

/// Rows that are handled side by side.
const CONCURRENT_ROWS: usize = 8;

impl<P: Ports> Scheduler<P> {
    /// Tells the owners of what will expire.
    pub(crate) async fn tell_what_expires(&self, until: Timestamp) -> Moved {
        let rows = match self.schedule.expiring(self.clock.now(), MAX_ROWS).await {
            Ok(rows) => rows,
            Err(error) => return Moved::of(Err(error)),
        };
        let rows = stream::iter(&rows).map(|row| async move {
            let in_time = self.has_time(until);
            Moved::of(if in_time { self.tell(row).await } else { Ok(Moved::default()) })
        });
        let rows = rows.buffer_unordered(CONCURRENT_ROWS);
        rows.fold(Moved::default(), |sum, moved| async move { sum.plus(moved) }).await
    }

    async fn tell(&self, row: &ExpiryBatch) -> PortResult<Moved> {
        let untaken = self.events.undelivered(row, MAX_LOOKED_AT).await?;
        let mut moved = Moved::default();
        if !untaken.events.is_empty()
            && let Some(tier) = self.control.tier(&row.tenant).await?
            && let Some((event, head)) = row.notice(tier, &untaken, self.clock.now())
            && self.events.insert(&event, &head).await? == Inserted::New
        {
            moved.expiring = 1;
            let shares =
                TenantChanges::default().with(&row.tenant, &TenantChange::for_stored(event.id.accepted_at()));
            let counts = Counts { stored: 1, ..Counts::default() };
            batch::count(&self.limits, counts, None, &shares, self.clock.now()).await;
        }
        self.schedule.delete_expiring(row).await?;
        Ok(moved)
    }
}

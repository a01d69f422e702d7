//! Batches of events that will expire: one row for each tenant and span of time. All rows are in one partition, sorted
//! by the time of their notice.

use domain::inbox::expiry::ExpiryBatch;
use domain::timestamp::Timestamp;

use super::Schedule;
use crate::item::{Item, Key, Unreadable};
use crate::keys;
use crate::table::Table;
use crate::table::query::{Query, Range};
use crate::table::write::Delete;
use crate::unavailable::PortResult;

impl<T: Table> Schedule<T> {
    /// Puts the row of a batch, until its last event expires. Putting it twice has the same effect as once.
    pub async fn put_expiring(&self, batch: &ExpiryBatch) -> PortResult<()> {
        let row = Item::from([
            ("tenant", batch.tenant.as_str().into()),
            ("born_from", batch.accepted_from.into()),
            ("retention_hours", batch.retention_hours.into()),
            ("ttl", batch.expired_at().seconds().into()),
        ]);
        self.items.put(row.at(key(batch))).await
    }

    /// Returns at most `most` batches whose notice is due before `until`, earliest first.
    pub async fn expiring(&self, until: Timestamp, most: usize) -> PortResult<Vec<ExpiryBatch>> {
        let query = Query::consistent(keys::EXPIRING).range(Range::Before(keys::due_until(until)));
        self.rows(query, most, read).await.map(|found| found.rows)
    }

    /// Deletes the row of a batch whose notice is stored.
    pub async fn delete_expiring(&self, batch: &ExpiryBatch) -> PortResult<()> {
        self.items.delete(Delete::new(key(batch))).await.map(drop)
    }
}

fn key(batch: &ExpiryBatch) -> Key {
    Key::new(keys::EXPIRING, keys::expiring_row(batch))
}

/// Reads the row of a batch.
pub(crate) fn read(row: &Item) -> Result<ExpiryBatch, Unreadable> {
    Ok(ExpiryBatch {
        tenant: row.tenant("tenant")?,
        accepted_from: row.timestamp("born_from")?,
        retention_hours: row.number("retention_hours")?,
    })
}

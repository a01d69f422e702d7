//! Events that will expire: one row for each tenant and span of time, in one partition, in the order in which their owners get the
//! notice.

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
    /// Puts the row of events that will expire, until the last of them has. Putting it again changes nothing.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn put_expiring(&self, cohort: &ExpiryBatch) -> PortResult<()> {
        let row = Item::from([
            ("tenant", cohort.tenant.as_str().into()),
            ("born_from", cohort.accepted_from.into()),
            ("retention_hours", cohort.retention_hours.into()),
            ("ttl", cohort.expired_at().seconds().into()),
        ]);
        self.items.put(row.at(key(cohort))).await
    }

    /// Returns at most `most` rows whose notice is due before `until`, the earliest first.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn expiring(&self, until: Timestamp, most: usize) -> PortResult<Vec<ExpiryBatch>> {
        let query = Query::consistent(keys::EXPIRING).range(Range::Before(keys::due_until(until)));
        self.rows(query, most, read).await.map(|found| found.rows)
    }

    /// Deletes the row of events whose notice is stored.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn delete_expiring(&self, cohort: &ExpiryBatch) -> PortResult<()> {
        self.items.delete(Delete::new(key(cohort))).await.map(drop)
    }
}

fn key(cohort: &ExpiryBatch) -> Key {
    Key::new(keys::EXPIRING, keys::expiring_row(cohort))
}

/// Reads a row.
pub(crate) fn read(row: &Item) -> Result<ExpiryBatch, Unreadable> {
    Ok(ExpiryBatch {
        tenant: row.tenant("tenant")?,
        accepted_from: row.moment("born_from")?,
        retention_hours: row.number("retention_hours")?,
    })
}

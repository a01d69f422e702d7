//! Writes the rows for expiry notices when events enter the inbox. One row in `Schedule` is for all events of a tenant that
//! expire together.
//!
//! A repeated write changes nothing. Each instance remembers the rows that it wrote, only to save calls. If a row cannot be
//! written, the events enter nevertheless, and the next event that expires with them writes the row.

use std::collections::HashSet;

use domain::inbox::expiry::ExpiryBatch;
use futures_util::future::join_all;
use futures_util::lock::Mutex;

use crate::cache::Cache;
use crate::schedule::Schedule;
use crate::table::Table;

/// The largest number of rows in memory. One instance writes fewer; a row that was dropped is written again.
const MAX_WRITTEN: usize = 10_000;

/// Writes the rows for expiry notices.
pub struct Expirations<T> {
    schedule: Schedule<T>,
    /// The rows that this instance wrote.
    written: Cache<ExpiryBatch, ()>,
    /// Held while rows are written: events that enter at the same time write one row.
    writing: Mutex<()>,
}

impl<T: Table> Expirations<T> {
    /// Returns a writer that has written nothing.
    #[must_use]
    pub fn new(schedule: Schedule<T>) -> Self {
        Self { schedule, written: Cache::new(MAX_WRITTEN), writing: Mutex::new(()) }
    }

    /// Writes the row of each batch that this instance did not write before.
    pub async fn write_rows(&self, batches: HashSet<ExpiryBatch>) {
        if batches.iter().all(|batch| self.written.contains(batch)) {
            return;
        }
        let _writing = self.writing.lock().await;
        let new: Vec<ExpiryBatch> =
            batches.into_iter().filter(|batch| !self.written.contains(batch)).collect();
        let results = join_all(new.iter().map(|batch| self.schedule.put_expiring(batch))).await;
        for (batch, result) in new.into_iter().zip(results) {
            match result {
                Ok(()) => self.written.insert(batch, ()),
                Err(error) => tracing::warn!(cause = %error, "the row for an expiry notice was not written"),
            }
        }
    }
}

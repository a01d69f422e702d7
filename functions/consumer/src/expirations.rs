//! That events will expire is written down as they are stored: one row for all of a tenant's events of a day, long before its time.
//!
//! Putting a row twice changes nothing, so each instance remembers what it has put only to save the calls. Where a row cannot be
//! put, the events are stored all the same, and the next of that day tries again.

use std::collections::HashSet;

use domain::inbox::expiry::ExpiryBatch;
use futures_util::future::join_all;
use store::cache::Cache;
use store::schedule::Schedule;
use store::table::Table;

/// More tenants and days than one instance meets; what is forgotten is put once more.
const MAX_REMEMBERED: usize = 10_000;

/// Writes down when events will expire.
pub(crate) struct Expirations<T> {
    schedule: Schedule<T>,
    put: Cache<ExpiryBatch, ()>,
}

impl<T: Table> Expirations<T> {
    /// Rows for this table.
    #[must_use]
    pub(crate) fn new(schedule: Schedule<T>) -> Self {
        Self { schedule, put: Cache::new(MAX_REMEMBERED) }
    }

    /// Puts the rows of these cohorts, unless this instance did before.
    pub(crate) async fn note(&self, cohorts: HashSet<ExpiryBatch>) {
        let new: Vec<ExpiryBatch> = cohorts.into_iter().filter(|cohort| !self.put.contains(cohort)).collect();
        let puts = join_all(new.iter().map(|cohort| self.schedule.put_expiring(cohort))).await;
        for (cohort, put) in new.into_iter().zip(puts) {
            match put {
                Ok(()) => self.put.insert(cohort, ()),
                Err(error) => tracing::warn!(cause = %error, "nobody may be told that events will expire"),
            }
        }
    }
}

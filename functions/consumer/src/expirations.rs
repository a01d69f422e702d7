//! That events will expire is written down as they are stored: one row for all of a tenant's events of a day, long before its time.
//!
//! Putting a row twice changes nothing, so each instance remembers what it has put only to save the calls. Where a row cannot be
//! put, the events are stored all the same, and the next of that day tries again.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::inbox::expiry::Cohort;
use futures_util::future::join_all;
use store::ports::schedule::Schedule;

/// More tenants and days than one instance meets; what is forgotten is put once more.
const MAX_REMEMBERED: usize = 10_000;

/// Writes down when events will expire.
pub struct Expirations<S> {
    schedule: S,
    put: Mutex<HashSet<Cohort>>,
}

impl<S: Schedule> Expirations<S> {
    /// Rows for this table.
    #[must_use]
    pub fn new(schedule: S) -> Self {
        Self { schedule, put: Mutex::default() }
    }

    /// Puts the rows of these cohorts, unless this instance did before.
    pub(crate) async fn note(&self, cohorts: HashSet<Cohort>) {
        let new: Vec<Cohort> = {
            let put = self.put();
            cohorts.into_iter().filter(|cohort| !put.contains(cohort)).collect()
        };
        let puts = join_all(new.iter().map(|cohort| self.schedule.put_expiring(cohort))).await;
        for (cohort, put) in new.into_iter().zip(puts) {
            match put {
                Ok(()) => self.remember(cohort),
                Err(error) => tracing::warn!(cause = %error, "nobody may be told that events will expire"),
            }
        }
    }

    fn remember(&self, cohort: Cohort) {
        let mut put = self.put();
        if put.len() >= MAX_REMEMBERED {
            put.clear();
        }
        put.insert(cohort);
    }

    fn put(&self) -> MutexGuard<'_, HashSet<Cohort>> {
        self.put.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

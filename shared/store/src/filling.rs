//! Requests the notice that a tenant's inbox fills up. Entering the inbox already updates the
//! backlog, so an ordinary event costs nothing more. When the count of a day passes another hundredth of the maximum, a row asks
//! the scheduler to check the whole backlog.

use std::collections::HashMap;
use std::time::Duration;

use domain::inbox::notice_request::{NoticeRequest, Reason};
use domain::tenant::backlog::DayChange;
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::timestamp::Timestamp;

use crate::cache::Cache;
use crate::schedule::Schedule;
use crate::table::Table;

/// The shortest time between two requests of this instance at the same count. A backlog that goes up and down around it
/// would otherwise request a notice each time.
const INTERVAL: Duration = Duration::from_mins(10);

/// The largest number of requests in memory.
const MAX_REQUESTS: usize = 10_000;

/// Requests notices.
pub struct Filling<T> {
    schedule: Schedule<T>,
    /// When this instance last requested a notice for a tenant, a day and a step of its count.
    requested: Cache<(TenantId, u64, i64), Timestamp>,
}

impl<T: Table> Filling<T> {
    /// Returns a requester that has requested nothing.
    #[must_use]
    pub fn new(schedule: Schedule<T>) -> Self {
        Self { schedule, requested: Cache::new(MAX_REQUESTS) }
    }

    /// Requests a notice for each tenant whose backlog reached a further step. A failure is logged only: the next step
    /// requests it again.
    pub async fn request(
        &self,
        changes: Vec<(TenantId, DayChange)>,
        tiers: &HashMap<TenantId, Tier>,
        now: Timestamp,
    ) {
        for (tenant, change) in changes {
            let step = tiers.get(&tenant).and_then(|tier| change.reached_step(*tier));
            let Some(step) = step else { continue };
            let key = (tenant, change.day, step);
            if self.requested.get(&key).is_some_and(|last| now.since(last) < INTERVAL) {
                continue;
            }
            let request = NoticeRequest::new(&key.0, Reason::Filling, now);
            match self.schedule.request_notice(&request).await {
                Ok(()) => self.requested.insert(key, now),
                Err(error) => tracing::warn!(cause = %error, "the notice of a backlog was not requested"),
            }
        }
    }
}

//! Each tenant's tokens in this instance, leased from the table as they are needed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use triggers::api_key::KeyRecord;
use triggers::ports::Limits;
use triggers::rate_limit::{Bucket, Leased, Standing};
use triggers::tenant::TenantId;
use triggers::timestamp::Timestamp;

/// More tenants than one instance serves in a minute.
const MOST_TENANTS: usize = 10_000;

/// How often the rest of a minute is asked for, while other instances take from it too.
const MOST_LEASES: usize = 2;

/// Grants events by the minute.
pub struct Limiter<L> {
    limits: L,
    buckets: Mutex<HashMap<TenantId, Bucket>>,
}

impl<L: Limits> Limiter<L> {
    /// A limiter that has leased nothing yet.
    pub fn new(limits: L) -> Self {
        Self { limits, buckets: Mutex::default() }
    }

    /// Takes up to `wanted` tokens; tells how many there were, and where the tenant stands now.
    ///
    /// While the table does not answer, an instance grants tokens as if it were alone: a limit that cannot be counted
    /// must not turn events away.
    pub(crate) async fn take(&self, bearer: &KeyRecord, wanted: u32, now: Timestamp) -> (u32, Standing) {
        for _ in 0..MOST_LEASES {
            let asked = self.with_bucket(bearer, |bucket| bucket.shortfall(wanted, now));
            if asked == 0 || self.lease(bearer, asked, now).await {
                break;
            }
        }
        self.with_bucket(bearer, |bucket| (bucket.spend(wanted, now), bucket.standing(now)))
    }

    /// Leases tokens; whether there were as many as asked for.
    async fn lease(&self, bearer: &KeyRecord, asked: u32, now: Timestamp) -> bool {
        let limit = bearer.tier.limits().events_per_minute;
        match self.limits.lease(&bearer.tenant, now.minutes(), asked, limit).await {
            Ok(leased) => {
                self.with_bucket(bearer, |bucket| bucket.refill(asked, leased, now));
                matches!(leased, Leased::Granted { .. })
            }
            Err(error) => {
                tracing::warn!(cause = %error, "the limit is not counted");
                self.with_bucket(bearer, |bucket| bucket.refill_alone(asked, now));
                true
            }
        }
    }

    fn with_bucket<T>(&self, bearer: &KeyRecord, act: impl FnOnce(&mut Bucket) -> T) -> T {
        let mut buckets = self.buckets();
        if buckets.len() >= MOST_TENANTS && !buckets.contains_key(&bearer.tenant) {
            buckets.clear();
        }
        let limit = bearer.tier.limits().events_per_minute;
        act(buckets.entry(bearer.tenant.clone()).or_insert_with(|| Bucket::new(limit)))
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<TenantId, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Tokens in this instance, leased from the table as they are needed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits::Limits;
use crate::table::Table;
use domain::tenant::api_key::KeyRecord;
use domain::tenant::rate_limit::{Bucket, Leased, Meter, RateLimitStatus};
use domain::timestamp::Timestamp;

/// More meters than one instance reads in a minute.
const MAX_METERS: usize = 10_000;

/// How often the rest of a minute is asked for, while other instances take from it too.
const MAX_LEASES: usize = 2;

/// Grants events and other requests by the minute.
pub struct Limiter<T> {
    limits: Limits<T>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    buckets: HashMap<Meter, Bucket>,
    uncounted: u64,
}

impl<T: Table> Limiter<T> {
    /// A limiter that has leased nothing yet.
    pub fn new(limits: Limits<T>) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// Takes tokens for up to `wanted` events; tells how many there were, and where the bearer stands now.
    ///
    /// A key with a limit of its own spends its own tokens first, then the tenant's: it may never have more than they.
    pub async fn take_events(
        &self,
        bearer: &KeyRecord,
        wanted: u32,
        now: Timestamp,
    ) -> (u32, RateLimitStatus) {
        let mut granted = wanted;
        let mut tightest: Option<RateLimitStatus> = None;
        for (meter, limit) in Meter::of_events(bearer) {
            let (taken, standing) = self.take(&meter, limit, granted, now).await;
            granted = taken;
            tightest = Some(tightest.map_or(standing, |other| other.tighter(standing)));
        }
        (granted, tightest.unwrap_or_else(|| self.events_status(bearer, now)))
    }

    /// Takes a token for a request that posts no event; whether there was one, and where the tenant stands now.
    pub async fn take_request(&self, bearer: &KeyRecord, now: Timestamp) -> (bool, RateLimitStatus) {
        let (meter, limit) = Meter::of_requests(bearer);
        let (taken, standing) = self.take(&meter, limit, 1, now).await;
        (taken == 1, standing)
    }

    /// Where the bearer stands, as far as this instance knows, without taking anything.
    pub fn events_status(&self, bearer: &KeyRecord, now: Timestamp) -> RateLimitStatus {
        let standing = |(meter, limit): (Meter, u32)| {
            self.with_bucket(&meter, limit, |bucket| bucket.status(meter.policy(), now))
        };
        let (tenants, own) = (standing(Meter::of_tenant(bearer)), Meter::of_key(bearer).map(standing));
        own.map_or(tenants, |own| own.tighter(tenants))
    }

    /// How often the table did not answer since this was asked last.
    pub fn uncounted(&self) -> u64 {
        std::mem::take(&mut self.state().uncounted)
    }

    /// While the table does not answer, an instance grants tokens as if it were alone: a limit that cannot be counted
    /// must not turn events away.
    async fn take(&self, meter: &Meter, limit: u32, wanted: u32, now: Timestamp) -> (u32, RateLimitStatus) {
        for _ in 0..MAX_LEASES {
            let asked = self.with_bucket(meter, limit, |bucket| bucket.shortfall(wanted, now));
            if asked == 0 || self.lease(meter, limit, asked, now).await {
                break;
            }
        }
        self.with_bucket(meter, limit, |bucket| {
            (bucket.spend(wanted, now), bucket.status(meter.policy(), now))
        })
    }

    /// Leases tokens; whether there were as many as asked for.
    async fn lease(&self, meter: &Meter, limit: u32, asked: u32, now: Timestamp) -> bool {
        match self.limits.lease(meter, now.minutes(), asked, limit).await {
            Ok(leased) => {
                self.with_bucket(meter, limit, |bucket| bucket.refill(asked, leased, now));
                matches!(leased, Leased::Granted { .. })
            }
            Err(error) => {
                tracing::warn!(cause = %error, "the limit is not counted");
                self.with_bucket(meter, limit, |bucket| bucket.refill_without_table(now));
                self.state().uncounted += 1;
                true
            }
        }
    }

    fn with_bucket<R>(&self, meter: &Meter, limit: u32, act: impl FnOnce(&mut Bucket) -> R) -> R {
        let buckets = &mut self.state().buckets;
        if buckets.len() >= MAX_METERS && !buckets.contains_key(meter) {
            buckets.clear();
        }
        let bucket = buckets.entry(meter.clone()).or_insert_with(|| Bucket::new(limit));
        bucket.set_limit(limit);
        act(bucket)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::faults::{Fault, Faults};
    use crate::testing::table::MemoryTable;
    use domain::tenant::tier::Tier;
    use domain::testing::{START, key_of, tenant};

    fn limiter() -> Limiter<MemoryTable> {
        Limiter::new(Limits::new(MemoryTable::default()))
    }

    #[tokio::test]
    async fn a_key_has_its_own_limit_within_that_of_its_tenant() {
        let limiter = limiter();
        let tenant = tenant();
        let (_, whole) = key_of(&tenant, Tier::Free);
        let capped = KeyRecord { events_per_minute: Some(30), ..key_of(&tenant, Tier::Free).1 };
        let (granted, standing) = limiter.take_events(&capped, 40, START).await;
        assert_eq!((granted, standing.policy, standing.limit, standing.remaining), (30, "key", 30, 0));
        let (granted, standing) = limiter.take_events(&whole, 80, START).await;
        assert_eq!((granted, standing.policy, standing.remaining), (70, "events", 0));
        let next = Timestamp::from_seconds(START.seconds() + 60);
        assert_eq!(limiter.take_events(&whole, 90, next).await.0, 90);
        let (granted, standing) = limiter.take_events(&capped, 20, next).await;
        assert_eq!(
            (granted, standing.policy, standing.remaining),
            (10, "events", 0),
            "the tenant has no more"
        );
    }

    #[tokio::test]
    async fn requests_and_events_are_metered_apart() {
        let limiter = limiter();
        let (_, bearer) = key_of(&tenant(), Tier::Free);
        let limits = Tier::Free.limits();
        assert_eq!(limiter.take_events(&bearer, limits.events_per_minute, START).await.0, 100);
        for left in (0..limits.requests_per_minute).rev() {
            let (allowed, standing) = limiter.take_request(&bearer, START).await;
            assert_eq!((allowed, standing.policy, standing.remaining), (true, "requests", left));
        }
        assert!(!limiter.take_request(&bearer, START).await.0);
    }

    #[tokio::test]
    async fn a_changed_limit_counts_at_once() {
        let limiter = limiter();
        let (_, bearer) = key_of(&tenant(), Tier::Free);
        assert_eq!(limiter.take_events(&bearer, 200, START).await.0, 100);
        let upgraded = KeyRecord { tier: Tier::Pro, ..bearer };
        assert_eq!(limiter.take_events(&upgraded, 1000, START).await.0, 900, "100 were taken before");
    }

    #[tokio::test]
    async fn while_some_keys_are_known_with_an_old_tier_no_tokens_are_wasted() {
        let limiter = limiter();
        let (_, old) = key_of(&tenant(), Tier::Free);
        let new = KeyRecord { tier: Tier::Enterprise, ..old.clone() };
        for _ in 0..450 {
            assert_eq!(limiter.take_events(&new, 1, START).await.0, 1);
            assert_eq!(limiter.take_events(&old, 1, START).await.0, 1);
        }
        let (_, standing) = limiter.take_events(&new, 1, START).await;
        assert_eq!(standing.remaining, 100_000 - 901, "each was counted once");
    }

    #[tokio::test]
    async fn a_table_that_does_not_answer_turns_nothing_away_within_the_limit() {
        let faults = Faults::default();
        let limiter = Limiter::new(Limits::new(MemoryTable::new(faults.clone())));
        let (_, bearer) = key_of(&tenant(), Tier::Free);
        faults.die_at(0, Fault::Refused);
        assert_eq!(limiter.take_events(&bearer, 150, START).await.0, 100);
        assert_eq!((limiter.uncounted(), limiter.uncounted()), (1, 0));
    }
}

//! The rate limits of one instance. It leases tokens from the table when it needs them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::cache::Cache;
use crate::limits::Limits;
use crate::table::Table;
use domain::tenant::api_key::KeyRecord;
use domain::tenant::rate_limit::{Bucket, Leased, Meter, RateLimitStatus, tokens_for_reads};
use domain::timestamp::Timestamp;

/// The maximum number of cached meters, more than one instance uses in a minute.
const MAX_METERS: usize = 10_000;

/// The maximum number of leases per request. The second lease asks for the tokens that the first one found to be left.
const MAX_LEASES: usize = 2;

/// Limits events and other requests per minute.
pub struct Limiter<T> {
    limits: Limits<T>,
    buckets: Cache<Meter, Bucket>,
    uncounted: AtomicU64,
}

impl<T: Table> Limiter<T> {
    /// Returns a limiter that has leased no tokens.
    pub fn new(limits: Limits<T>) -> Self {
        Self { limits, buckets: Cache::new(MAX_METERS), uncounted: AtomicU64::new(0) }
    }

    /// Takes tokens for up to `wanted` events; returns their number, and the rate limit status after it.
    ///
    /// A key with its own limit takes tokens of that limit first, then tokens of its tenant.
    pub async fn take_events(
        &self,
        bearer: &KeyRecord,
        wanted: u32,
        now: Timestamp,
    ) -> (u32, RateLimitStatus) {
        let mut granted = wanted;
        let mut tightest: Option<RateLimitStatus> = None;
        for (meter, limit) in Meter::of_events(bearer) {
            let (taken, status) = self.take(&meter, limit, granted, now).await;
            granted = taken;
            tightest = Some(tightest.map_or(status, |other| other.tighter(status)));
        }
        (granted, tightest.unwrap_or_else(|| self.events_status(bearer, now)))
    }

    /// Takes a token for a request that posts no event; returns whether there was one, and the rate limit status after
    /// it.
    pub async fn take_request(&self, bearer: &KeyRecord, now: Timestamp) -> (bool, RateLimitStatus) {
        let (meter, limit) = Meter::of_requests(bearer);
        let (taken, status) = self.take(&meter, limit, 1, now).await;
        (taken == 1, status)
    }

    /// Takes the tokens for the reads of a request that has been handled, beyond the token of
    /// [`Limiter::take_request`]; returns the rate limit status after it. Returns `None` if that token pays for the reads: then
    /// nothing changes, and the table is not called. `half_units` is the number of read units, counted in halves.
    ///
    /// First spends the tokens of this instance. The rest is added in the table, also beyond the limit, so that the minute of
    /// all instances is in debt.
    pub async fn charge_reads(
        &self,
        bearer: &KeyRecord,
        half_units: u64,
        now: Timestamp,
    ) -> Option<RateLimitStatus> {
        let tokens = tokens_for_reads(half_units);
        if tokens == 0 {
            return None;
        }
        let (meter, limit) = Meter::of_requests(bearer);
        let owed = tokens - self.with_bucket(&meter, limit, |bucket| bucket.spend(tokens, now));
        if owed > 0 {
            let charged = self.limits.charge(&meter, now.minutes(), owed).await;
            if let Err(error) = &charged {
                tracing::warn!(cause = %error, "the table does not answer; the reads are charged in this instance");
                self.uncounted.fetch_add(1, Ordering::Relaxed);
            }
            self.with_bucket(&meter, limit, |bucket| bucket.owe(owed, charged.ok(), now));
        }
        Some(self.with_bucket(&meter, limit, |bucket| bucket.status(meter.policy(), now)))
    }

    /// Returns the rate limit status that this instance knows. Takes no token.
    pub fn events_status(&self, bearer: &KeyRecord, now: Timestamp) -> RateLimitStatus {
        let status = |(meter, limit): (Meter, u32)| {
            self.with_bucket(&meter, limit, |bucket| bucket.status(meter.policy(), now))
        };
        let of_tenant = status(Meter::of_tenant(bearer));
        let of_key = Meter::of_key(bearer).map(status);
        of_key.map_or(of_tenant, |of_key| of_key.tighter(of_tenant))
    }

    /// Returns how often the table did not answer since the last call.
    pub fn uncounted(&self) -> u64 {
        self.uncounted.swap(0, Ordering::Relaxed)
    }

    /// Takes up to `wanted` tokens. While the table does not answer, the instance grants the whole limit by itself: an
    /// outage of the table must not refuse events.
    async fn take(&self, meter: &Meter, limit: u32, wanted: u32, now: Timestamp) -> (u32, RateLimitStatus) {
        for _ in 0..MAX_LEASES {
            let missing = self.with_bucket(meter, limit, |bucket| bucket.shortfall(wanted, now));
            if missing == 0 || self.lease(meter, limit, missing, now).await {
                break;
            }
        }
        self.with_bucket(meter, limit, |bucket| {
            (bucket.spend(wanted, now), bucket.status(meter.policy(), now))
        })
    }

    /// Leases tokens; returns whether no further lease is needed.
    async fn lease(&self, meter: &Meter, limit: u32, wanted: u32, now: Timestamp) -> bool {
        match self.limits.lease(meter, now.minutes(), wanted, limit).await {
            Ok(leased) => {
                self.with_bucket(meter, limit, |bucket| bucket.refill(wanted, leased, now));
                matches!(leased, Leased::Granted { .. })
            }
            Err(error) => {
                tracing::warn!(cause = %error, "the table does not answer; the rate limit is not counted");
                self.with_bucket(meter, limit, |bucket| bucket.refill_without_table(now));
                self.uncounted.fetch_add(1, Ordering::Relaxed);
                true
            }
        }
    }

    fn with_bucket<R>(&self, meter: &Meter, limit: u32, act: impl FnOnce(&mut Bucket) -> R) -> R {
        self.buckets.with(
            meter.clone(),
            || Bucket::new(limit),
            |bucket| {
                bucket.set_limit(limit);
                act(bucket)
            },
        )
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
    async fn a_key_has_its_own_limit_within_the_limit_of_its_tenant() {
        let limiter = limiter();
        let tenant = tenant();
        let (_, whole) = key_of(&tenant, Tier::Free);
        let capped = KeyRecord { events_per_minute: Some(30), ..key_of(&tenant, Tier::Free).1 };
        let (granted, status) = limiter.take_events(&capped, 40, START).await;
        assert_eq!((granted, status.policy, status.limit, status.remaining), (30, "key", 30, 0));
        let (granted, status) = limiter.take_events(&whole, 80, START).await;
        assert_eq!((granted, status.policy, status.remaining), (70, "events", 0));
        let next = Timestamp::from_seconds(START.seconds() + 60);
        assert_eq!(limiter.take_events(&whole, 90, next).await.0, 90);
        let (granted, status) = limiter.take_events(&capped, 20, next).await;
        assert_eq!(
            (granted, status.policy, status.remaining),
            (10, "events", 0),
            "the tenant has 10 tokens left"
        );
    }

    #[tokio::test]
    async fn no_event_below_the_limit_is_refused_however_many_instances_a_tenant_meets() {
        for tier in Tier::ALL {
            let limit = usize::try_from(tier.limits().events_per_minute).unwrap();
            for instances in [1, 150, 1_000] {
                let table = MemoryTable::default();
                let limiters: Vec<_> =
                    (0..instances).map(|_| Limiter::new(Limits::new(table.clone()))).collect();
                let (_, bearer) = key_of(&tenant(), tier);
                let mut accepted = 0;
                for limiter in &limiters {
                    accepted += usize::try_from(limiter.take_events(&bearer, 1, START).await.0).unwrap();
                }
                assert_eq!(accepted, instances.min(limit), "{tier:?}, {instances} instances");

                // Each goes on until it is refused: the whole limit is accepted in sum, and no more.
                for limiter in &limiters {
                    while let (granted @ 1.., _) = limiter.take_events(&bearer, 7, START).await {
                        accepted += usize::try_from(granted).unwrap();
                    }
                }
                assert_eq!(accepted, limit, "{tier:?}, {instances} instances");
            }
        }
    }

    #[tokio::test]
    async fn requests_and_events_have_separate_limits() {
        let limiter = limiter();
        let (_, bearer) = key_of(&tenant(), Tier::Free);
        let limits = Tier::Free.limits();
        assert_eq!(limiter.take_events(&bearer, limits.events_per_minute, START).await.0, 100);
        for left in (0..limits.requests_per_minute).rev() {
            let (allowed, status) = limiter.take_request(&bearer, START).await;
            assert_eq!((allowed, status.policy, status.remaining), (true, "requests", left));
        }
        assert!(!limiter.take_request(&bearer, START).await.0);
    }

    #[tokio::test]
    async fn expensive_reads_put_the_minute_of_all_instances_into_debt() {
        let table = MemoryTable::default();
        let [one, other, third] = [(); 3].map(|()| Limiter::new(Limits::new(table.clone())));
        let (_, bearer) = key_of(&tenant(), Tier::Free);
        assert!(one.take_request(&bearer, START).await.0 && other.take_request(&bearer, START).await.0);
        let calls = table.usage().calls;
        assert_eq!(one.charge_reads(&bearer, 16, START).await, None, "8 units are paid for");
        assert_eq!(table.usage().calls, calls, "and cost no call");
        let status = one.charge_reads(&bearer, 16 * 101, START).await.unwrap();
        assert_eq!((status.policy, status.remaining), ("requests", 498), "100 tokens more");
        assert_eq!(one.charge_reads(&bearer, 16 * 10_000, START).await.unwrap().remaining, 0);
        for limiter in [&one, &other, &third] {
            assert!(!limiter.take_request(&bearer, START).await.0);
        }
        let next = Timestamp::from_seconds(START.seconds() + 60);
        let (is_allowed, status) = third.take_request(&bearer, next).await;
        assert_eq!((is_allowed, status.remaining), (true, 599), "a debt ends with its minute");
    }

    #[tokio::test]
    async fn reads_are_charged_in_their_instance_while_the_table_does_not_answer() {
        let faults = Faults::default();
        let limiter = Limiter::new(Limits::new(MemoryTable::new(faults.clone())));
        let (_, bearer) = key_of(&tenant(), Tier::Free);
        faults.die_at(0, Fault::Refused);
        assert_eq!(limiter.charge_reads(&bearer, 16 * 601, START).await.unwrap().remaining, 0);
        assert!(!limiter.take_request(&bearer, START).await.0);
        assert_eq!(limiter.uncounted(), 1);
    }

    #[tokio::test]
    async fn a_changed_limit_applies_at_once() {
        let limiter = limiter();
        let (_, bearer) = key_of(&tenant(), Tier::Free);
        assert_eq!(limiter.take_events(&bearer, 200, START).await.0, 100);
        let upgraded = KeyRecord { tier: Tier::Pro, ..bearer };
        assert_eq!(limiter.take_events(&upgraded, 1000, START).await.0, 900, "100 were taken before");
    }

    #[tokio::test]
    async fn no_tokens_are_lost_while_some_keys_are_cached_with_an_old_tier() {
        let limiter = limiter();
        let (_, old) = key_of(&tenant(), Tier::Free);
        let new = KeyRecord { tier: Tier::Enterprise, ..old.clone() };
        for _ in 0..450 {
            assert_eq!(limiter.take_events(&new, 1, START).await.0, 1);
            assert_eq!(limiter.take_events(&old, 1, START).await.0, 1);
        }
        let (_, status) = limiter.take_events(&new, 1, START).await;
        assert_eq!(status.remaining, 100_000 - 901, "each event was counted once");
    }

    #[tokio::test]
    async fn a_table_that_does_not_answer_refuses_no_event_within_the_limit() {
        let faults = Faults::default();
        let limiter = Limiter::new(Limits::new(MemoryTable::new(faults.clone())));
        let (_, bearer) = key_of(&tenant(), Tier::Free);
        faults.die_at(0, Fault::Refused);
        assert_eq!(limiter.take_events(&bearer, 150, START).await.0, 100);
        assert_eq!((limiter.uncounted(), limiter.uncounted()), (1, 0));
    }
}

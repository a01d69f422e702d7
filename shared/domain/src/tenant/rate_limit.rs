//! The rate limit. Instances lease tokens from the `Limits` table, so that a limit over all instances needs few
//! calls.
//!
//! An instance leases tokens of the minute with one conditional update of the table, and spends them locally: as many as
//! it needs, and then as many more as it has spent in this minute, up to a slice. The first lease takes half of what it spent
//! in the minute before, if the tenant was far below its limit then. So an instance that a tenant meets once holds back no token,
//! and the last tokens of a minute are leased one by one.
//! The table never grants more than the limit. An instance that cannot reach the table grants itself tokens, but no
//! more than the limit per minute. Unspent tokens expire with their minute.
//!
//! A request other than a post of events takes one token before it is handled, and after it what its reads cost beyond
//! that. This can be more than the minute has left: then the minute is in debt, and no token is granted until it ends.

use rand::{Rng, RngExt};

use crate::problem::{Kind, Problem};
use crate::tenant::api_key::KeyRecord;
use crate::tenant::id::TenantId;
use crate::timestamp::Timestamp;

/// Counts the rate-limit tokens that are left in the current minute.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Meter {
    /// The tenant that the counter belongs to.
    pub tenant: TenantId,
    /// What the counter counts.
    pub metered: Metered,
}

/// The things that are counted.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Metered {
    /// All events that the tenant posts.
    Events,
    /// The events that one key posts. Holds the id of the key.
    EventsOfKey(String),
    /// The requests other than posts of events.
    Requests,
}

impl Meter {
    /// Returns the meters for a post, the narrower one first, each with its limit per minute.
    pub fn of_events(bearer: &KeyRecord) -> impl Iterator<Item = (Self, u32)> {
        Self::of_key(bearer).into_iter().chain([Self::of_tenant(bearer)])
    }

    /// Returns the meter for all events of the tenant, and its limit per minute.
    #[must_use]
    pub fn of_tenant(bearer: &KeyRecord) -> (Self, u32) {
        Self::of(bearer, Metered::Events, bearer.tier.limits().events_per_minute)
    }

    /// Returns the meter for the events of this key, and its limit per minute; `None` if the key has no limit of its
    /// own.
    #[must_use]
    pub fn of_key(bearer: &KeyRecord) -> Option<(Self, u32)> {
        let limit = bearer.events_per_minute?;
        Some(Self::of(bearer, Metered::EventsOfKey(bearer.id.clone()), limit))
    }

    /// Returns the meter for requests other than posts of events, and its limit per minute.
    #[must_use]
    pub fn of_requests(bearer: &KeyRecord) -> (Self, u32) {
        Self::of(bearer, Metered::Requests, bearer.tier.limits().requests_per_minute)
    }

    /// Returns the name of the policy in the `RateLimit` headers.
    #[must_use]
    pub const fn policy(&self) -> &'static str {
        match self.metered {
            Metered::Events => "events",
            Metered::EventsOfKey(_) => "key",
            Metered::Requests => "requests",
        }
    }

    fn of(bearer: &KeyRecord, metered: Metered, limit: u32) -> (Self, u32) {
        (Self { tenant: bearer.tenant.clone(), metered }, limit)
    }
}

/// The largest number of seconds after the start of the next minute at which a refused client is asked to come back.
pub const RETRY_SPREAD_SECONDS: u32 = 5;

/// The share of the tokens left in a minute that one lease may take beyond its need: one twentieth.
const SHARE_OF_REST: u32 = 20;

/// The share of its limit that a tenant may have taken in the last minute if its first leases in the next minute are to be larger
/// than their need: one quarter. Together they hold at most an eighth of the limit in tokens that are not spent yet.
const QUIET_SHARE: u32 = 4;

/// The read units that a token pays for.
///
/// A request that reads one event, one endpoint or a short page costs one token. A tenant that lists, leases and
/// acknowledges each of its events uses less than one of the six tokens that it has for each event per minute.
pub const READ_UNITS_PER_TOKEN: u64 = 8;

/// Returns the number of tokens that a request takes for its reads, beyond the one that it took before. `half_units` is
/// the number of read units, counted in halves.
#[must_use]
pub fn tokens_for_reads(half_units: u64) -> u32 {
    let tokens = half_units.div_ceil(2 * READ_UNITS_PER_TOKEN);
    u32::try_from(tokens.saturating_sub(1)).unwrap_or(u32::MAX)
}

/// Returns the largest number of tokens that a lease takes beyond its need: a hundredth of the limit, from 1 to 1,000.
#[must_use]
pub fn slice(limit: u32) -> u32 {
    (limit / 100).clamp(1, 1000)
}

/// The answer of the table to a request for tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leased {
    /// The table granted the tokens.
    Granted {
        /// The tokens that all instances have taken in this minute, these included.
        taken: u32,
    },
    /// The minute has fewer tokens left than requested. The table granted none.
    Exhausted {
        /// The number of tokens left.
        left: u32,
    },
}

/// The tokens of one meter in this instance.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    limit: u32,
    minute: u64,
    tokens: u32,
    /// The tokens that this instance has spent in this minute.
    spent: u32,
    /// Half of the tokens that this instance spent in the minute before, if the tenant was far below its limit then.
    expected: u32,
    /// The tokens that all instances have leased in this minute, as far as this instance knows.
    taken: u32,
}

impl Bucket {
    /// Makes an empty bucket. `limit` is in tokens per minute.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self { limit, minute: 0, tokens: 0, spent: 0, expected: 0, taken: 0 }
    }

    /// Sets another limit, and keeps the granted tokens. For up to a minute after a change, requests with the old and
    /// the new limit alternate.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// Returns the number of tokens to lease before `wanted` tokens can be spent at `now`: 0 if they are there, otherwise
    /// what is missing and some for the next requests, but no more than the minute has left.
    #[must_use]
    pub fn shortfall(&self, wanted: u32, now: Timestamp) -> u32 {
        let Self { tokens, spent, expected, taken, .. } = self.at(now);
        let missing = wanted.min(self.limit).saturating_sub(tokens);
        if missing == 0 {
            return 0;
        }
        let left = self.limit.saturating_sub(taken);
        let for_next_requests = spent.max(expected).min(slice(self.limit)).min(left / SHARE_OF_REST);
        missing.max(for_next_requests).min(left)
    }

    /// Adds the tokens that the table granted in the minute of `now`, or notes how few are left.
    pub fn refill(&mut self, asked: u32, leased: Leased, now: Timestamp) {
        *self = self.at(now);
        match leased {
            Leased::Granted { taken } => {
                self.tokens += asked;
                self.taken = self.taken.max(taken);
            }
            Leased::Exhausted { left } => self.taken = self.taken.max(self.limit.saturating_sub(left)),
        }
    }

    /// Grants the rest of the minute, because the table cannot be reached. The table is not asked again in this
    /// minute.
    pub fn refill_without_table(&mut self, now: Timestamp) {
        *self = self.at(now);
        self.tokens += self.limit.saturating_sub(self.taken);
        self.taken = self.taken.max(self.limit);
    }

    /// Spends up to `wanted` tokens, and returns the number of tokens spent.
    pub fn spend(&mut self, wanted: u32, now: Timestamp) -> u32 {
        *self = self.at(now);
        let spent = wanted.min(self.tokens);
        self.tokens -= spent;
        self.spent += spent;
        spent
    }

    /// Notes tokens that were charged beyond those in the bucket. `taken` is the number of tokens that all instances have
    /// taken, `None` if the table did not answer.
    pub fn owe(&mut self, charged: u32, taken: Option<u32>, now: Timestamp) {
        *self = self.at(now);
        self.taken = self.taken.max(taken.unwrap_or_else(|| self.taken.saturating_add(charged)));
    }

    /// Returns the status for the `RateLimit` headers.
    #[must_use]
    pub fn status(&self, policy: &'static str, now: Timestamp) -> RateLimitStatus {
        let Self { tokens, taken, .. } = self.at(now);
        RateLimitStatus {
            policy,
            limit: self.limit,
            remaining: (self.limit.saturating_sub(taken) + tokens).min(self.limit),
            reset_seconds: u32::try_from(60 - now.seconds() % 60).unwrap_or(60),
        }
    }

    /// Returns the bucket in the minute of `now`. In a new minute it is empty.
    fn at(&self, now: Timestamp) -> Self {
        let minute = now.minutes();
        if self.minute == minute {
            return *self;
        }
        let is_quiet = self.minute + 1 == minute && self.taken <= self.limit / QUIET_SHARE;
        let expected = if is_quiet { self.spent / 2 } else { 0 };
        Self { minute, expected, ..Self::new(self.limit) }
    }
}

/// The status of a client under one limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RateLimitStatus {
    /// The name of the policy.
    pub policy: &'static str,
    /// The tokens per minute.
    pub limit: u32,
    /// The tokens left in this minute, as far as this instance knows.
    pub remaining: u32,
    /// The seconds until the next minute starts, from 1 to 60.
    pub reset_seconds: u32,
}

impl RateLimitStatus {
    /// Returns the status with fewer tokens left.
    #[must_use]
    pub fn tighter(self, other: Self) -> Self {
        if other.remaining < self.remaining { other } else { self }
    }

    /// Makes the 429 for this minute. `things` names what is limited, for example `events`. The clients of a tenant are
    /// told different seconds, up to [`RETRY_SPREAD_SECONDS`] apart, so that they do not all come back at once.
    #[must_use]
    pub fn to_problem(&self, things: &str, rng: &mut impl Rng) -> Problem {
        let seconds = self.reset_seconds + rng.random_range(0..=RETRY_SPREAD_SECONDS);
        let detail = format!(
            "Rate limit exceeded: {} {things} per minute are allowed; send this again in {seconds} seconds",
            self.limit
        );
        Problem { retry_after: Some(seconds), ..Problem::new(Kind::RateLimited, detail) }
    }

    /// Returns the headers `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers), and the older
    /// `X-RateLimit-*`.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        vec![
            ("ratelimit-policy", format!("\"{}\";q={};w=60", self.policy, self.limit)),
            ("ratelimit", format!("\"{}\";r={};t={}", self.policy, self.remaining, self.reset_seconds)),
            ("x-ratelimit-limit", self.limit.to_string()),
            ("x-ratelimit-remaining", self.remaining.to_string()),
            ("x-ratelimit-reset", self.reset_seconds.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::tier::Tier;

    const NOW: Timestamp = Timestamp::from_seconds(600);

    /// Spends one token after another; returns the sizes of the leases that this needs.
    fn leases(bucket: &mut Bucket, events: u32) -> Vec<u32> {
        let mut leases = Vec::new();
        for _ in 0..events {
            let wanted = bucket.shortfall(1, NOW);
            if wanted > 0 {
                leases.push(wanted);
                bucket.refill(wanted, Leased::Granted { taken: bucket.taken + wanted }, NOW);
            }
            assert_eq!(bucket.spend(1, NOW), 1);
        }
        leases
    }

    #[test]
    fn a_lease_takes_as_many_tokens_as_were_spent_before_up_to_a_slice() {
        let mut bucket = Bucket::new(10_000);
        assert_eq!(leases(&mut bucket, 300), [1, 1, 2, 4, 8, 16, 32, 64, 100, 100]);
        assert_eq!(bucket.status("events", NOW).remaining, 9_700);
        assert_eq!(leases(&mut Bucket::new(1_000), 50), [1, 1, 2, 4, 8, 10, 10, 10, 10]);
    }

    #[test]
    fn the_first_lease_takes_half_of_the_last_minute_if_the_tenant_was_far_below_its_limit() {
        let first_lease = |spent, taken, seconds| {
            let mut bucket = Bucket::new(1000);
            bucket.refill(spent, Leased::Granted { taken }, NOW);
            bucket.spend(spent, NOW);
            bucket.shortfall(1, Timestamp::from_seconds(NOW.seconds() + seconds))
        };
        assert_eq!((first_lease(6, 6, 60), first_lease(6, 250, 60)), (3, 3));
        assert_eq!(
            (first_lease(6, 251, 60), first_lease(6, 6, 120)),
            (1, 1),
            "busy; a minute without events"
        );
        assert_eq!((first_lease(1, 1, 60), first_lease(100, 100, 60)), (1, 10), "up to a slice");
    }

    #[test]
    fn the_last_tokens_of_a_minute_are_leased_one_by_one_and_all_can_be_spent() {
        for tier in Tier::ALL {
            let limit = tier.limits().events_per_minute;
            let mut bucket = Bucket::new(limit);
            let leases = leases(&mut bucket, limit);
            assert_eq!((leases.iter().sum::<u32>(), leases.last()), (limit, Some(&1)), "{tier:?}");
            assert_eq!(bucket.shortfall(1, NOW), 0, "the minute is spent");
        }
    }

    #[test]
    fn tokens_expire_with_their_minute() {
        let mut bucket = Bucket::new(1000);
        bucket.refill(10, Leased::Granted { taken: 10 }, NOW);
        let next = Timestamp::from_seconds(660);
        assert_eq!(bucket.shortfall(1, next), 1);
        assert_eq!(bucket.spend(1, next), 0);
        assert_eq!(bucket.status("events", next).remaining, 1000);
    }

    #[test]
    fn an_exhausted_minute_says_when_the_next_starts() {
        let mut bucket = Bucket::new(100);
        let now = Timestamp::from_seconds(645);
        bucket.refill(1, Leased::Exhausted { left: 0 }, now);
        assert_eq!(bucket.spend(1, now), 0);
        let standing = bucket.status("events", now);
        assert_eq!((standing.remaining, standing.reset_seconds), (0, 15));
        assert_eq!(bucket.shortfall(1, now), 0, "the table is not asked again in this minute");
    }

    #[test]
    fn without_the_table_an_instance_grants_no_more_than_the_limit() {
        let mut bucket = Bucket::new(1000);
        bucket.refill(10, Leased::Granted { taken: 30 }, NOW);
        bucket.refill_without_table(NOW);
        bucket.refill_without_table(NOW);
        assert_eq!(bucket.spend(2000, NOW), 980, "20 are other instances'");
    }

    #[test]
    fn reads_beyond_those_of_one_token_cost_more_tokens() {
        let costs = [0, 1, 16, 17, 32, 33, 25_600].map(tokens_for_reads);
        assert_eq!(costs, [0, 0, 0, 1, 1, 2, 1_599], "half units");
        assert_eq!(tokens_for_reads(u64::MAX), u32::MAX);
    }

    #[test]
    fn a_minute_in_debt_grants_no_token_and_the_next_one_does() {
        let mut bucket = Bucket::new(100);
        bucket.refill(2, Leased::Granted { taken: 2 }, NOW);
        bucket.owe(500, Some(502), NOW);
        assert_eq!(
            (bucket.spend(2, NOW), bucket.shortfall(1, NOW)),
            (2, 0),
            "what was leased before can be spent"
        );
        assert_eq!(bucket.status("requests", NOW).remaining, 0);
        assert_eq!(bucket.shortfall(1, Timestamp::from_seconds(660)), 1);
        let mut alone = Bucket::new(100);
        alone.owe(500, None, NOW);
        assert_eq!(
            alone.shortfall(1, NOW),
            0,
            "the table did not answer, and this instance knows of the debt"
        );
    }

    #[test]
    fn a_batch_larger_than_the_limit_asks_for_no_more_than_the_limit() {
        assert_eq!(Bucket::new(100).shortfall(500, NOW), 100);
    }
}

//! Token leases: how a tenant's limit is enforced by many instances with few calls.
//!
//! An instance takes a slice of the minute's tokens with one conditional update of the `Limits` table and
//! spends it locally. The table never grants more than the limit. An instance that cannot reach the table
//! grants itself tokens, at most the limit in a minute. Tokens left over die with their minute.

use crate::problem::{Kind, Problem};
use crate::tenant::api_key::KeyRecord;
use crate::tenant::id::TenantId;
use crate::timestamp::Timestamp;

/// What is counted by the minute.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Meter {
    /// Whose.
    pub tenant: TenantId,
    /// What of it.
    pub metered: Metered,
}

/// What of a tenant is counted.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Metered {
    /// The events it posts.
    Events,
    /// The events that one key posts, by the key's id.
    EventsOfKey(String),
    /// The requests that post no event.
    Requests,
}

impl Meter {
    /// The meters that an event passes, the narrower one first, each with its limit.
    pub fn of_events(bearer: &KeyRecord) -> impl Iterator<Item = (Self, u32)> {
        Self::of_key(bearer).into_iter().chain([Self::of_tenant(bearer)])
    }

    /// The meter of all events of the tenant.
    #[must_use]
    pub fn of_tenant(bearer: &KeyRecord) -> (Self, u32) {
        Self::of(bearer, Metered::Events, bearer.tier.limits().events_per_minute)
    }

    /// The meter of the key alone, if it has a limit of its own.
    #[must_use]
    pub fn of_key(bearer: &KeyRecord) -> Option<(Self, u32)> {
        let limit = bearer.events_per_minute?;
        Some(Self::of(bearer, Metered::EventsOfKey(bearer.id.clone()), limit))
    }

    /// The meter of requests that post no event.
    #[must_use]
    pub fn of_requests(bearer: &KeyRecord) -> (Self, u32) {
        Self::of(bearer, Metered::Requests, bearer.tier.limits().requests_per_minute)
    }

    /// The policy's name in the headers.
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

/// Tokens taken from the table at once: a hundredth of the limit, at least 1, at most 1,000.
#[must_use]
pub fn slice(limit: u32) -> u32 {
    (limit / 100).clamp(1, 1000)
}

/// What the table answered to a request for tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leased {
    /// The tokens are ours; the minute's count, ours included, is now `taken`.
    Granted {
        /// Tokens taken by all instances in this minute.
        taken: u32,
    },
    /// The minute has fewer tokens left than were asked for: nothing was taken.
    Exhausted {
        /// How many are left.
        left: u32,
    },
}

/// The tokens of one meter in this instance.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    limit: u32,
    minute: u64,
    tokens: u32,
    taken: u32,
}

impl Bucket {
    /// An empty bucket for a limit of `limit` tokens per minute.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self { limit, minute: 0, tokens: 0, taken: 0 }
    }

    /// Takes on another limit. Tokens that were granted stay: for up to a minute after a change some keys are still known
    /// with the old limit, and the bucket goes back and forth between both.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// How many tokens must be leased before `wanted` can be spent at `now`; never more than one minute has.
    #[must_use]
    pub fn shortfall(&self, wanted: u32, now: Timestamp) -> u32 {
        let Self { tokens, taken, .. } = self.at(now);
        let missing = wanted.min(self.limit).saturating_sub(tokens);
        missing.next_multiple_of(slice(self.limit)).min(self.limit.saturating_sub(taken))
    }

    /// Adds what the table granted in the minute of `now`, or notes how little is left.
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

    /// Grants the rest of the minute, as if this instance were alone: the table cannot be reached, and is not asked again
    /// before the next.
    pub fn refill_alone(&mut self, now: Timestamp) {
        *self = self.at(now);
        self.tokens += self.limit.saturating_sub(self.taken);
        self.taken = self.taken.max(self.limit);
    }

    /// Spends up to `wanted` tokens and tells how many there were.
    pub fn spend(&mut self, wanted: u32, now: Timestamp) -> u32 {
        *self = self.at(now);
        let spent = wanted.min(self.tokens);
        self.tokens -= spent;
        spent
    }

    /// What the client is told.
    #[must_use]
    pub fn standing(&self, policy: &'static str, now: Timestamp) -> RateLimitStatus {
        let Self { tokens, taken, .. } = self.at(now);
        RateLimitStatus {
            policy,
            limit: self.limit,
            remaining: (self.limit.saturating_sub(taken) + tokens).min(self.limit),
            reset_seconds: u32::try_from(60 - now.seconds() % 60).unwrap_or(60),
        }
    }

    /// Returns the bucket in the minute of `now`: empty if that is another minute than before.
    fn at(&self, now: Timestamp) -> Self {
        if self.minute == now.minutes() {
            *self
        } else {
            Self { minute: now.minutes(), ..Self::new(self.limit) }
        }
    }
}

/// A client's standing against a limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RateLimitStatus {
    /// The limit's name.
    pub policy: &'static str,
    /// Tokens per minute.
    pub limit: u32,
    /// How many are left in this minute, as far as this instance knows.
    pub remaining: u32,
    /// Seconds until the next minute begins, 1 to 60.
    pub reset_seconds: u32,
}

impl RateLimitStatus {
    /// The one of two that will refuse first.
    #[must_use]
    pub fn tighter(self, other: Self) -> Self {
        if other.remaining < self.remaining { other } else { self }
    }

    /// The refusal of more such `things` in this minute.
    #[must_use]
    pub fn refusal(&self, things: &str) -> Problem {
        let detail = format!(
            "Rate limit exceeded: {} {things} per minute are allowed; send this again in {} seconds",
            self.limit, self.reset_seconds
        );
        Problem { retry_after: Some(self.reset_seconds), ..Problem::new(Kind::RateLimited, detail) }
    }

    /// The headers of every answer to an authenticated call: the IETF draft's `RateLimit-Policy` and `RateLimit`
    /// (draft-ietf-httpapi-ratelimit-headers), and the older `X-RateLimit-*`.
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

    #[test]
    fn slices_divide_every_tier_so_that_the_last_token_can_be_taken() {
        for tier in Tier::ALL {
            let limit = tier.limits().events_per_minute;
            assert_eq!(limit % slice(limit), 0, "{tier:?}");
        }
    }

    #[test]
    fn a_slice_is_spent_locally_before_another_is_leased() {
        let mut bucket = Bucket::new(1000);
        assert_eq!(bucket.shortfall(1, NOW), 10);
        bucket.refill(10, Leased::Granted { taken: 10 }, NOW);
        for left in (0..10).rev() {
            assert_eq!(bucket.shortfall(1, NOW), 0);
            assert_eq!(bucket.spend(1, NOW), 1);
            assert_eq!(bucket.standing("events", NOW).remaining, 990 + left);
        }
        assert_eq!(bucket.shortfall(1, NOW), 10);
    }

    #[test]
    fn tokens_die_with_their_minute() {
        let mut bucket = Bucket::new(1000);
        bucket.refill(10, Leased::Granted { taken: 10 }, NOW);
        let next = Timestamp::from_seconds(660);
        assert_eq!(bucket.shortfall(1, next), 10);
        assert_eq!(bucket.spend(1, next), 0);
        assert_eq!(bucket.standing("events", next).remaining, 1000);
    }

    #[test]
    fn an_exhausted_minute_tells_when_the_next_begins() {
        let mut bucket = Bucket::new(100);
        let now = Timestamp::from_seconds(645);
        bucket.refill(1, Leased::Exhausted { left: 0 }, now);
        assert_eq!(bucket.spend(1, now), 0);
        let standing = bucket.standing("events", now);
        assert_eq!((standing.remaining, standing.reset_seconds), (0, 15));
        assert_eq!(bucket.shortfall(1, now), 0, "the table is not asked again in this minute");
    }

    #[test]
    fn an_instance_that_is_alone_grants_no_more_than_the_limit() {
        let mut bucket = Bucket::new(1000);
        bucket.refill(10, Leased::Granted { taken: 30 }, NOW);
        bucket.refill_alone(NOW);
        bucket.refill_alone(NOW);
        assert_eq!(bucket.spend(2000, NOW), 980, "20 are other instances'");
    }

    #[test]
    fn a_batch_larger_than_the_limit_asks_for_no_more_than_the_limit() {
        assert_eq!(Bucket::new(100).shortfall(500, NOW), 100);
    }
}

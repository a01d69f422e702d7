//! Who is asking: the tenant, and what its tier allows.
//!
//! A [`TenantId`] leads every key of every table ([`crate::keys`]). Outside this crate there is no way to make
//! one from a string: it comes from a credential, or from an item that a credential once wrote.

mod spread;

use std::fmt;
use std::time::Duration;

use rand::Rng;

use crate::id;
use crate::timestamp::Timestamp;

pub use spread::Spread;

/// The identity of one tenant (an *organization* in the HTTP contract): `org_` and 32 hexadecimal digits.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TenantId(String);

impl TenantId {
    const PREFIX: &str = "org_";

    /// A new identity, for a tenant that is just being created.
    pub fn generate(now: Timestamp, rng: &mut impl Rng) -> Self {
        Self(id::by_time(Self::PREFIX, now, rng))
    }

    /// The identity that our own code wrote into a table or a queue. Never for text that a caller sent.
    pub(crate) fn from_trusted(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The identity that a message of our queues names, of whatever form that message is.
    pub(crate) fn of_message(body: &str) -> Option<Self> {
        let body: serde_json::Value = serde_json::from_str(body).ok()?;
        let text = body.get("tenant")?.as_str()?;
        id::is_canonical(Self::PREFIX, text).then(|| Self(text.to_owned()))
    }

    /// The identity as text, `org_...`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a tenant pays for. All that depends on it stands in [`Tier::limits`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Tier {
    /// For trying out.
    #[default]
    Free,
    /// For one product.
    Pro,
    /// For a company.
    Business,
    /// For a platform.
    Enterprise,
}

/// What a tier allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TierLimits {
    /// Events accepted in one minute of the clock.
    pub events_per_minute: u32,
    /// Requests answered in one minute of the clock besides the posting of events.
    pub requests_per_minute: u32,
    /// Events that may wait for somebody to take them; more are refused until some were taken.
    pub undelivered_events: u64,
    /// Partitions over which a tenant's events are spread that begins with this tier: [`Spread`] tells how that grows.
    pub shards: u8,
    /// Days that an event is kept, from the moment it was accepted.
    pub retention_days: u16,
}

impl Tier {
    /// Every tier, smallest first.
    pub const ALL: [Self; 4] = [Self::Free, Self::Pro, Self::Business, Self::Enterprise];

    /// Shards on which a tenant's events may lie, whatever tier it has or had.
    pub const MOST_SHARDS: u8 = Self::Enterprise.limits().shards;

    /// The one table of limits.
    #[must_use]
    pub const fn limits(self) -> TierLimits {
        let (events_per_minute, undelivered_events, shards, retention_days) = match self {
            Self::Free => (100, 10_000, 1, 7),
            Self::Pro => (1_000, 100_000, 1, 30),
            Self::Business => (10_000, 1_000_000, 4, 30),
            Self::Enterprise => (100_000, 10_000_000, 16, 90),
        };
        let requests_per_minute = events_per_minute * 6; // ten in a second for the smallest tier
        TierLimits { events_per_minute, requests_per_minute, undelivered_events, shards, retention_days }
    }

    /// The tier's name in JSON and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Pro => "pro",
            Self::Business => "business",
            Self::Enterprise => "enterprise",
        }
    }

    /// The tier of this name; `None` if there is none.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == name)
    }
}

/// A tenant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tenant {
    /// Its identity.
    pub id: TenantId,
    /// The name its owner gave.
    pub organization_name: String,
    /// What it pays for.
    pub tier: Tier,
    /// Over how many shards its events are spread.
    pub spread: Spread,
    /// How many days it wants its events kept, if it said so; [`Tenant::retention_days`] tells what comes of it.
    pub wanted_retention_days: Option<u16>,
    /// When it was created.
    pub created_at: Timestamp,
    /// How often it or the set of its keys was written. Every change is conditional on the value it read.
    pub rev: u64,
}

impl Tenant {
    /// Days that its events are kept which are accepted now: as it wants, but no longer than its tier allows.
    #[must_use]
    pub fn retention_days(&self) -> u16 {
        let most = self.tier.limits().retention_days;
        self.wanted_retention_days.map_or(most, |wanted| wanted.min(most))
    }

    /// The tenant with another tier from `now` on, its spread [raised](Spread::raised_to) where that tier's is wider.
    #[must_use]
    pub fn of_tier(self, tier: Tier, now: Timestamp, delay: Duration) -> Self {
        let spread = self.spread.raised_to(tier.limits().shards, now, delay);
        Self { tier, spread, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tier_is_found_by_its_name_and_allows_more_than_the_one_before() {
        for tier in Tier::ALL {
            assert_eq!(Tier::parse(tier.as_str()), Some(tier));
        }
        assert_eq!(Tier::parse("gold"), None);
        assert!(Tier::ALL.map(|tier| tier.limits().events_per_minute).is_sorted());
        assert!(Tier::ALL.map(|tier| tier.limits().shards).is_sorted());
        assert_eq!(Tier::ALL.map(|tier| tier.limits().shards).last(), Some(&Tier::MOST_SHARDS));
    }

    #[test]
    fn a_tenant_keeps_its_events_as_it_wants_within_its_tier_and_its_shards_through_every_tier() {
        let now = Timestamp::from_seconds(1000);
        let mut tenant = Tenant {
            id: TenantId::from_trusted("org_1"),
            organization_name: String::new(),
            tier: Tier::Business,
            spread: Spread::of(Tier::Business),
            wanted_retention_days: None,
            created_at: now,
            rev: 1,
        };
        assert_eq!(tenant.retention_days(), 30);
        tenant.wanted_retention_days = Some(10);
        let days_and_shards = |tier| {
            let changed = tenant.clone().of_tier(tier, now, Spread::DELAY);
            (changed.retention_days(), changed.spread.write_at(now), changed.spread.read())
        };
        let expected = [(7, 4, 4), (10, 4, 4), (10, 4, 4), (10, 4, 16)];
        assert_eq!(Tier::ALL.map(days_and_shards), expected);
    }

    #[test]
    fn two_tenants_of_one_millisecond_differ() {
        let (now, mut rng) = (Timestamp::from_millis(1), rand::rng());
        let (a, b) = (TenantId::generate(now, &mut rng), TenantId::generate(now, &mut rng));
        assert_ne!(a, b);
        assert_eq!(a.as_str().len(), "org_".len() + 32);
    }
}

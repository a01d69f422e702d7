//! A tenant: its settings, and what its tier allows.

pub mod id;

pub mod tier;

pub mod spread;

pub mod api_key;

pub mod rate_limit;

pub mod backlog;

pub mod stats;

use std::time::Duration;

use self::id::TenantId;
use self::spread::Spread;
use self::tier::Tier;
use crate::timestamp::Timestamp;

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
    fn a_tenant_keeps_its_events_as_it_wants_within_its_tier_and_its_shards_through_every_tier() {
        let now = Timestamp::from_seconds(1000);
        let mut tenant = Tenant {
            id: TenantId::from_stored("org_1"),
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
}

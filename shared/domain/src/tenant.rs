//! A tenant and its settings.

pub mod allowance;
pub mod api_key;
pub mod audit;
pub mod backlog;
pub mod capacity;
pub mod id;
pub mod key_deletion;
pub mod rate_limit;
pub mod signup;
pub mod spread;
pub mod stats;
pub mod suspension;
pub mod tier;
pub mod window;

use std::time::Duration;

use self::id::TenantId;
use self::spread::Spread;
use self::suspension::Suspension;
use self::tier::Tier;
use crate::timestamp::Timestamp;

/// A tenant: one organization that uses the API.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tenant {
    /// The id of the tenant.
    pub id: TenantId,
    /// The name that the owner chose.
    pub organization_name: String,
    /// The tier of the tenant.
    pub tier: Tier,
    /// The number of shards that hold the tenant's events.
    pub spread: Spread,
    /// Which events the inbox of the tenant takes.
    pub inbox: InboxMode,
    /// The retention that the owner set, in days. [`Tenant::retention_days`] limits it to the tier.
    pub wanted_retention_days: Option<u16>,
    /// Whether the URL of each endpoint must pass the ownership
    /// [`handshake`](crate::endpoint::handshake) before it is set.
    pub needs_handshake: bool,
    /// The suspension by the operator, if the tenant is suspended.
    pub suspension: Option<Suspension>,
    /// When the tenant was created.
    pub created_at: Timestamp,
    /// The number of writes to the tenant or to the list of its keys. Each update is conditional on the value that it
    /// read.
    pub rev: u64,
}

/// Which events the inbox of a tenant takes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum InboxMode {
    /// All events, also those that no endpoint matches.
    #[default]
    All,
    /// Only events that an endpoint matches. Others are kept in the log. They do not count as backlog, so a tenant that
    /// uses webhooks alone is not refused because of events that no client acknowledges.
    Matched,
}

impl InboxMode {
    /// All modes.
    pub const ALL: [Self; 2] = [Self::All, Self::Matched];

    /// Returns the name of the mode in JSON and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Matched => "matched",
        }
    }

    /// Returns the mode with this name; `None` for an unknown name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name)
    }
}

impl Tenant {
    /// Returns the days that a new event is kept: the owner's setting, but no more than the tier allows.
    #[must_use]
    pub fn retention_days(&self) -> u16 {
        let most = self.tier.limits().retention_days;
        self.wanted_retention_days.map_or(most, |wanted| wanted.min(most))
    }

    /// Moves the tenant to another tier at `now`, and [raises](Spread::raise_to) its spread if the new tier has more
    /// shards.
    #[must_use]
    pub fn of_tier(self, tier: Tier, now: Timestamp, delay: Duration) -> Self {
        let spread = self.spread.raise_to(tier.limits().shards, now, delay);
        Self { tier, spread, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_follows_the_setting_and_the_tier_and_shards_never_fall() {
        let now = Timestamp::from_seconds(1000);
        let mut tenant = Tenant {
            id: TenantId::generate(now, &mut rand::rng()),
            organization_name: String::new(),
            tier: Tier::Business,
            spread: Spread::of(Tier::Business),
            inbox: InboxMode::All,
            wanted_retention_days: None,
            needs_handshake: false,
            suspension: None,
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

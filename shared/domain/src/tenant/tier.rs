//! The tiers and their limits, in one table.

/// The tier of a tenant. [`Tier::limits`] has all that depends on it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Tier {
    /// The tier of a new tenant.
    #[default]
    Free,
    /// A tier for one product.
    Pro,
    /// A tier for a company.
    Business,
    /// A tier for a platform.
    Enterprise,
}

/// The limits of a tier.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TierLimits {
    /// Events that a tenant may post per minute.
    pub events_per_minute: u32,
    /// Requests other than posts that a tenant may make per minute.
    pub requests_per_minute: u32,
    /// Events that may be in the inbox. At this number, posts get 429 until some are acknowledged.
    pub undelivered_events: u64,
    /// Shards of a tenant that starts with this tier. [`Spread`](crate::tenant::spread::Spread) says how the number is raised.
    pub shards: u8,
    /// Days that an event is kept after it was accepted.
    pub retention_days: u16,
}

impl Tier {
    /// All tiers, the smallest first.
    pub const ALL: [Self; 4] = [Self::Free, Self::Pro, Self::Business, Self::Enterprise];

    /// The largest number of shards that any tenant can have.
    pub const MAX_SHARDS: u8 = Self::Enterprise.limits().shards;

    /// Returns the limits of the tier.
    #[must_use]
    pub const fn limits(self) -> TierLimits {
        let (events_per_minute, undelivered_events, shards, retention_days) = match self {
            Self::Free => (100, 10_000, 1, 7),
            Self::Pro => (1_000, 100_000, 1, 30),
            Self::Business => (10_000, 1_000_000, 4, 30),
            Self::Enterprise => (100_000, 10_000_000, 16, 90),
        };
        let requests_per_minute = events_per_minute * 6; // ten per second in the smallest tier
        TierLimits { events_per_minute, requests_per_minute, undelivered_events, shards, retention_days }
    }

    /// Returns the name of the tier in JSON and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Pro => "pro",
            Self::Business => "business",
            Self::Enterprise => "enterprise",
        }
    }

    /// Returns the tier with this name; `None` for an unknown name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == name)
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
        assert_eq!(Tier::ALL.map(|tier| tier.limits().shards).last(), Some(&Tier::MAX_SHARDS));
    }
}

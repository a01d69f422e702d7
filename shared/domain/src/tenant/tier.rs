//! The tiers, and what each allows: one table.

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
    pub const MAX_SHARDS: u8 = Self::Enterprise.limits().shards;

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

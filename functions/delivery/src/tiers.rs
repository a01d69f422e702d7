//! The tiers of tenants whose messages need them: those that take from the allowance, and those of a burst. Most messages need
//! no tier.

use std::time::Duration;

use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::timestamp::Timestamp;
use store::cache::Cache;
use store::control::Control;
use store::table::Table;
use store::unavailable::PortResult;

/// How long a tier is kept in memory.
const KEEP: Duration = Duration::from_mins(1);

/// The largest number of tiers in memory.
const MAX_TENANTS: usize = 10_000;

/// The tiers that this instance has read.
pub(crate) struct Tiers(Cache<TenantId, (Tier, Timestamp)>);

impl Tiers {
    /// Returns a cache that has read nothing.
    pub(crate) fn new() -> Self {
        Self(Cache::new(MAX_TENANTS))
    }

    /// Returns the tier of a tenant. A tenant that is being erased has the smallest one.
    pub(crate) async fn tier<T: Table>(
        &self,
        control: &Control<T>,
        tenant: &TenantId,
        now: Timestamp,
    ) -> PortResult<Tier> {
        if let Some((tier, read_at)) = self.0.get(tenant)
            && now.since(read_at) < KEEP
        {
            return Ok(tier);
        }
        let tier = control.tenant(tenant).await?.map_or(Tier::Free, |tenant| tenant.tier);
        self.0.insert(tenant.clone(), (tier, now));
        Ok(tier)
    }
}

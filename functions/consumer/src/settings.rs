//! Reads the settings of tenants for a batch of events. An event must find every endpoint that was created before it was posted,
//! and no event of an erased tenant may be stored, so each batch reads consistently.
//!
//! A tenant with events in many batches can have 50 endpoints and 40 API keys. To read all of them for each batch would ask more of
//! their partition than it can give. So an instance keeps the endpoints of such a tenant, and reads one item for each batch: the tenant
//! itself, which counts the changes of its endpoints. While that count is the same, the kept endpoints have each change that was
//! answered.

use std::sync::Arc;
use std::time::Duration;

use domain::endpoint::Endpoint;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use store::cache::Cache;
use store::control::Control;
use store::control::tenants::TenantSettings;
use store::reads;
use store::table::Table;
use store::unavailable::PortResult;

/// How long endpoints are kept. What attempts change (for example how slowly an endpoint answers) is not counted as a change, so it can
/// be as old as this.
const LIFETIME: Duration = Duration::from_secs(5);

/// The cost of a consistent read of 4 KB or less, in half read units. A tenant whose items fit in it is read whole for each batch: nothing
/// costs less.
const CHEAPEST: u64 = 2;

/// The largest number of tenants whose endpoints are kept: at most 1 MB each, if all settings are as long as they may be.
const CAPACITY: usize = 64;

/// Reads settings, and keeps endpoints.
pub(crate) struct Settings<T> {
    control: Control<T>,
    /// The tenants that are known to be large, with their endpoints as far as they were read.
    large: Cache<TenantId, Option<Kept>>,
}

/// The endpoints that an instance keeps of a tenant.
#[derive(Clone)]
struct Kept {
    endpoints: Arc<[Endpoint]>,
    /// The count of changes, which was read before the endpoints.
    rev: u64,
    read_at: Timestamp,
}

impl<T: Table> Settings<T> {
    /// Returns a reader that keeps nothing yet.
    pub(crate) fn new(control: Control<T>) -> Self {
        Self { control, large: Cache::new(CAPACITY) }
    }

    /// Returns the settings of a tenant; the default settings for an unknown one.
    ///
    /// # Errors
    /// When the table does not answer, or an item is unreadable.
    pub(crate) async fn read(&self, tenant: &TenantId, now: Timestamp) -> PortResult<TenantSettings> {
        // 1. A small tenant, or one that this instance does not know: everything in one call.
        let Some(kept) = self.large.get(tenant) else {
            let (settings, half_units) = reads::measured(self.control.settings(tenant)).await;
            if half_units > CHEAPEST {
                self.large.insert(tenant.clone(), None);
            }
            return settings;
        };

        // 2. A large tenant: its own item first, and its endpoints if they have changed.
        let Some(settings) = self.control.settings_without_endpoints(tenant).await? else {
            self.large.remove(tenant);
            return self.control.settings(tenant).await;
        };
        let rev = settings.endpoints_rev;
        let is_current = |kept: &Kept| kept.rev == rev && now.since(kept.read_at) < LIFETIME;
        if let Some(Kept { endpoints, .. }) = kept.filter(is_current) {
            return Ok(TenantSettings { endpoints, ..settings });
        }
        let endpoints: Arc<[Endpoint]> = self.control.endpoints(tenant).await?.into();
        let kept = Kept { endpoints: Arc::clone(&endpoints), rev, read_at: now };
        self.large.insert(tenant.clone(), Some(kept));
        Ok(TenantSettings { endpoints, ..settings })
    }
}

//! Data keys in memory: the same bytes for every tenant, since what is sealed is bound to its tenant anyway.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::yield_now;

use crate::ports::Vault;
use crate::testing::faults::Faults;
use crate::unavailable::PortResult;
use domain::sealed::DataKey;
use domain::tenant::id::TenantId;
use domain::testing::data_key;

/// Data keys in memory.
#[derive(Clone, Default)]
pub struct MemoryVault {
    faults: Faults,
    dropped: Arc<Mutex<HashSet<TenantId>>>,
}

impl MemoryVault {
    /// A vault whose calls may go wrong.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }

    /// Drops a tenant's data key.
    pub fn drop_key(&self, tenant: &TenantId) {
        self.dropped().insert(tenant.clone());
    }

    fn dropped(&self) -> MutexGuard<'_, HashSet<TenantId>> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vault for MemoryVault {
    async fn key(&self, tenant: &TenantId) -> PortResult<Option<DataKey>> {
        yield_now().await;
        self.faults.call("reading a data key", || {
            let is_dropped = self.dropped().contains(tenant);
            (!is_dropped).then(data_key)
        })
    }

    async fn key_or_new(&self, tenant: &TenantId) -> PortResult<DataKey> {
        yield_now().await;
        self.faults.call("making a data key", || {
            self.dropped().remove(tenant);
            data_key()
        })
    }
}

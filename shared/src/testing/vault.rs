//! Data keys in memory: the same bytes for every tenant, since what is sealed is bound to its tenant anyway.

use tokio::task::yield_now;

use super::builders::data_key;
use super::faults::Faults;
use crate::ports::{PortResult, Vault};
use crate::sealed::DataKey;
use crate::tenant::TenantId;

/// Data keys in memory.
#[derive(Clone, Default)]
pub struct MemoryVault {
    faults: Faults,
}

impl MemoryVault {
    /// A vault whose calls may go wrong.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults }
    }
}

impl Vault for MemoryVault {
    async fn key(&self, _: &TenantId) -> PortResult<Option<DataKey>> {
        yield_now().await;
        self.faults.call("reading a data key", || Some(data_key()))
    }

    async fn key_or_new(&self, _: &TenantId) -> PortResult<DataKey> {
        yield_now().await;
        self.faults.call("making a data key", data_key)
    }
}

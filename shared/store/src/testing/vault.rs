//! KMS in memory. All data keys have the same bytes: encrypted data is bound to its tenant in any case.

use domain::sealed::DataKey;
use domain::tenant::id::TenantId;
use domain::testing::data_key;
use tokio::task::yield_now;

use super::faults::Faults;
use crate::unavailable::{PortResult, Unavailable};
use crate::vault::Vault;

/// KMS in memory.
#[derive(Clone, Default)]
pub struct MemoryVault {
    faults: Faults,
}

impl MemoryVault {
    /// Returns a vault whose calls fail as `faults` plans.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults }
    }

    /// Returns the wrapped form of a tenant's data key.
    #[must_use]
    pub fn wrapped(tenant: &TenantId) -> Vec<u8> {
        format!("the data key of {tenant}").into_bytes()
    }
}

impl Vault for MemoryVault {
    async fn new_key(&self, tenant: &TenantId) -> PortResult<(DataKey, Vec<u8>)> {
        yield_now().await;
        self.faults.call("GenerateDataKey", || (data_key(), Self::wrapped(tenant)))
    }

    async fn unwrap_key(&self, tenant: &TenantId, wrapped: &[u8]) -> PortResult<DataKey> {
        yield_now().await;
        self.faults.call("Decrypt", || {
            if wrapped == Self::wrapped(tenant) {
                Ok(data_key())
            } else {
                Err(Unavailable::new("Decrypt", "this is the data key of another tenant"))
            }
        })?
    }
}

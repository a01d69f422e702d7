//! KMS whose calls take time and are counted.

use domain::sealed::DataKey;
use domain::tenant::id::TenantId;
use store::testing::vault::MemoryVault;
use store::unavailable::PortResult;
use store::vault::Vault;
use tokio::time::sleep;

use crate::latency::VAULT_CALL;
use crate::recorded::Recorder;

/// KMS.
#[derive(Clone)]
pub struct MeteredVault {
    vault: MemoryVault,
    recorder: Recorder,
}

impl MeteredVault {
    /// Returns a vault whose calls this recorder counts.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        Self { vault: MemoryVault::default(), recorder }
    }
}

impl Vault for MeteredVault {
    async fn new_key(&self, tenant: &TenantId) -> PortResult<(DataKey, Vec<u8>)> {
        self.recorder.record(|current| current.generates += 1);
        sleep(VAULT_CALL).await;
        self.vault.new_key(tenant).await
    }

    async fn unwrap_key(&self, tenant: &TenantId, wrapped: &[u8]) -> PortResult<DataKey> {
        self.recorder.record(|current| current.decrypts += 1);
        sleep(VAULT_CALL).await;
        self.vault.unwrap_key(tenant, wrapped).await
    }
}

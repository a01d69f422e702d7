//! KMS whose calls take time and are counted.

use domain::root_key::RootKey;
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

    async fn generate(&self) -> &MemoryVault {
        self.recorder.record(|current| current.generates += 1);
        sleep(VAULT_CALL).await;
        &self.vault
    }

    async fn decrypt(&self) -> &MemoryVault {
        self.recorder.record(|current| current.decrypts += 1);
        sleep(VAULT_CALL).await;
        &self.vault
    }
}

impl Vault for MeteredVault {
    async fn new_key(&self, tenant: &TenantId) -> PortResult<(DataKey, Vec<u8>)> {
        self.generate().await.new_key(tenant).await
    }

    async fn unwrap_key(&self, tenant: &TenantId, wrapped: &[u8]) -> PortResult<DataKey> {
        self.decrypt().await.unwrap_key(tenant, wrapped).await
    }

    async fn new_root_key(&self) -> PortResult<(RootKey, Vec<u8>)> {
        self.generate().await.new_root_key().await
    }

    async fn unwrap_root_key(&self, wrapped: &[u8]) -> PortResult<RootKey> {
        self.decrypt().await.unwrap_root_key(wrapped).await
    }
}

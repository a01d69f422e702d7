//! A vault that counts its failed calls, for the log line.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::root_key::RootKey;
use domain::sealed::DataKey;
use domain::tenant::id::TenantId;

use crate::unavailable::PortResult;
use crate::vault::Vault;

/// A vault with a count of its failed calls. Clones share the count.
#[derive(Clone)]
pub(crate) struct CountedVault<V> {
    vault: V,
    failures: Arc<AtomicU64>,
}

impl<V> CountedVault<V> {
    /// Returns this vault with a count of 0.
    pub(crate) fn new(vault: V) -> Self {
        Self { vault, failures: Arc::default() }
    }

    /// Returns the number of failed calls since the last call of this method.
    pub(crate) fn take_failures(&self) -> u64 {
        self.failures.swap(0, Ordering::Relaxed)
    }

    /// Counts a result if it is a failure.
    fn counted<T>(&self, result: PortResult<T>) -> PortResult<T> {
        self.failures.fetch_add(u64::from(result.is_err()), Ordering::Relaxed);
        result
    }
}

impl<V: Vault> Vault for CountedVault<V> {
    async fn new_key(&self, tenant: &TenantId) -> PortResult<(DataKey, Vec<u8>)> {
        self.counted(self.vault.new_key(tenant).await)
    }

    async fn unwrap_key(&self, tenant: &TenantId, wrapped: &[u8]) -> PortResult<DataKey> {
        self.counted(self.vault.unwrap_key(tenant, wrapped).await)
    }

    async fn new_root_key(&self) -> PortResult<(RootKey, Vec<u8>)> {
        self.counted(self.vault.new_root_key().await)
    }

    async fn unwrap_root_key(&self, wrapped: &[u8]) -> PortResult<RootKey> {
        self.counted(self.vault.unwrap_root_key(wrapped).await)
    }
}

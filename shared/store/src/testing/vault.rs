//! KMS in memory. Each key that it makes is another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::root_key::RootKey;
use domain::sealed::DataKey;
use domain::tenant::id::TenantId;
use domain::testing::data_key;
use tokio::task::yield_now;

use super::faults::Faults;
use crate::unavailable::{PortResult, Unavailable};
use crate::vault::Vault;

/// KMS in memory. Clones share everything.
#[derive(Clone, Default)]
pub struct MemoryVault {
    faults: Faults,
    calls: Arc<[AtomicU64; 2]>,
}

impl MemoryVault {
    /// Returns a vault whose calls fail as `faults` plans.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }

    /// Returns the wrapped form of the data key that tests put for a tenant.
    #[must_use]
    pub fn wrapped(tenant: &TenantId) -> Vec<u8> {
        format!("the data key of {tenant}").into_bytes()
    }

    /// Returns the wrapped form of a root key.
    #[must_use]
    pub fn wrapped_root(bytes: [u8; 32]) -> Vec<u8> {
        [ROOT, &bytes].concat()
    }

    /// Returns how many keys were made, and how many were unwrapped.
    #[must_use]
    pub fn calls(&self) -> [u64; 2] {
        [0, 1].map(|kind| self.calls[kind].load(Ordering::SeqCst))
    }

    /// Makes a key.
    async fn generate<T>(&self, make: impl FnOnce() -> T) -> PortResult<T> {
        self.calls[0].fetch_add(1, Ordering::SeqCst);
        yield_now().await;
        self.faults.call("GenerateDataKey", make)
    }

    /// Unwraps a key; fails if there is none.
    async fn decrypt<T>(&self, unwrap: impl FnOnce() -> Option<T>) -> PortResult<T> {
        self.calls[1].fetch_add(1, Ordering::SeqCst);
        yield_now().await;
        let key = self.faults.call("Decrypt", unwrap)?;
        key.ok_or_else(|| Unavailable::new("Decrypt", "this is another key"))
    }
}

impl Vault for MemoryVault {
    async fn new_key(&self, tenant: &TenantId) -> PortResult<(DataKey, Vec<u8>)> {
        let bytes: [u8; 32] = rand::random();
        let key = DataKey::new(&bytes).map_err(|error| Unavailable::new("GenerateDataKey", error))?;
        self.generate(|| (key, [&Self::wrapped(tenant)[..], &bytes].concat())).await
    }

    async fn unwrap_key(&self, tenant: &TenantId, wrapped: &[u8]) -> PortResult<DataKey> {
        let unwrap = || match wrapped.strip_prefix(&Self::wrapped(tenant)[..])? {
            [] => Some(data_key()),
            bytes => DataKey::new(bytes).ok(),
        };
        self.decrypt(unwrap).await
    }

    async fn new_root_key(&self) -> PortResult<(RootKey, Vec<u8>)> {
        let bytes: [u8; 32] = rand::random();
        let root = RootKey::new(&bytes).map_err(|error| Unavailable::new("GenerateDataKey", error))?;
        self.generate(|| (root, Self::wrapped_root(bytes))).await
    }

    async fn unwrap_root_key(&self, wrapped: &[u8]) -> PortResult<RootKey> {
        self.decrypt(|| RootKey::new(wrapped.strip_prefix(ROOT)?).ok()).await
    }
}

/// The beginning of the wrapped form of a root key.
const ROOT: &[u8] = b"the root key ";

//! The data keys that encrypt the private data of the tenants. KMS makes one key for each tenant and wraps it. The
//! table `Control` stores the wrapped key, and each instance caches the unwrapped key.

use std::sync::Arc;
use std::time::Duration;

use domain::sealed::DataKey;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::item::{Item, Key};
use crate::items::Items;
use crate::keys;
use crate::ports::Ports;
use crate::unavailable::{PortResult, Unavailable};
use crate::vault::Vault;

/// How long an instance caches an unwrapped key. No instance has a deleted key after this time.
const CACHED_FOR: Duration = Duration::from_mins(5);

/// The maximum number of cached keys, more tenants than one instance serves in that time.
const MAX_KEYS: usize = 10_000;

/// The data keys of the tenants. Clones share their cache.
#[derive(Clone)]
pub struct DataKeys<P: Ports> {
    control: Items<P::Table>,
    vault: P::Vault,
    clock: P::Clock,
    cache: Arc<Cache<TenantId, (Timestamp, DataKey)>>,
}

impl<P: Ports> DataKeys<P> {
    /// Returns the data keys in this table `Control`, which this vault wraps.
    pub fn new(control: P::Table, vault: P::Vault, clock: P::Clock) -> Self {
        Self { control: Items::new(control), vault, clock, cache: Arc::new(Cache::new(MAX_KEYS)) }
    }

    /// Returns the data key of a tenant; `None` if it was not made yet, or is deleted.
    ///
    /// # Errors
    /// When the table or KMS does not answer.
    pub async fn key(&self, tenant: &TenantId) -> PortResult<Option<DataKey>> {
        if let Some(key) = self.cached(tenant) {
            return Ok(Some(key));
        }
        match self.wrapped(tenant).await? {
            Some(wrapped) => self.unwrap(tenant, &wrapped).await.map(Some),
            None => Ok(None),
        }
    }

    /// Returns the data key of a tenant. Makes it first if there is none. All callers get the same key.
    ///
    /// # Errors
    /// When the table or KMS does not answer.
    pub async fn key_or_new(&self, tenant: &TenantId) -> PortResult<DataKey> {
        match self.key(tenant).await? {
            Some(key) => Ok(key),
            None => self.make(tenant).await,
        }
    }

    /// Removes the data key of a tenant from the cache of this instance. Other instances remove it within five minutes.
    pub fn forget(&self, tenant: &TenantId) {
        self.cache.remove(tenant);
    }

    /// Makes a key and stores it. If another instance stored one first, returns that one.
    async fn make(&self, tenant: &TenantId) -> PortResult<DataKey> {
        // 1. Make a key, and store it on the condition that there is none: data under a key that is not stored is lost.
        let (key, wrapped) = self.vault.new_key(tenant).await?;
        let item = Item::from([("wrapped", wrapped.into())]).at(item_key(tenant));
        if self.control.put_new(item).await? {
            self.remember(tenant, &key);
            return Ok(key);
        }

        // 2. Another instance was faster: use its key.
        match self.wrapped(tenant).await? {
            Some(stored) => self.unwrap(tenant, &stored).await,
            None => Err(Unavailable::new(
                "making a data key",
                "the data key was deleted again while it was made: the tenant is being erased",
            )),
        }
    }

    async fn wrapped(&self, tenant: &TenantId) -> PortResult<Option<Vec<u8>>> {
        let item = self.control.get(item_key(tenant)).await?;
        Ok(item.and_then(|item| item.bytes("wrapped").ok().map(<[u8]>::to_vec)))
    }

    async fn unwrap(&self, tenant: &TenantId, wrapped: &[u8]) -> PortResult<DataKey> {
        let key = self.vault.unwrap_key(tenant, wrapped).await?;
        self.remember(tenant, &key);
        Ok(key)
    }

    fn remember(&self, tenant: &TenantId, key: &DataKey) {
        self.drop_old();
        self.cache.insert(tenant.clone(), (self.clock.now(), key.clone()));
    }

    fn cached(&self, tenant: &TenantId) -> Option<DataKey> {
        self.drop_old();
        self.cache.get(tenant).map(|(_, key)| key)
    }

    fn drop_old(&self) {
        let now = self.clock.now();
        self.cache.retain(|_, (cached_at, _)| now.since(*cached_at) < CACHED_FOR);
    }
}

fn item_key(tenant: &TenantId) -> Key {
    Key::new(keys::tenant(tenant), keys::DATA_KEY)
}

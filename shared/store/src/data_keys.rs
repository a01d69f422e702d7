//! The data keys under which the tenants' private data is sealed: one for each tenant, made and wrapped by KMS, stored wrapped in the
//! table `Control`, and unwrapped once per instance.

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

/// How long an instance keeps an unwrapped key: a deleted key is forgotten everywhere after this time.
const KEEP: Duration = Duration::from_mins(5);

/// More tenants than one instance serves in that time.
const MAX_KEYS: usize = 10_000;

/// The tenants' data keys. Clones share what they keep.
#[derive(Clone)]
pub struct DataKeys<P: Ports> {
    control: Items<P::Table>,
    vault: P::Vault,
    clock: P::Clock,
    unwrapped: Arc<Cache<TenantId, (Timestamp, DataKey)>>,
}

impl<P: Ports> DataKeys<P> {
    /// Returns the data keys that are stored in this table `Control`, wrapped by this vault.
    pub fn new(control: P::Table, vault: P::Vault, clock: P::Clock) -> Self {
        Self { control: Items::new(control), vault, clock, unwrapped: Arc::new(Cache::new(MAX_KEYS)) }
    }

    /// Returns a tenant's data key; `None` where none was made, or it was deleted.
    ///
    /// # Errors
    /// When the table or KMS does not answer.
    pub async fn key(&self, tenant: &TenantId) -> PortResult<Option<DataKey>> {
        if let Some(key) = self.kept(tenant) {
            return Ok(Some(key));
        }
        match self.wrapped(tenant).await? {
            Some(wrapped) => self.unwrap(tenant, &wrapped).await.map(Some),
            None => Ok(None),
        }
    }

    /// Returns a tenant's data key, and makes it first where there is none. Every caller gets the same key.
    ///
    /// # Errors
    /// When the table or KMS does not answer.
    pub async fn key_or_new(&self, tenant: &TenantId) -> PortResult<DataKey> {
        match self.key(tenant).await? {
            Some(key) => Ok(key),
            None => self.make(tenant).await,
        }
    }

    /// Forgets a tenant's data key on this instance at once; other instances forget it within five minutes.
    pub fn forget(&self, tenant: &TenantId) {
        self.unwrapped.remove(tenant);
    }

    /// Makes a key and stores it, unless another instance was faster: then the stored key counts.
    async fn make(&self, tenant: &TenantId) -> PortResult<DataKey> {
        let (key, wrapped) = self.vault.new_key(tenant).await?;
        let item = Item::from([("wrapped", wrapped.into())]).at(place(tenant));
        if self.control.put_new(item).await? {
            self.keep(tenant, &key);
            return Ok(key);
        }
        let stored = self.wrapped(tenant).await?;
        let stored =
            stored.ok_or_else(|| Unavailable::new("making a data key", "it was deleted meanwhile"))?;
        self.unwrap(tenant, &stored).await
    }

    async fn wrapped(&self, tenant: &TenantId) -> PortResult<Option<Vec<u8>>> {
        let item = self.control.get(place(tenant)).await?;
        Ok(item.and_then(|item| item.bytes("wrapped").ok().map(<[u8]>::to_vec)))
    }

    async fn unwrap(&self, tenant: &TenantId, wrapped: &[u8]) -> PortResult<DataKey> {
        let key = self.vault.unwrap_key(tenant, wrapped).await?;
        self.keep(tenant, &key);
        Ok(key)
    }

    fn keep(&self, tenant: &TenantId, key: &DataKey) {
        self.drop_old();
        self.unwrapped.insert(tenant.clone(), (self.clock.now(), key.clone()));
    }

    fn kept(&self, tenant: &TenantId) -> Option<DataKey> {
        self.drop_old();
        self.unwrapped.get(tenant).map(|(_, key)| key)
    }

    fn drop_old(&self) {
        let now = self.clock.now();
        self.unwrapped.retain(|_, (since, _)| now.since(*since) < KEEP);
    }
}

fn place(tenant: &TenantId) -> Key {
    Key::new(keys::tenant(tenant), keys::DATA_KEY)
}

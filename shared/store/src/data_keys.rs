//! The data keys that encrypt the private data of the tenants. KMS makes one key for each tenant and wraps it. The
//! table `Control` stores each key twice: wrapped by KMS, and sealed under the root key of the stack, which opens it without a
//! call of KMS. Each instance caches the keys. After the item of a key is deleted, nothing opens it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::root_key::RootKey;
use domain::sealed::{DataKey, Sealed};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use futures_util::FutureExt;
use futures_util::future::join;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::counted_vault::CountedVault;
use crate::item::{Item, Key};
use crate::items::Items;
use crate::keys;
use crate::ports::Ports;
use crate::root_keys::RootKeys;
use crate::single_flight::SingleFlight;
use crate::table::condition::equals;
use crate::table::write::Update;
use crate::unavailable::{PortResult, Unavailable};
use crate::vault::Vault;

/// How long an instance caches a key after it read its item. No instance has a deleted key after this time.
const CACHED_FOR: Duration = Duration::from_mins(5);

/// The maximum number of cached keys, more tenants than one instance serves in that time.
const MAX_KEYS: usize = 10_000;

/// The attribute with the data key, wrapped by KMS.
const WRAPPED: &str = "wrapped";

/// The attribute with the data key, sealed under the root key. It may be missing.
const UNDER_ROOT: &str = "under_root";

/// The data keys of the tenants. Clones share their cache.
#[derive(Clone)]
pub struct DataKeys<P: Ports> {
    control: Items<P::Table>,
    vault: CountedVault<P::Vault>,
    clock: P::Clock,
    roots: RootKeys<P>,
    /// Whether this instance may make keys and seal them under the root key.
    makes: bool,
    cache: Arc<Cache<TenantId, (Timestamp, DataKey)>>,
    finding: SingleFlight<TenantId, PortResult<Option<DataKey>>>,
    making: SingleFlight<TenantId, PortResult<DataKey>>,
    /// Whether a key was found that the root key does not open.
    has_misfit: Arc<AtomicBool>,
}

impl<P: Ports> DataKeys<P> {
    /// Returns the data keys in this table `Control`, which this vault wraps.
    pub fn new(control: P::Table, vault: P::Vault, clock: P::Clock) -> Self {
        let control = Items::new(control);
        let vault = CountedVault::new(vault);
        Self {
            roots: RootKeys::new(control.clone(), vault.clone(), clock.clone()),
            control,
            vault,
            clock,
            makes: true,
            cache: Arc::new(Cache::new(MAX_KEYS)),
            finding: SingleFlight::default(),
            making: SingleFlight::default(),
            has_misfit: Arc::default(),
        }
    }

    /// Returns the same keys for a function that may only read them.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { makes: false, ..self }
    }

    /// Returns the data key of a tenant; `None` if it was not made yet, or is deleted.
    ///
    /// # Errors
    /// When the table or KMS does not answer.
    pub async fn key(&self, tenant: &TenantId) -> PortResult<Option<DataKey>> {
        if let Some(key) = self.cached(tenant) {
            return Ok(Some(key));
        }
        let (this, owner) = (self.clone(), tenant.clone());
        let find = || async move { this.find(&owner).await }.boxed();
        self.finding.join(tenant.clone(), find).await
    }

    /// Returns the data key of a tenant. Makes it first if there is none. All callers get the same key.
    ///
    /// # Errors
    /// When the table or KMS does not answer, or there is no key and this function may make none.
    pub async fn key_or_new(&self, tenant: &TenantId) -> PortResult<DataKey> {
        if let Some(key) = self.key(tenant).await? {
            return Ok(key);
        }
        if !self.makes {
            let reason = "the tenant has none, and this function may make none; consumer or api will make it";
            return Err(Unavailable::new("reading a data key", reason));
        }
        let (this, owner) = (self.clone(), tenant.clone());
        let make = || async move { this.make(&owner).await }.boxed();
        self.making.join(tenant.clone(), make).await
    }

    /// Returns the number of failed calls of KMS since the last call of this method.
    #[must_use]
    pub fn take_failures(&self) -> u64 {
        self.vault.take_failures()
    }

    /// Removes the data key of a tenant from the cache of this instance. Other instances remove it within five minutes.
    pub fn forget(&self, tenant: &TenantId) {
        self.cache.remove(tenant);
    }

    /// Makes a key and stores it. If another instance stored one first, returns that one.
    async fn make(&self, tenant: &TenantId) -> PortResult<DataKey> {
        // 1. Make a key, and store it on the condition that there is none: data under a key that is not stored is lost.
        let now = self.clock.now();
        let (root, made) = join(self.roots.get(true), self.vault.new_key(tenant)).await;
        let (key, wrapped) = made?;
        let sealed = root.and_then(|root| seal(&root, tenant, &key)).map(Sealed::into_bytes);
        let item = Item::from([(WRAPPED, wrapped.into())]).with_some(UNDER_ROOT, sealed);
        if self.control.put_new(item.at(item_key(tenant))).await? {
            self.remember(tenant, &key, now);
            return Ok(key);
        }

        // 2. Another instance was faster: use its key.
        let stored = self.find(tenant).await?;
        stored.ok_or_else(|| {
            let reason = "the data key was deleted again while it was made: the tenant is being erased";
            Unavailable::new("making a data key", reason)
        })
    }

    /// Reads a key. The root key opens it; if that fails, KMS.
    async fn find(&self, tenant: &TenantId) -> PortResult<Option<DataKey>> {
        let now = self.clock.now();
        let Some(item) = self.control.get(item_key(tenant)).await? else { return Ok(None) };
        let Ok(wrapped) = item.bytes(WRAPPED) else { return Ok(None) };
        let key = if let Some(key) = self.open(tenant, &item).await {
            key
        } else {
            let key = self.vault.unwrap_key(tenant, wrapped).await?;
            self.put_under_root(tenant, wrapped, &key).await;
            key
        };
        self.remember(tenant, &key, now);
        Ok(Some(key))
    }

    /// Opens a key with the root key; returns `None` if it is not sealed under it, or there is no root key.
    async fn open(&self, tenant: &TenantId, item: &Item) -> Option<DataKey> {
        let sealed = Sealed::from_bytes(item.bytes(UNDER_ROOT).ok()?.to_vec());
        let opened = self.roots.get(self.makes).await?.open(tenant, &sealed);
        if let Err(error) = &opened
            && !self.has_misfit.swap(true, Ordering::Relaxed)
        {
            tracing::error!(cause = %error, %tenant, "the root key does not open a data key; KMS unwraps it");
        }
        opened.ok()
    }

    /// Stores a key sealed under the root key, if the item still has this key: the key of an erased tenant must not return.
    /// A failure only means that KMS unwraps the key again.
    async fn put_under_root(&self, tenant: &TenantId, wrapped: &[u8], key: &DataKey) {
        if !self.makes {
            return;
        }
        let Some(root) = self.roots.get(true).await else { return };
        let Some(sealed) = seal(&root, tenant, key) else { return };
        let update = Update::new(item_key(tenant))
            .set(UNDER_ROOT, sealed.into_bytes())
            .only_if(equals(WRAPPED, wrapped.to_vec()));
        if let Err(error) = self.control.update(update).await {
            tracing::warn!(cause = %error, %tenant, "a data key is not stored under the root key yet");
        }
    }

    fn remember(&self, tenant: &TenantId, key: &DataKey, since: Timestamp) {
        self.drop_old();
        self.cache.insert(tenant.clone(), (since, key.clone()));
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

/// Encrypts a data key under the root key.
fn seal(root: &RootKey, tenant: &TenantId, key: &DataKey) -> Option<Sealed> {
    root.seal(tenant, key, rand::random()).ok()
}

fn item_key(tenant: &TenantId) -> Key {
    Key::new(keys::tenant(tenant), keys::DATA_KEY)
}

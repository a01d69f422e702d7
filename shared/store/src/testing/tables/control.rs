//! Direct reads and writes of `Control`.

use domain::endpoint::Endpoint;
use domain::endpoint::id::EndpointId;
use domain::job::id::JobId;
use domain::root_key::RootKey;
use domain::tenant::api_key::{KeyHash, KeyRecord};
use domain::tenant::id::TenantId;
use domain::tenant::{InboxMode, Tenant};
use domain::testing::{self, START, erasure_id};
use domain::timestamp::Timestamp;

use super::MemoryTables;
use crate::control::{endpoint_item, health_item, key_item, tenant_item};
use crate::item::{Item, Key, Value};
use crate::keys;
use crate::table::write::Write;
use crate::testing::vault::MemoryVault;

/// The root key of tables that a test filled.
const ROOT_BYTES: [u8; 32] = [8; 32];

impl MemoryTables {
    /// Puts an API key, its tenant if there is none, and a data key.
    pub fn put_key(&self, hash: &KeyHash, record: &KeyRecord) {
        for write in key_item::puts(hash, record) {
            if let Write::Put(put) = write {
                self.control.put_item(put.item);
            }
        }
        let tenant = Tenant {
            id: record.tenant.clone(),
            organization_name: "A tenant".to_owned(),
            tier: record.tier,
            spread: record.spread,
            inbox: InboxMode::All,
            wanted_retention_days: None,
            needs_handshake: false,
            suspension: None,
            created_at: START,
            rev: 1,
        };
        if self.control.item(&tenant_item::key(&tenant.id)).is_none() {
            self.control.put_item(tenant_item::write(&tenant));
        }
        self.put_data_key(&tenant.id);
    }

    /// Deletes an API key.
    pub fn delete_key(&self, hash: &KeyHash, record: &KeyRecord) {
        for key in key_item::item_keys(hash, record) {
            self.control.delete_item(&key);
        }
    }

    /// Returns the recorded time of the last use of a key.
    #[must_use]
    pub fn recorded_use(&self, record: &KeyRecord) -> Option<Timestamp> {
        let listing = Key::new(keys::tenant(&record.tenant), keys::key_listing(&record.id));
        self.control.item(&listing)?.timestamp("last_used_at").ok()
    }

    /// Puts the data key of a tenant if there is none, sealed under the root key, which is put too.
    ///
    /// # Panics
    /// Never: the keys have 32 bytes.
    pub fn put_data_key(&self, tenant: &TenantId) {
        if self.data_key(tenant).is_some() {
            return;
        }
        if self.root_key().is_none() {
            self.put_root_key(&MemoryVault::wrapped_root(ROOT_BYTES));
        }
        self.put_old_data_key(tenant);
        let root = RootKey::new(&ROOT_BYTES).expect("32 bytes");
        let sealed = root.seal(tenant, &testing::data_key(), rand::random()).expect("it can be sealed");
        let item = self.data_key(tenant).unwrap_or_default();
        self.control.put_item(item.with("under_root", sealed.into_bytes()));
    }

    /// Puts the data key of a tenant as the version before the root key did.
    pub fn put_old_data_key(&self, tenant: &TenantId) {
        let item = Item::from([("wrapped", MemoryVault::wrapped(tenant).into())]);
        self.control.put_item(item.at(data_key(tenant)));
    }

    /// Returns the stored data key of a tenant.
    #[must_use]
    pub fn data_key(&self, tenant: &TenantId) -> Option<Item> {
        self.control.item(&data_key(tenant))
    }

    /// Returns the stored root key.
    #[must_use]
    pub fn root_key(&self) -> Option<Item> {
        self.control.item(&root_key())
    }

    /// Puts a root key with these bytes as its wrapped form.
    pub fn put_root_key(&self, wrapped: &[u8]) {
        let item = Item::from([("wrapped", wrapped.to_vec().into())]);
        self.control.put_item(item.at(root_key()));
    }

    /// Deletes the root key.
    pub fn drop_root_key(&self) {
        self.control.delete_item(&root_key());
    }

    /// Deletes the data key of a tenant.
    pub fn drop_data_key(&self, tenant: &TenantId) {
        self.control.delete_item(&data_key(tenant));
    }

    /// Puts an endpoint, with its health.
    pub fn put_endpoint(&self, tenant: &TenantId, endpoint: &Endpoint) {
        let item = endpoint_item::write(tenant, endpoint)
            .with("health", health_item::write(&endpoint.health))
            .with("health_rev", endpoint.health.rev);
        self.control.put_item(item);
        self.put_data_key(tenant);
        self.raise_endpoints_rev(tenant);
    }

    /// Returns a stored endpoint.
    ///
    /// # Panics
    /// If it is unreadable.
    #[must_use]
    pub fn endpoint(&self, tenant: &TenantId, id: &EndpointId) -> Option<Endpoint> {
        let item = self.control.item(&endpoint_item::key(tenant, id))?;
        Some(endpoint_item::read(&item).expect("an endpoint"))
    }

    /// Changes an endpoint.
    pub fn change_endpoint(&self, tenant: &TenantId, id: &EndpointId, change: impl FnOnce(&mut Endpoint)) {
        if let Some(mut endpoint) = self.endpoint(tenant, id) {
            change(&mut endpoint);
            self.put_endpoint(tenant, &endpoint);
        }
    }

    /// Deletes an endpoint.
    pub fn delete_endpoint(&self, tenant: &TenantId, id: &EndpointId) {
        self.control.delete_item(&endpoint_item::key(tenant, id));
        self.raise_endpoints_rev(tenant);
    }

    fn raise_endpoints_rev(&self, tenant: &TenantId) {
        if let Some(item) = self.control.item(&tenant_item::key(tenant)) {
            self.set(tenant, tenant_item::ENDPOINTS_REV, (tenant_item::endpoints_rev(&item) + 1).into());
        }
    }

    /// Sets the retention of a tenant, in days.
    pub fn set_retention_days(&self, tenant: &TenantId, days: u16) {
        self.set(tenant, tenant_item::RETENTION_DAYS, days.into());
    }

    /// Marks a tenant as erased.
    pub fn erase(&self, tenant: &TenantId) {
        self.set(tenant, tenant_item::ERASED_AT, START.into());
        self.set(tenant, tenant_item::ERASED_BY, erasure_id().as_str().into());
    }

    /// Returns the job that erases a tenant; `None` if the tenant is not marked as erased.
    #[must_use]
    pub fn erased_by(&self, tenant: &TenantId) -> Option<JobId> {
        let item = self.control.item(&tenant_item::key(tenant))?;
        item.text(tenant_item::ERASED_BY).ok().map(JobId::from_stored)
    }

    fn set(&self, tenant: &TenantId, name: &'static str, value: Value) {
        let key = tenant_item::key(tenant);
        let item = self.control.item(&key).unwrap_or_default();
        self.control.put_item(item.with(name, value).at(key));
    }
}

fn data_key(tenant: &TenantId) -> Key {
    Key::new(keys::tenant(tenant), keys::DATA_KEY)
}

fn root_key() -> Key {
    Key::new(keys::ROOT_KEY, keys::ONLY)
}

//! The table `Control`: tenants, API keys, endpoints and audit trails.

pub mod api_keys;
pub mod audit;
mod audit_item;
pub(crate) mod endpoint_item;
pub mod endpoints;
mod erasure;
pub(crate) mod health_item;
pub(crate) mod key_item;
mod suspension;
pub(crate) mod tenant_item;
pub mod tenant_list;
pub mod tenants;

use domain::tenant::api_key::{KeyHash, KeyRecord};
use domain::tenant::id::TenantId;

use crate::item::Item;
use crate::items::Items;
use crate::keys;
use crate::table::Table;
use crate::table::query::{Query, Range};
use crate::unavailable::PortResult;

/// The table `Control`.
#[derive(Clone, Debug)]
pub struct Control<T> {
    items: Items<T>,
}

impl<T: Table> Control<T> {
    /// Returns the store over this table.
    pub fn new(table: T) -> Self {
        Self { items: Items::new(table) }
    }

    /// Returns all items of a tenant whose sort key has this prefix.
    async fn list(&self, tenant: &TenantId, prefix: &str) -> PortResult<Vec<Item>> {
        let query = Query::consistent(keys::tenant(tenant)).range(Range::Prefix(prefix.to_owned()));
        self.items.all(query).await
    }

    /// Returns all items of a tenant.
    async fn list_all(&self, tenant: &TenantId) -> PortResult<Vec<Item>> {
        self.items.all(Query::consistent(keys::tenant(tenant))).await
    }

    /// Returns all keys of a tenant, including expired ones.
    async fn list_keys(&self, tenant: &TenantId) -> PortResult<Vec<(KeyHash, KeyRecord)>> {
        let listings = self.list(tenant, keys::KEY_LISTINGS).await?;
        let mut found = Vec::with_capacity(listings.len());
        for listing in &listings {
            found.push((key_item::read_hash(listing)?, key_item::read(listing)?));
        }
        Ok(found)
    }
}

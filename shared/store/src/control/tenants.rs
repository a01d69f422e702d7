//! Tenants: their settings, and how they change.
//!
//! Every change of a tenant, and every API key that is made for it, raises the tenant's `rev` on the condition that it is still the
//! one that was read. So a tenant's keys carry its tier and its spread at any time: a change writes tenant and keys in one
//! transaction, and a key that is made at the same time is made again, for the tenant as it is then.

use domain::endpoint::Endpoint;
use domain::tenant::Tenant;
use domain::tenant::api_key::{KeyHash, KeyRecord};
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::timestamp::Timestamp;

use super::{Control, endpoint_item, key_item, tenant_item};
use crate::items::{Committed, Updated};
use crate::table::Table;
use crate::table::condition::exists;
use crate::table::write::{Put, Update, Write};
use crate::unavailable::PortResult;

/// The settings that decide how an event of a tenant is stored.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TenantSettings {
    /// The tenant's endpoints.
    pub endpoints: Vec<Endpoint>,
    /// The days that the tenant wants its events kept, if it set any; its tier may keep them for fewer.
    pub retention_days: Option<u16>,
    /// Whether the tenant is erased, or being erased: nothing of it may be stored.
    pub is_erased: bool,
}

impl<T: Table> Control<T> {
    /// Creates a tenant and its first API key.
    ///
    /// # Errors
    /// When the table does not answer: then both are created, or neither.
    pub async fn create_tenant(&self, tenant: &Tenant, hash: &KeyHash, key: &KeyRecord) -> PortResult<()> {
        let mut writes = key_item::puts(hash, key);
        writes.push(Write::Put(Put::new(tenant_item::write(tenant))));
        self.items.transact(writes).await.map(drop)
    }

    /// Returns a tenant; an erased one is none.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn tenant(&self, id: &TenantId) -> PortResult<Option<Tenant>> {
        let item = self.items.get(tenant_item::key(id)).await?;
        match item.filter(|item| !tenant_item::is_erased(item)) {
            Some(item) => Ok(Some(tenant_item::read(id, &item)?)),
            None => Ok(None),
        }
    }

    /// Returns a tenant's tier; `None` for an erased or unknown tenant.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn tier(&self, id: &TenantId) -> PortResult<Option<Tier>> {
        Ok(self.tenant(id).await?.map(|tenant| tenant.tier))
    }

    /// Returns the settings that decide how an event of a tenant is stored, in one consistent read: an endpoint that was created
    /// a second ago gets its first event, and an erased tenant gets none. An unknown tenant has default settings.
    ///
    /// # Errors
    /// When the table does not answer. Also when one endpoint cannot be read: an event that is stored without it would never
    /// reach it.
    pub async fn settings(&self, id: &TenantId) -> PortResult<TenantSettings> {
        let items = self.list_all(id).await?;
        let tenant = items.iter().find(|item| tenant_item::is_tenant(item));
        let endpoints = items.iter().filter(|item| endpoint_item::is_endpoint(item));
        Ok(TenantSettings {
            endpoints: endpoints.map(endpoint_item::read).collect::<Result<_, _>>()?,
            retention_days: tenant.and_then(tenant_item::retention_days),
            is_erased: tenant.is_some_and(tenant_item::is_erased),
        })
    }

    /// Writes a change of a tenant to it, and to all its keys that are valid at `now`; only if neither the tenant nor the set of its
    /// keys has changed since it was read as `seen`.
    ///
    /// # Errors
    /// When the table does not answer: then everything is written, or nothing.
    pub async fn change_tenant(&self, seen: &Tenant, next: &Tenant, now: Timestamp) -> PortResult<Updated> {
        let mut writes = Vec::new();
        if (seen.tier, seen.spread) != (next.tier, next.spread) {
            let keys = self.keys_of(&seen.id).await?;
            for (hash, key) in keys.iter().filter(|(_, key)| key.is_live(now)) {
                for place in key_item::places(hash, key) {
                    let update = Update::new(place).set_all(tenant_item::shared(next)).only_if(exists("pk"));
                    writes.push(Write::Update(update));
                }
            }
        }
        let update = tenant_item::touch(seen).set_all(tenant_item::shared(next));
        let update = match next.wanted_retention_days {
            Some(days) => update.set(tenant_item::RETENTION_DAYS, days),
            None => update,
        };
        writes.push(Write::Update(update));
        Ok(match self.items.transact(writes).await? {
            Committed::Done => Updated::Done,
            Committed::Refused(_) => Updated::Raced,
        })
    }
}

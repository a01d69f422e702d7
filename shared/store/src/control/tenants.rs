//! Tenants and their settings.
//!
//! API keys hold a copy of the tier and the spread of their tenant, and a mark if it is suspended. Each change of a tenant, and each new API key,
//! raises the `rev` of the tenant on the condition that it has not changed since it was read. A change writes the
//! tenant and its keys in one transaction. A key that is made at the same time fails on the `rev`, and is made again
//! from the changed tenant.

use std::sync::Arc;

use domain::endpoint::Endpoint;
use domain::tenant::api_key::{KeyHash, KeyRecord};
use domain::tenant::id::TenantId;
use domain::tenant::spread::Spread;
use domain::tenant::tier::Tier;
use domain::tenant::{InboxMode, Tenant};
use domain::timestamp::Timestamp;

use super::tenant_item::SUSPENDED;
use super::{Control, endpoint_item, key_item, tenant_item, tenant_list};
use crate::item::{Item, Unreadable};
use crate::items::{Committed, Updated};
use crate::table::Table;
use crate::table::condition::exists;
use crate::table::write::{Put, Update, Write};
use crate::unavailable::PortResult;

/// The settings of a tenant that decide how its events are stored.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TenantSettings {
    /// The endpoints.
    pub endpoints: Arc<[Endpoint]>,
    /// The number of changes of the endpoints and their settings.
    pub endpoints_rev: u64,
    /// The tier; `None` for a tenant that is unknown or erased.
    pub tier: Option<Tier>,
    /// The retention that the tenant set, in days. Its tier may have a lower limit.
    pub retention_days: Option<u16>,
    /// Which events the inbox takes.
    pub inbox: InboxMode,
    /// Whether the tenant is marked as erased. Then none of its events may be stored.
    pub is_erased: bool,
}

impl<T: Table> Control<T> {
    /// Creates a tenant, its entry in the list of tenants, and its first API key.
    ///
    /// # Errors
    /// When the table does not answer. Then all are created, or none.
    pub async fn create_tenant(&self, tenant: &Tenant, hash: &KeyHash, key: &KeyRecord) -> PortResult<()> {
        let mut writes = key_item::puts(hash, key);
        writes.extend(
            [tenant_item::write(tenant), tenant_list::write(&tenant.id)]
                .map(|item| Write::Put(Put::new(item))),
        );
        self.items.transact(writes).await.map(drop)
    }

    /// Returns a tenant; `None` if it is unknown or erased.
    pub async fn tenant(&self, id: &TenantId) -> PortResult<Option<Tenant>> {
        let item = self.items.get(tenant_item::key(id)).await?;
        let live = item.filter(|item| !tenant_item::is_erased(item));
        Ok(live.map(|item| tenant_item::read(id, &item)).transpose()?)
    }

    /// Returns the settings of a tenant; the default settings for an unknown one. The read is consistent, so that a new
    /// endpoint gets the next event, and no event of an erased tenant is stored.
    ///
    /// # Errors
    /// When the table does not answer, or an endpoint is unreadable: an event that is stored without an endpoint would never be
    /// delivered to it.
    pub async fn settings(&self, id: &TenantId) -> PortResult<TenantSettings> {
        let items = self.list_all(id).await?;
        let endpoints = items.iter().filter(|item| endpoint_item::is_endpoint(item));
        let endpoints = endpoints.map(endpoint_item::read).collect::<Result<_, _>>()?;
        let tenant = items.iter().find(|item| tenant_item::is_tenant(item));
        let settings = tenant.map(read_settings).transpose()?.unwrap_or_default();
        Ok(TenantSettings { endpoints, ..settings })
    }

    /// Returns the settings of a tenant without its endpoints; `None` for an unknown one. The read is consistent. It costs one
    /// read unit, however many endpoints and keys the tenant has.
    ///
    /// # Errors
    /// When the table does not answer, or the tenant is unreadable.
    pub async fn settings_without_endpoints(&self, id: &TenantId) -> PortResult<Option<TenantSettings>> {
        let item = self.items.get(tenant_item::key(id)).await?;
        Ok(item.as_ref().map(read_settings).transpose()?)
    }

    /// Changes a tenant, and the copies in its keys that are valid at `now`. Writes nothing if the tenant or the set of
    /// its keys has changed since the tenant was read as `seen`.
    ///
    /// # Errors
    /// When the table does not answer. Then everything is written, or nothing.
    pub async fn change_tenant(&self, seen: &Tenant, next: &Tenant, now: Timestamp) -> PortResult<Updated> {
        let mut writes = Vec::new();
        // A repeated suspension also marks a key that the previous version made without the mark.
        if copied(seen) != copied(next) || next.suspension.is_some() {
            let mark = next.suspension.as_ref().map(|_| true);
            let keys = self.list_keys(&seen.id).await?;
            for (hash, key) in keys.iter().filter(|(_, key)| key.is_live(now)) {
                for item in key_item::item_keys(hash, key) {
                    let update = Update::new(item).set_all(tenant_item::shared(next));
                    let update = update.set_or_remove(SUSPENDED, mark).only_if(exists("pk"));
                    writes.push(Write::Update(update));
                }
            }
        }
        let suspension = next.suspension.as_ref();
        let update = tenant_item::raise_rev(seen)
            .set_all(tenant_item::shared(next))
            .set_or_remove(tenant_item::RETENTION_DAYS, next.wanted_retention_days)
            .set_or_remove(tenant_item::INBOX, tenant_item::inbox_attribute(next.inbox))
            .set_or_remove(tenant_item::NEEDS_HANDSHAKE, next.needs_handshake.then_some(true))
            .set_or_remove(tenant_item::SUSPENDED_AT, suspension.map(|suspension| suspension.at))
            .set_or_remove(
                tenant_item::SUSPENDED_REASON,
                suspension.map(|suspension| suspension.reason.as_str()),
            );
        writes.push(Write::Update(update));
        self.items.transact(writes).await.map(Committed::updated)
    }
}

/// Reads the settings from the item of a tenant.
fn read_settings(item: &Item) -> Result<TenantSettings, Unreadable> {
    let is_erased = tenant_item::is_erased(item);
    Ok(TenantSettings {
        tier: (!is_erased).then(|| tenant_item::read_tier(item)).transpose()?,
        endpoints: Arc::default(),
        endpoints_rev: tenant_item::endpoints_rev(item),
        retention_days: tenant_item::retention_days(item),
        inbox: tenant_item::inbox(item),
        is_erased,
    })
}

/// Returns what the API keys of a tenant repeat.
fn copied(tenant: &Tenant) -> (Tier, Spread, bool) {
    (tenant.tier, tenant.spread, tenant.suspension.is_some())
}

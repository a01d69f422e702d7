//! The tenant itself in the table `Control`: `pk` the tenant's, `sk` `tenant`.
//!
//! Whoever changes it, or gives it a further key, raises its `rev` under the condition that nobody did since it was read. So its keys
//! carry its tier and its spread at any moment: a change writes tenant and keys in one transaction, and a key that is
//! made meanwhile is made anew, as the tenant is then.

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{TransactWriteItem, Update};

use crate::adapters::control::keys_of_tenant::{EXISTS, Written, both_items, read_tier};
use crate::adapters::control::{ControlTable, endpoints, keys_of_tenant, spread_item};
use crate::adapters::item::{Item, Unreadable, item, n, number, s, text};
use crate::items::Updated;
use crate::keys;
use crate::ports::control::TenantSettings;
use crate::unavailable::{PortResult, Unavailable};
use domain::tenant::Tenant;
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::timestamp::Timestamp;

impl ControlTable {
    /// A tenant, read consistently; one that is erased is none.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn tenant(&self, id: &TenantId) -> PortResult<Option<Tenant>> {
        let item = self.get(keys::tenant(id), keys::TENANT.to_owned()).await?;
        let item = item.filter(|item| !item.contains_key("erased_at"));
        item.map(|item| read(id, &item)).transpose().map_err(unreadable)
    }

    /// Writes what was changed of a tenant since it was read as `seen`, into it and into all keys that are good at `now`;
    /// only where neither it nor the set of its keys was changed since.
    ///
    /// # Errors
    /// When the table does not answer; then nothing was written, or all.
    pub async fn change_tenant(&self, seen: &Tenant, next: &Tenant, now: Timestamp) -> PortResult<Updated> {
        let mut writes = Vec::new();
        if (seen.tier, seen.spread) != (next.tier, next.spread) {
            let keys = self.keys_of(&seen.id).await?;
            for key in
                keys.iter().filter(|(_, key)| key.is_live(now)).flat_map(|(hash, key)| both_items(hash, key))
            {
                let update = Update::builder().set_key(Some(key)).update_expression(format!("SET {COMMON}"));
                let update = update.condition_expression(EXISTS);
                writes.push(self.update(update, next)?);
            }
        }
        let update = match next.wanted_retention_days {
            None => touched(seen, &format!("{COMMON}, ")),
            Some(days) => touched(seen, &format!("{COMMON}, {RETENTION_DAYS} = :days, "))
                .expression_attribute_values(":days", n(days.into())),
        };
        match self.transact(Some(self.update(update, next)?), writes).await? {
            Written::Done => Ok(Updated::Done),
            _ => Ok(Updated::Raced), // a key was deleted meanwhile, or somebody else changed the tenant
        }
    }

    /// The write that lets nobody else change the tenant, or the set of its keys, as it was read.
    pub(super) fn touch(&self, seen: &Tenant) -> PortResult<TransactWriteItem> {
        let update = touched(seen, "").table_name(&self.table).build();
        update
            .map(|update| TransactWriteItem::builder().update(update).build())
            .map_err(keys_of_tenant::unwritten)
    }

    fn update(&self, update: UpdateBuilder, next: &Tenant) -> PortResult<TransactWriteItem> {
        let update = update
            .table_name(&self.table)
            .expression_attribute_values(":tier", s(next.tier.as_str()))
            .expression_attribute_values(":spread", spread_item::write(next.spread))
            .build();
        update
            .map(|update| TransactWriteItem::builder().update(update).build())
            .map_err(keys_of_tenant::unwritten)
    }

    pub(super) async fn read_standing(&self, tenant: &TenantId) -> PortResult<TenantSettings> {
        let items = self.list_all(tenant).await?;
        let found = items.iter().find(|item| text(item, "sk").is_ok_and(|sk| sk == keys::TENANT));
        let own = items.iter().filter(|item| endpoints::is_endpoint(item)).map(endpoints::read);
        Ok(TenantSettings {
            endpoints: own.collect::<Result<_, _>>().map_err(unreadable)?,
            retention_days: found.and_then(retention_days),
            is_erased: found.is_some_and(|item| item.contains_key(ERASED_AT)),
        })
    }

    pub(super) async fn tier_of_tenant(&self, tenant: &TenantId) -> PortResult<Option<Tier>> {
        Ok(self.tenant(tenant).await?.map(|tenant| tenant.tier))
    }
}

/// When the erasure of the tenant began; absent for every other.
const ERASED_AT: &str = "erased_at";

const RETENTION_DAYS: &str = "retention_days";

/// What a tenant and its keys have in common.
const COMMON: &str = "tier = :tier, spread = :spread";

fn key(tenant: &TenantId) -> Item {
    item([("pk", s(keys::tenant(tenant))), ("sk", s(keys::TENANT))])
}

/// A write of the tenant that sets these attributes, only where it is as it was read.
fn touched(seen: &Tenant, sets: &str) -> UpdateBuilder {
    let update = Update::builder()
        .set_key(Some(key(&seen.id)))
        .update_expression(format!("SET {sets}rev = :rev"))
        .expression_attribute_values(":rev", n(seen.rev + 1));
    if seen.rev == 0 {
        return update.condition_expression("attribute_exists(pk) AND attribute_not_exists(rev)");
    }
    update.condition_expression("rev = :seen").expression_attribute_values(":seen", n(seen.rev))
}

/// The item of a tenant that is just being created.
pub(super) fn write(tenant: &Tenant) -> Item {
    let mut attributes = key(&tenant.id);
    attributes.extend(item([
        ("organization_name", s(&tenant.organization_name)),
        ("tier", s(tenant.tier.as_str())),
        ("spread", spread_item::write(tenant.spread)),
        ("created_at", n(tenant.created_at.millis())),
        ("rev", n(tenant.rev)),
    ]));
    if let Some(days) = tenant.wanted_retention_days {
        attributes.insert(RETENTION_DAYS.to_owned(), n(days.into()));
    }
    attributes
}

fn read(id: &TenantId, item: &Item) -> Result<Tenant, Unreadable> {
    let tier = read_tier(item)?;
    Ok(Tenant {
        id: id.clone(),
        organization_name: text(item, "organization_name")?.to_owned(),
        tier,
        spread: spread_item::read(item, tier)?,
        wanted_retention_days: retention_days(item),
        created_at: Timestamp::from_millis(number(item, "created_at")?),
        rev: number(item, "rev").unwrap_or_default(), // a tenant of before there were changes
    })
}

fn retention_days(item: &Item) -> Option<u16> {
    number(item, RETENTION_DAYS).ok().and_then(|days| days.try_into().ok())
}

fn unreadable(error: Unreadable) -> Unavailable {
    Unavailable::new("reading a tenant", error)
}

//! The item of a tenant, in the partition of the tenant with the sort key `tenant`.

use domain::tenant::id::TenantId;
use domain::tenant::spread::Spread;
use domain::tenant::suspension::Suspension;
use domain::tenant::tier::Tier;
use domain::tenant::{InboxMode, Tenant};

use crate::item::{Item, Key, Unreadable};
use crate::keys;
use crate::table::condition::{Condition, absent, equals, exists};
use crate::table::write::Update;

/// The attribute with the time at which the erasure of a tenant began.
pub(crate) const ERASED_AT: &str = "erased_at";

/// The attribute with the id of the job that erases the tenant.
pub(crate) const ERASED_BY: &str = "erased_by";

/// The attribute with the retention that the tenant set, in days.
pub(crate) const RETENTION_DAYS: &str = "retention_days";

/// The attribute with the events that the inbox takes. It is absent for all events.
pub(crate) const INBOX: &str = "inbox";

/// The attribute with the number of changes of the endpoints and their settings. It is absent before the first change.
pub(crate) const ENDPOINTS_REV: &str = "endpoints_rev";

/// The attribute of a tenant whose endpoints must pass the ownership handshake.
pub(crate) const NEEDS_HANDSHAKE: &str = "handshake";

/// The attributes with the time and the reason of a suspension. Both are absent from a tenant that is not suspended.
pub(crate) const SUSPENDED_AT: &str = "suspended_at";
pub(crate) const SUSPENDED_REASON: &str = "suspended_reason";

/// The attribute that marks the API keys and endpoints of a suspended tenant. The previous version does not know it.
pub(crate) const SUSPENDED: &str = "suspended";

/// The attributes that are removed from an erased tenant: all except the mark and `rev`.
pub(crate) const PERSONAL: [&str; 10] = [
    "organization_name",
    "tier",
    "spread",
    "created_at",
    RETENTION_DAYS,
    INBOX,
    NEEDS_HANDSHAKE,
    ENDPOINTS_REV,
    SUSPENDED_AT,
    SUSPENDED_REASON,
];

/// Returns the key of a tenant's item.
pub(crate) fn key(tenant: &TenantId) -> Key {
    Key::new(keys::tenant(tenant), keys::TENANT)
}

/// Returns whether an item is a tenant.
pub(crate) fn is_tenant(item: &Item) -> bool {
    item.text("sk") == Ok(keys::TENANT)
}

/// Returns whether a tenant is marked as erased.
pub(crate) fn is_erased(item: &Item) -> bool {
    item.has(ERASED_AT)
}

/// Returns the retention that a tenant set, in days.
pub(crate) fn retention_days(item: &Item) -> Option<u16> {
    item.number(RETENTION_DAYS).ok()
}

/// Returns which events the inbox of a tenant takes.
pub(crate) fn inbox(item: &Item) -> InboxMode {
    item.text(INBOX).ok().and_then(InboxMode::parse).unwrap_or_default()
}

/// Returns the attribute with the mode of the inbox; `None` for the default.
pub(crate) fn inbox_attribute(mode: InboxMode) -> Option<&'static str> {
    (mode != InboxMode::default()).then_some(mode.as_str())
}

/// Returns the item of a new tenant.
pub(crate) fn write(tenant: &Tenant) -> Item {
    let item = Item::from([
        ("organization_name", tenant.organization_name.as_str().into()),
        ("created_at", tenant.created_at.into()),
        ("rev", tenant.rev.into()),
    ]);
    item.and(shared(tenant))
        .with_some(RETENTION_DAYS, tenant.wanted_retention_days)
        .with_some(INBOX, inbox_attribute(tenant.inbox))
        .with_some(NEEDS_HANDSHAKE, tenant.needs_handshake.then_some(true))
        .with_some(SUSPENDED_AT, tenant.suspension.as_ref().map(|suspension| suspension.at))
        .with_some(SUSPENDED_REASON, tenant.suspension.as_ref().map(|suspension| suspension.reason.as_str()))
        .at(key(&tenant.id))
}

/// Returns the attributes that the tenant and all its API keys hold.
pub(crate) fn shared(tenant: &Tenant) -> Item {
    Item::from([("tier", tenant.tier.as_str().into()), ("spread", spread(tenant.spread).into())])
}

/// Returns the update that raises the `rev` of a tenant, on the condition that it has not changed since it was read as
/// `seen`.
pub(crate) fn raise_rev(seen: &Tenant) -> Update {
    let unchanged = match seen.rev {
        0 => exists("pk").and(absent("rev")), // the tenant was created before tenants had a rev
        rev => equals("rev", rev),
    };
    Update::new(key(&seen.id)).set("rev", seen.rev + 1).only_if(unchanged)
}

/// Returns the condition that a tenant is suspended, or that it is not.
pub(crate) fn when_suspended(is_suspended: bool) -> Condition {
    if is_suspended { exists(SUSPENDED_AT) } else { absent(SUSPENDED_AT) }
}

/// Returns the update that counts a change of the tenant's endpoints, on the condition that there is such a tenant.
pub(crate) fn raise_endpoints_rev(tenant: &TenantId) -> Update {
    Update::new(key(tenant)).add(ENDPOINTS_REV, 1).only_if(exists("pk"))
}

/// Returns the number of changes of the endpoints and their settings.
pub(crate) fn endpoints_rev(item: &Item) -> u64 {
    item.number(ENDPOINTS_REV).unwrap_or_default()
}

/// Reads a tenant.
pub(crate) fn read(id: &TenantId, item: &Item) -> Result<Tenant, Unreadable> {
    let tier = read_tier(item)?;
    Ok(Tenant {
        id: id.clone(),
        organization_name: item.text("organization_name")?.to_owned(),
        tier,
        spread: read_spread(item, tier)?,
        inbox: inbox(item),
        wanted_retention_days: retention_days(item),
        needs_handshake: item.is_set(NEEDS_HANDSHAKE),
        suspension: read_suspension(item),
        created_at: item.timestamp("created_at")?,
        rev: item.number("rev").unwrap_or_default(),
    })
}

fn read_suspension(item: &Item) -> Option<Suspension> {
    let at = item.timestamp(SUSPENDED_AT).ok()?;
    Some(Suspension { at, reason: item.text(SUSPENDED_REASON).unwrap_or_default().to_owned() })
}

/// Reads the tier of a tenant or a key.
pub(crate) fn read_tier(item: &Item) -> Result<Tier, Unreadable> {
    Tier::parse(item.text("tier")?).ok_or(Unreadable("tier"))
}

/// Returns a spread as a map.
pub(crate) fn spread(spread: Spread) -> Item {
    Item::from([
        ("before", spread.before.into()),
        ("shards", spread.shards.into()),
        ("from", spread.from.into()),
    ])
}

/// Reads the spread of a tenant or a key. An item without a spread has the first spread of its tier.
pub(crate) fn read_spread(item: &Item, tier: Tier) -> Result<Spread, Unreadable> {
    if !item.has("spread") {
        return Ok(Spread::of(tier));
    }
    let spread = item.map("spread")?;
    Ok(Spread {
        before: spread.number("before")?,
        shards: spread.number("shards")?,
        from: spread.timestamp("from")?,
    })
}

#[cfg(test)]
mod tests {
    use domain::timestamp::Timestamp;

    use super::*;

    #[test]
    fn an_item_without_a_spread_has_the_spread_of_its_tier() {
        let wide = Spread { before: 1, shards: 16, from: Timestamp::from_millis(7) };
        let written = Item::from([("spread", spread(wide).into())]);
        assert_eq!(read_spread(&written, Tier::Free).unwrap(), wide);
        assert_eq!(read_spread(&Item::default(), Tier::Business).unwrap(), Spread::of(Tier::Business));
        let invalid = Item::from([("spread", 3_u8.into())]);
        assert!(read_spread(&invalid, Tier::Free).is_err());
    }
}

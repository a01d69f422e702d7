//! The item of a tenant: partition of the tenant, sort key `tenant`.

use domain::tenant::Tenant;
use domain::tenant::id::TenantId;
use domain::tenant::spread::Spread;
use domain::tenant::tier::Tier;

use crate::item::{Item, Key, Unreadable};
use crate::keys;
use crate::table::condition::{absent, equals, exists};
use crate::table::write::Update;

/// The attribute that says when the erasure of a tenant began.
pub(crate) const ERASED_AT: &str = "erased_at";

/// The attribute that says which job erases it.
pub(crate) const ERASED_BY: &str = "erased_by";

/// The attribute that holds the retention that the tenant set.
pub(crate) const RETENTION_DAYS: &str = "retention_days";

/// The attributes that an erased tenant loses: everything but the mark, and the `rev` that no change of it passes.
pub(crate) const PERSONAL: [&str; 5] = ["organization_name", "tier", "spread", "created_at", RETENTION_DAYS];

/// Returns the key of a tenant's item.
pub(crate) fn key(tenant: &TenantId) -> Key {
    Key::new(keys::tenant(tenant), keys::TENANT)
}

/// Returns whether an item is a tenant.
pub(crate) fn is_tenant(item: &Item) -> bool {
    item.text("sk") == Ok(keys::TENANT)
}

/// Returns whether a tenant is erased, or being erased.
pub(crate) fn is_erased(item: &Item) -> bool {
    item.has(ERASED_AT)
}

/// Returns the retention that a tenant set, in days.
pub(crate) fn retention_days(item: &Item) -> Option<u16> {
    item.number(RETENTION_DAYS).ok()
}

/// Returns the item of a new tenant.
pub(crate) fn write(tenant: &Tenant) -> Item {
    let item = Item::from([
        ("organization_name", tenant.organization_name.as_str().into()),
        ("created_at", tenant.created_at.into()),
        ("rev", tenant.rev.into()),
    ]);
    item.and(shared(tenant)).with_some(RETENTION_DAYS, tenant.wanted_retention_days).at(key(&tenant.id))
}

/// Returns the attributes that a tenant and its keys share.
pub(crate) fn shared(tenant: &Tenant) -> Item {
    Item::from([("tier", tenant.tier.as_str().into()), ("spread", spread(tenant.spread).into())])
}

/// Returns the update that raises a tenant's `rev`, on the condition that it is still the one that was read.
pub(crate) fn touch(seen: &Tenant) -> Update {
    let unchanged = match seen.rev {
        0 => exists("pk").and(absent("rev")), // a tenant that was created before tenants had a rev
        rev => equals("rev", rev),
    };
    Update::new(key(&seen.id)).set("rev", seen.rev + 1).only_if(unchanged)
}

/// Reads a tenant.
pub(crate) fn read(id: &TenantId, item: &Item) -> Result<Tenant, Unreadable> {
    let tier = read_tier(item)?;
    Ok(Tenant {
        id: id.clone(),
        organization_name: item.text("organization_name")?.to_owned(),
        tier,
        spread: read_spread(item, tier)?,
        wanted_retention_days: retention_days(item),
        created_at: item.moment("created_at")?,
        rev: item.number("rev").unwrap_or_default(),
    })
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

/// Reads the spread of a tenant or a key. An item that was written before spreads has the one that its tier starts with.
pub(crate) fn read_spread(item: &Item, tier: Tier) -> Result<Spread, Unreadable> {
    if !item.has("spread") {
        return Ok(Spread::of(tier));
    }
    let spread = item.map("spread")?;
    Ok(Spread {
        before: spread.number("before")?,
        shards: spread.number("shards")?,
        from: spread.moment("from")?,
    })
}

#[cfg(test)]
mod tests {
    use domain::timestamp::Timestamp;

    use super::*;

    #[test]
    fn an_item_has_its_spread_or_the_one_of_its_tier() {
        let wide = Spread { before: 1, shards: 16, from: Timestamp::from_millis(7) };
        let written = Item::from([("spread", spread(wide).into())]);
        assert_eq!(read_spread(&written, Tier::Free).unwrap(), wide);
        assert_eq!(read_spread(&Item::default(), Tier::Business).unwrap(), Spread::of(Tier::Business));
        let strange = Item::from([("spread", 3_u8.into())]);
        assert!(read_spread(&strange, Tier::Free).is_err());
    }
}

//! The two items of an API key. Authentication reads the item `key#<hash>`. The item `key#<id>` in the partition of the
//! tenant lists the key and holds its hash. Both are written and deleted in one transaction.

use domain::tenant::api_key::{KeyHash, KeyRecord, Scope};

use super::tenant_item::{self, SUSPENDED};
use crate::item::{Item, Key, Unreadable, Value};
use crate::keys;
use crate::table::write::{Put, Write};

/// Returns the key of the item that authentication reads.
pub(crate) fn authentication(hash: &KeyHash) -> Key {
    Key::new(keys::api_key(hash), keys::ONLY)
}

/// Returns the keys of both items.
pub(crate) fn item_keys(hash: &KeyHash, key: &KeyRecord) -> [Key; 2] {
    [authentication(hash), Key::new(keys::tenant(&key.tenant), keys::key_listing(&key.id))]
}

/// Returns the writes that store the API key and its listing.
pub(crate) fn puts(hash: &KeyHash, key: &KeyRecord) -> Vec<Write> {
    let [authentication, listing] = item_keys(hash, key);
    let attributes = write(key);
    let listed = attributes.clone().with("hash", hash.as_str()).at(listing);
    [attributes.at(authentication), listed].map(|item| Write::Put(Put::new(item))).into()
}

fn write(key: &KeyRecord) -> Item {
    let scopes = key.scopes.iter().map(|scope| scope.as_str().into()).collect();
    Item::from([
        ("key_id", key.id.as_str().into()),
        ("tenant", key.tenant.as_str().into()),
        ("tier", key.tier.as_str().into()),
        ("spread", tenant_item::spread(key.spread).into()),
        ("name", key.name.as_str().into()),
        ("scopes", Value::L(scopes)),
        ("last4", key.last4.as_str().into()),
        ("created_at", key.created_at.into()),
    ])
    .with_some("expires_at", key.expires_at)
    .with_some("events_per_minute", key.events_per_minute)
    .with_some(SUSPENDED, key.is_suspended.then_some(true))
}

/// Reads the record of a key from either item. Leaves out a scope that this version does not know.
pub(crate) fn read(item: &Item) -> Result<KeyRecord, Unreadable> {
    let scopes = item.texts("scopes")?.into_iter().filter_map(Scope::parse).collect();
    let tier = tenant_item::read_tier(item)?;
    Ok(KeyRecord {
        id: item.text("key_id")?.to_owned(),
        tenant: item.tenant("tenant")?,
        tier,
        spread: tenant_item::read_spread(item, tier)?,
        is_suspended: item.is_set(SUSPENDED),
        name: item.text("name")?.to_owned(),
        scopes,
        last4: item.text("last4")?.to_owned(),
        created_at: item.timestamp("created_at")?,
        expires_at: item.timestamp("expires_at").ok(),
        last_used_at: item.timestamp("last_used_at").ok(),
        events_per_minute: item.number("events_per_minute").ok(),
    })
}

/// Reads the hash from the item that lists a key.
pub(crate) fn read_hash(listing: &Item) -> Result<KeyHash, Unreadable> {
    listing.text("hash").map(KeyHash::from_stored)
}

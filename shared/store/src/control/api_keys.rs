//! The API keys of a tenant. A key that makes or replaces another must still exist in that very transaction: a key that was revoked a
//! moment before makes nothing.

use domain::id;
use domain::tenant::Tenant;
use domain::tenant::api_key::{KeyHash, KeyRecord, LAST_USED_INTERVAL, MAX_KEYS};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

use super::{Control, key_item, tenant_item};
use crate::item::Key;
use crate::items::Committed;
use crate::keys;
use crate::races::{Round, until_won};
use crate::table::Table;
use crate::table::condition::{absent, at_most, exists};
use crate::table::write::{Delete, Update, Write};
use crate::unavailable::PortResult;

/// Expired keys that are deleted with each key that is made: a transaction has room for 100 writes.
const MAX_CLEANED_UP: usize = 20;

/// How a change of keys ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyChange {
    /// It is written.
    Done,
    /// Nothing is written: the key that asks, or that is to be changed, no longer exists.
    KeyGone,
    /// Nothing is written: the tenant would have more than [`MAX_KEYS`] valid keys.
    TooMany,
}

impl<T: Table> Control<T> {
    /// Returns the record of a key, read consistently: a new key works at once.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn key(&self, hash: &KeyHash) -> PortResult<Option<KeyRecord>> {
        match self.items.get(key_item::authentication(hash)).await? {
            Some(item) => Ok(Some(key_item::read(&item)?)),
            None => Ok(None),
        }
    }

    /// Notes that a key was used, unless that was noted less than [`LAST_USED_INTERVAL`] before `now`, or the key no longer exists.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn note_use(&self, tenant: &TenantId, key_id: &str, now: Timestamp) -> PortResult<()> {
        let is_due = absent("last_used_at").or(at_most("last_used_at", now.before(LAST_USED_INTERVAL)));
        let update = Update::new(Key::new(keys::tenant(tenant), keys::key_listing(key_id)))
            .set("last_used_at", now)
            .only_if(exists("pk").and(is_due));
        self.items.update(update).await.map(drop)
    }

    /// Returns a tenant, and all its keys in the order in which they were made.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn tenant_with_keys(&self, tenant: &TenantId) -> PortResult<Option<(Tenant, Vec<KeyRecord>)>> {
        let Some(found) = self.tenant(tenant).await? else { return Ok(None) };
        let mut records: Vec<_> = self.keys_of(tenant).await?.into_iter().map(|(_, record)| record).collect();
        records.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(Some((found, records)))
    }

    /// Adds a key to a tenant, for another key that asks for it. The new key gets the tenant's tier and spread, whatever `key` says.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn add_key(&self, asking: &KeyHash, hash: &KeyHash, key: &KeyRecord) -> PortResult<KeyChange> {
        let check = Write::Check(key_item::authentication(asking), exists("pk"));
        self.make_key((hash, key), vec![check], 1).await
    }

    /// Replaces a key by another: the old one is refused from `old_ends` on, or at once. The new one gets the tenant's tier and
    /// spread.
    ///
    /// # Errors
    /// When the table does not answer: then both keys are as before, or as asked.
    pub async fn rotate_key(
        &self,
        old: (&KeyHash, &KeyRecord),
        new: (&KeyHash, &KeyRecord),
        old_ends: Option<Timestamp>,
    ) -> PortResult<KeyChange> {
        let places = key_item::places(old.0, old.1).into_iter();
        match old_ends {
            None => self.make_key(new, places.map(delete_existing).collect(), 0).await,
            Some(end) => {
                let ends =
                    |place| Write::Update(Update::new(place).set("expires_at", end).only_if(exists("pk")));
                self.make_key(new, places.map(ends).collect(), 1).await
            }
        }
    }

    /// Deletes a tenant's key by its id; returns the hash that is refused from now on, or `None` where there is no such key.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn delete_key(&self, tenant: &TenantId, key_id: &str) -> PortResult<Option<KeyHash>> {
        if !id::is_canonical("key_", key_id) {
            return Ok(None);
        }
        let Some(listing) = self.of_tenant(tenant, keys::key_listing(key_id)).await? else {
            return Ok(None);
        };
        let hash = key_item::read_hash(&listing)?;
        let deletes = key_item::places(&hash, &key_item::read(&listing)?).map(delete_existing);
        let committed = self.items.transact(deletes.into()).await?;
        Ok((committed == Committed::Done).then_some(hash))
    }

    /// Returns all keys of a tenant, also the expired ones.
    pub(super) async fn keys_of(&self, tenant: &TenantId) -> PortResult<Vec<(KeyHash, KeyRecord)>> {
        let listings = self.list(tenant, keys::KEY_LISTINGS).await?;
        let mut found = Vec::with_capacity(listings.len());
        for listing in &listings {
            found.push((key_item::read_hash(listing)?, key_item::read(listing)?));
        }
        Ok(found)
    }

    /// Puts a key, one of `more` that are added, together with other writes. Deletes some of the keys that have expired.
    async fn make_key(
        &self,
        (hash, key): (&KeyHash, &KeyRecord),
        besides: Vec<Write>,
        more: usize,
    ) -> PortResult<KeyChange> {
        until_won("making a key", || async {
            let Some(tenant) = self.tenant(&key.tenant).await? else {
                return Ok(Round::Ended(KeyChange::KeyGone));
            };
            let keys = self.keys_of(&key.tenant).await?;
            let (valid, expired): (Vec<_>, Vec<_>) =
                keys.iter().partition(|(_, other)| other.is_live(key.created_at));
            if valid.len() + more > MAX_KEYS {
                return Ok(Round::Ended(KeyChange::TooMany));
            }
            let key = KeyRecord { tier: tenant.tier, spread: tenant.spread, ..key.clone() };
            let mut writes = key_item::puts(hash, &key);
            writes.extend(besides.clone());
            let of_keys = writes.len();
            writes.push(Write::Update(tenant_item::touch(&tenant)));
            for (hash, key) in expired.into_iter().take(MAX_CLEANED_UP) {
                writes.extend(key_item::places(hash, key).map(|place| Write::Delete(Delete::new(place))));
            }
            Ok(match self.items.transact(writes).await? {
                Committed::Done => Round::Ended(KeyChange::Done),
                Committed::Refused(refused) if refused[..of_keys].contains(&true) => {
                    Round::Ended(KeyChange::KeyGone)
                }
                Committed::Refused(_) => Round::Lost, // the tenant has changed
            })
        })
        .await
    }
}

/// Returns the delete of an item that must still be there.
fn delete_existing(place: Key) -> Write {
    Write::Delete(Delete::new(place).only_if(exists("pk")))
}

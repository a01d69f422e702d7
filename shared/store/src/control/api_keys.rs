//! The API keys of a tenant. The transaction that makes or replaces a key checks that the calling key still exists, so
//! that a revoked key cannot make or delete another.

use domain::tenant::Tenant;
use domain::tenant::api_key::{KeyHash, KeyRecord, LAST_USED_INTERVAL, MAX_KEYS};
use domain::tenant::id::TenantId;
use domain::tenant::key_deletion::{Refusal, check};
use domain::timestamp::Timestamp;

use super::{Control, key_item, tenant_item};
use crate::item::Key;
use crate::items::Committed;
use crate::keys;
use crate::races::{Round, until_won};
use crate::table::Table;
use crate::table::condition::{absent_or_at_most, exists};
use crate::table::write::{Delete, Update, Write};
use crate::unavailable::PortResult;

/// The maximum number of expired keys that are deleted when a key is made. A transaction has at most 100 writes.
const MAX_EXPIRED_DELETED: usize = 20;

/// How a change of keys ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyChange {
    /// The change is written.
    Done,
    /// Nothing is written: the calling key, or the key to replace, no longer exists.
    KeyGone,
    /// Nothing is written: the tenant would have more than [`MAX_KEYS`] valid keys.
    TooMany,
}

/// How the deletion of a key ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyDeletion {
    /// The key with this hash is deleted.
    Done(KeyHash),
    /// The tenant has no key with this id.
    NoSuchKey,
    /// The calling key no longer exists.
    AskingGone,
    /// The rule does not allow it.
    Refused(Refusal),
}

impl<T: Table> Control<T> {
    /// Returns the record of a key. The read is consistent, so that a new key works at once.
    pub async fn key(&self, hash: &KeyHash) -> PortResult<Option<KeyRecord>> {
        let item = self.items.get(key_item::authentication(hash)).await?;
        Ok(item.as_ref().map(key_item::read).transpose()?)
    }

    /// Records the use of a key at `now`. Changes nothing if a use was recorded less than [`LAST_USED_INTERVAL`] ago,
    /// or the key no longer exists.
    pub async fn record_use(&self, tenant: &TenantId, key_id: &str, now: Timestamp) -> PortResult<()> {
        let is_due = absent_or_at_most("last_used_at", now.before(LAST_USED_INTERVAL));
        let update = Update::new(Key::new(keys::tenant(tenant), keys::key_listing(key_id)))
            .set("last_used_at", now)
            .only_if(exists("pk").and(is_due));
        self.items.update(update).await.map(drop)
    }

    /// Returns a tenant and all its keys, oldest key first.
    pub async fn tenant_with_keys(&self, tenant: &TenantId) -> PortResult<Option<(Tenant, Vec<KeyRecord>)>> {
        let Some(found) = self.tenant(tenant).await? else { return Ok(None) };
        let keys = self.list_keys(tenant).await?;
        let mut records: Vec<KeyRecord> = keys.into_iter().map(|(_, record)| record).collect();
        records.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(Some((found, records)))
    }

    /// Adds a key to a tenant. `asking` is the calling key. The new key gets the tier and the spread of the tenant, not
    /// those of `key`.
    pub async fn add_key(&self, asking: &KeyHash, hash: &KeyHash, key: &KeyRecord) -> PortResult<KeyChange> {
        let check = Write::Check(key_item::authentication(asking), exists("pk"));
        self.make_key((hash, key), vec![check], 1).await
    }

    /// Adds a key to a tenant that may have lost all its keys, so that no key asks for it. It may be one more than
    /// [`MAX_KEYS`]. [`KeyChange::KeyGone`] says that the tenant is unknown or erased.
    pub async fn add_key_by_operator(&self, hash: &KeyHash, key: &KeyRecord) -> PortResult<KeyChange> {
        self.make_key((hash, key), Vec::new(), 0).await
    }

    /// Replaces a key by a new one. The old key expires at `old_ends`, or is deleted at once if there is no such time.
    /// The new key gets the tier and the spread of the tenant.
    ///
    /// # Errors
    /// When the table does not answer. Then both keys are changed, or neither.
    pub async fn rotate_key(
        &self,
        old: (&KeyHash, &KeyRecord),
        new: (&KeyHash, &KeyRecord),
        old_ends: Option<Timestamp>,
    ) -> PortResult<KeyChange> {
        let items = key_item::item_keys(old.0, old.1);
        match old_ends {
            None => self.make_key(new, items.map(delete_existing).into(), 0).await,
            Some(end) => {
                let expire =
                    |key| Write::Update(Update::new(key).set("expires_at", end).only_if(exists("pk")));
                self.make_key(new, items.map(expire).into(), 1).await
            }
        }
    }

    /// Deletes the key with this id from the tenant of the calling key, if the [rule](check) allows it. The rule holds
    /// for the keys as they are when the key is deleted: the deletion raises the `rev` of the tenant, so that of two
    /// deletions at the same time one decides again.
    pub async fn delete_key(
        &self,
        asking: (&KeyHash, &KeyRecord),
        key_id: &str,
        now: Timestamp,
    ) -> PortResult<KeyDeletion> {
        let asking_id = &asking.1.id;
        until_won("deleting a key", || async {
            // 1. Decide by the keys of the tenant.
            let Some(tenant) = self.tenant(&asking.1.tenant).await? else {
                return Ok(Round::Ended(KeyDeletion::AskingGone));
            };
            let (hashes, keys): (Vec<_>, Vec<_>) = self.list_keys(&tenant.id).await?.into_iter().unzip();
            let Some(place) = keys.iter().position(|key| key.id == key_id) else {
                return Ok(Round::Ended(KeyDeletion::NoSuchKey));
            };
            let (hash, target) = (&hashes[place], &keys[place]);
            if let Err(refusal) = check(asking.1, target, &keys, now) {
                return Ok(Round::Ended(KeyDeletion::Refused(refusal)));
            }

            // 2. Delete it, on the condition that the calling key exists and the tenant has not changed since step 1.
            let mut writes: Vec<Write> = key_item::item_keys(hash, target).map(delete_existing).into();
            if target.id != *asking_id {
                writes.push(Write::Check(key_item::authentication(asking.0), exists("pk")));
            }
            writes.push(Write::Update(tenant_item::raise_rev(&tenant)));
            Ok(match self.items.transact(writes).await? {
                Committed::Done => Round::Ended(KeyDeletion::Done(hash.clone())),
                Committed::Refused(refused) if target.id != *asking_id && refused.get(2) == Some(&true) => {
                    Round::Ended(KeyDeletion::AskingGone)
                }
                Committed::Refused(_) => Round::Lost, // the tenant or the key has changed
            })
        })
        .await
    }

    /// Puts a key in one transaction with other writes, and deletes some expired keys. `added` is the number of valid
    /// keys that the transaction adds.
    async fn make_key(
        &self,
        (hash, key): (&KeyHash, &KeyRecord),
        others: Vec<Write>,
        added: usize,
    ) -> PortResult<KeyChange> {
        until_won("making a key", || async {
            // 1. Count the valid keys.
            let Some(tenant) = self.tenant(&key.tenant).await? else {
                return Ok(Round::Ended(KeyChange::KeyGone));
            };
            let keys = self.list_keys(&key.tenant).await?;
            let (valid, expired): (Vec<_>, Vec<_>) =
                keys.iter().partition(|(_, other)| other.is_live(key.created_at));
            if valid.len() + added > MAX_KEYS {
                return Ok(Round::Ended(KeyChange::TooMany));
            }

            // 2. Write the key and the other writes, on the condition that the tenant has not changed since step 1.
            let mut writes = key_item::puts(hash, &as_key_of(&tenant, key));
            writes.extend(others.clone());
            let of_keys = writes.len();
            writes.push(Write::Update(tenant_item::raise_rev(&tenant)));
            for (hash, key) in expired.into_iter().take(MAX_EXPIRED_DELETED) {
                writes.extend(key_item::item_keys(hash, key).map(|key| Write::Delete(Delete::new(key))));
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

/// Returns a key with what it copies from its tenant.
fn as_key_of(tenant: &Tenant, key: &KeyRecord) -> KeyRecord {
    let is_suspended = tenant.suspension.is_some();
    KeyRecord { tier: tenant.tier, spread: tenant.spread, is_suspended, ..key.clone() }
}

/// Returns the delete of an item, on the condition that it exists.
fn delete_existing(key: Key) -> Write {
    Write::Delete(Delete::new(key).only_if(exists("pk")))
}

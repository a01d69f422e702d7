//! The keys of a tenant in the table `Control`.
//!
//! A key is two items, written and deleted together in one transaction: `key#<hash>`, which authentication reads,
//! and `t#<tenant>` / `key#<id>`, which lists it and names the hash. A key that makes or replaces another must still
//! exist in that very transaction: one revoked a moment ago makes nothing. And it carries its tenant's tier and spread, which
//! `tenant_item.rs` keeps true.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};

use crate::adapters::cancellation::{CONDITION, CONFLICT, reasons};
use crate::adapters::control::{ControlTable, spread_item, tenant_item};
use crate::adapters::item::{Item, Unreadable, item, n, number, s, text};
use crate::keys;
use crate::unavailable::{PortResult, Unavailable};
use domain::id;
use domain::tenant::Tenant;
use domain::tenant::api_key::{KeyHash, KeyRecord, MAX_KEYS, NOTE_USE_EVERY, Scope};
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::timestamp::Timestamp;

impl ControlTable {
    /// Creates a tenant and its first key.
    ///
    /// # Errors
    /// When the table does not answer; then neither was created, or both.
    pub async fn create_tenant(&self, tenant: &Tenant, hash: &KeyHash, key: &KeyRecord) -> PortResult<()> {
        let mut writes = self.key_puts(hash, key)?;
        writes.push(self.put(tenant_item::write(tenant))?);
        self.transact(None, writes).await.map(drop)
    }

    /// Adds a key to a tenant, on behalf of another. It gets the tenant's tier and spread, whatever `key` says.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn add_key(&self, asking: &KeyHash, hash: &KeyHash, key: &KeyRecord) -> PortResult<Written> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(authentication_key(asking)))
            .condition_expression(EXISTS)
            .build()
            .map_err(unwritten)?;
        let check = TransactWriteItem::builder().condition_check(check).build();
        self.make_key((hash, key), vec![check], 1).await
    }

    /// Replaces a key by another: the old one is refused from `old_ends` on, or at once. The new one gets the tenant's tier and
    /// spread.
    ///
    /// # Errors
    /// When the table does not answer; then both keys are as before, or as asked.
    pub async fn rotate_key(
        &self,
        old: (&KeyHash, &KeyRecord),
        new: (&KeyHash, &KeyRecord),
        old_ends: Option<Timestamp>,
    ) -> PortResult<Written> {
        match old_ends {
            None => self.make_key(new, self.key_deletes(old.0, old.1)?, 0).await,
            Some(end) => self.make_key(new, self.key_ends(old.0, old.1, end)?, 1).await,
        }
    }

    /// Puts a key that is one of so many `more`, with the writes that go with it. Of the keys that ended some are taken away.
    async fn make_key(
        &self,
        (hash, key): (&KeyHash, &KeyRecord),
        besides: Vec<TransactWriteItem>,
        more: usize,
    ) -> PortResult<Written> {
        for _ in 0..MAX_RACES {
            let Some(tenant) = self.tenant(&key.tenant).await? else { return Ok(Written::KeyGone) };
            let keys = self.keys_of(&key.tenant).await?;
            let (good, ended): (Vec<_>, Vec<_>) =
                keys.iter().partition(|(_, other)| other.is_live(key.created_at));
            if good.len() + more > MAX_KEYS {
                return Ok(Written::TooMany);
            }
            let key = KeyRecord { tier: tenant.tier, spread: tenant.spread, ..key.clone() };
            let mut writes = self.key_puts(hash, &key)?;
            writes.extend(besides.clone());
            for (hash, key) in ended.into_iter().take(MAX_TAKEN_AWAY) {
                for item in both_items(hash, key) {
                    let delete = Delete::builder().table_name(&self.table).set_key(Some(item)).build();
                    writes.push(TransactWriteItem::builder().delete(delete.map_err(unwritten)?).build());
                }
            }
            match self.transact(Some(self.touch(&tenant)?), writes).await? {
                Written::Raced => {}
                ended => return Ok(ended),
            }
        }
        Ok(Written::Raced)
    }

    /// Deletes a tenant's key by its id and gives the hash that is dead now; `None` where there is no such key.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn delete_key(&self, tenant: &TenantId, key_id: &str) -> PortResult<Option<KeyHash>> {
        if !id::is_canonical("key_", key_id) {
            return Ok(None);
        }
        let Some(listing) = self.get(keys::tenant(tenant), keys::key_listing(key_id)).await? else {
            return Ok(None);
        };
        let hash = KeyHash::from_stored(text(&listing, "hash").map_err(unreadable)?);
        let record = read(&listing).map_err(unreadable)?;
        let written = self.transact(None, self.key_deletes(&hash, &record)?).await?;
        Ok((written == Written::Done).then_some(hash))
    }

    /// A tenant, and all its keys in the order they were made.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn tenant_with_keys(&self, tenant: &TenantId) -> PortResult<Option<(Tenant, Vec<KeyRecord>)>> {
        let Some(found) = self.tenant(tenant).await? else { return Ok(None) };
        let mut records: Vec<_> = self.keys_of(tenant).await?.into_iter().map(|(_, record)| record).collect();
        records.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(Some((found, records)))
    }

    /// All keys of a tenant, those that ended too.
    pub(super) async fn keys_of(&self, tenant: &TenantId) -> PortResult<Vec<(KeyHash, KeyRecord)>> {
        let listings = self.list(tenant, keys::KEY_LISTINGS).await?;
        let key = |item| Ok((KeyHash::from_stored(text(item, "hash")?), read(item)?));
        listings.iter().map(key).collect::<Result<_, _>>().map_err(unreadable)
    }

    pub(super) async fn read_key(&self, hash: &KeyHash) -> PortResult<Option<KeyRecord>> {
        let item = self.get(keys::api_key(hash), keys::ONLY.to_owned()).await?;
        item.as_ref().map(read).transpose().map_err(unreadable)
    }

    pub(super) async fn note_use_of_key(
        &self,
        tenant: &TenantId,
        key_id: &str,
        now: Timestamp,
    ) -> PortResult<()> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", s(keys::tenant(tenant)))
            .key("sk", s(keys::key_listing(key_id)))
            .update_expression("SET last_used_at = :now")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(last_used_at) OR last_used_at <= :then)",
            )
            .expression_attribute_values(":now", n(now.millis()))
            .expression_attribute_values(":then", n(now.before(NOTE_USE_EVERY).millis()))
            .send()
            .await;
        match update {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()), // noted already, or gone
                _ => Err(Unavailable::new("noting the use of a key", error)),
            },
        }
    }

    fn key_puts(&self, hash: &KeyHash, key: &KeyRecord) -> PortResult<Vec<TransactWriteItem>> {
        let mut authentication = write(key);
        authentication.extend(authentication_key(hash));
        let mut listing = write(key);
        listing.extend(item([
            ("pk", s(keys::tenant(&key.tenant))),
            ("sk", s(keys::key_listing(&key.id))),
            ("hash", s(hash.as_str())),
        ]));
        Ok(vec![self.put(authentication)?, self.put(listing)?])
    }

    fn key_deletes(&self, hash: &KeyHash, key: &KeyRecord) -> PortResult<Vec<TransactWriteItem>> {
        let delete = |key: Item| {
            let delete =
                Delete::builder().table_name(&self.table).set_key(Some(key)).condition_expression(EXISTS);
            delete
                .build()
                .map(|delete| TransactWriteItem::builder().delete(delete).build())
                .map_err(unwritten)
        };
        both_items(hash, key).into_iter().map(delete).collect()
    }

    fn key_ends(
        &self,
        hash: &KeyHash,
        key: &KeyRecord,
        end: Timestamp,
    ) -> PortResult<Vec<TransactWriteItem>> {
        let update = |key: Item| {
            let update = Update::builder()
                .table_name(&self.table)
                .set_key(Some(key))
                .update_expression("SET expires_at = :end")
                .condition_expression(EXISTS)
                .expression_attribute_values(":end", n(end.millis()))
                .build();
            update.map(|update| TransactWriteItem::builder().update(update).build()).map_err(unwritten)
        };
        both_items(hash, key).into_iter().map(update).collect()
    }

    fn put(&self, attributes: Item) -> PortResult<TransactWriteItem> {
        let put = Put::builder().table_name(&self.table).set_item(Some(attributes)).build();
        put.map(|put| TransactWriteItem::builder().put(put).build()).map_err(unwritten)
    }

    /// Writes all of it or nothing. `tenant` is the write that fails where the tenant was changed.
    pub(super) async fn transact(
        &self,
        tenant: Option<TransactWriteItem>,
        mut writes: Vec<TransactWriteItem>,
    ) -> PortResult<Written> {
        let (keys, may_race) = (writes.len(), tenant.is_some());
        writes.extend(tenant);
        let answer = self.client.transact_write_items().set_transact_items(Some(writes)).send().await;
        let Err(error) = answer else { return Ok(Written::Done) };
        let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error()
        else {
            return Err(Unavailable::new("writing keys", error));
        };
        let reasons = reasons(canceled);
        let (of_keys, of_tenant) = reasons.split_at(keys.min(reasons.len()));
        if of_keys.contains(&Some(CONDITION)) {
            Ok(Written::KeyGone)
        } else if of_tenant.contains(&Some(CONDITION)) || may_race && reasons.contains(&Some(CONFLICT)) {
            Ok(Written::Raced)
        } else {
            Err(Unavailable::new("writing keys", error))
        }
    }
}

/// How often a key is made anew because its tenant was changed meanwhile.
const MAX_RACES: usize = 10;

/// How many keys that ended are taken away with one that is made: a transaction has room for 100 items.
const MAX_TAKEN_AWAY: usize = 20;

/// How a change of keys ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Written {
    /// As asked.
    Done,
    /// Nothing was written: the key that asked, or was to be changed, does not exist any more.
    KeyGone,
    /// Nothing was written: the tenant would have more keys than it may have.
    TooMany,
    /// Nothing was written: again and again somebody else was faster.
    Raced,
}

/// What must hold for a key that is changed, or that asks for a change.
pub(super) const EXISTS: &str = "attribute_exists(pk)";

fn authentication_key(hash: &KeyHash) -> Item {
    item([("pk", s(keys::api_key(hash))), ("sk", s(keys::ONLY))])
}

pub(super) fn both_items(hash: &KeyHash, key: &KeyRecord) -> [Item; 2] {
    [
        authentication_key(hash),
        item([("pk", s(keys::tenant(&key.tenant))), ("sk", s(keys::key_listing(&key.id)))]),
    ]
}

pub(super) fn unwritten(error: aws_sdk_dynamodb::error::BuildError) -> Unavailable {
    Unavailable::new("writing keys", error)
}

fn unreadable(error: Unreadable) -> Unavailable {
    Unavailable::new("reading a key", error)
}

fn write(key: &KeyRecord) -> Item {
    let scopes = key.scopes.iter().map(|scope| s(scope.as_str())).collect();
    let mut attributes = item([
        ("key_id", s(&key.id)),
        ("tenant", s(key.tenant.as_str())),
        ("tier", s(key.tier.as_str())),
        ("spread", spread_item::write(key.spread)),
        ("name", s(&key.name)),
        ("scopes", AttributeValue::L(scopes)),
        ("last4", s(&key.last4)),
        ("created_at", n(key.created_at.millis())),
    ]);
    if let Some(end) = key.expires_at {
        attributes.insert("expires_at".to_owned(), n(end.millis()));
    }
    if let Some(limit) = key.events_per_minute {
        attributes.insert("events_per_minute".to_owned(), n(limit.into()));
    }
    attributes
}

fn read(item: &Item) -> Result<KeyRecord, Unreadable> {
    let scopes = item.get("scopes").and_then(|value| value.as_l().ok()).ok_or(Unreadable("scopes"))?;
    let scope = |value: &AttributeValue| value.as_s().ok().and_then(|name| Scope::parse(name));
    let tier = read_tier(item)?;
    Ok(KeyRecord {
        id: text(item, "key_id")?.to_owned(),
        tenant: TenantId::from_stored(text(item, "tenant")?),
        tier,
        spread: spread_item::read(item, tier)?,
        name: text(item, "name")?.to_owned(),
        scopes: scopes.iter().filter_map(scope).collect(),
        last4: text(item, "last4")?.to_owned(),
        created_at: Timestamp::from_millis(number(item, "created_at")?),
        expires_at: number(item, "expires_at").ok().map(Timestamp::from_millis),
        last_used_at: number(item, "last_used_at").ok().map(Timestamp::from_millis),
        events_per_minute: number(item, "events_per_minute").ok().and_then(|limit| u32::try_from(limit).ok()),
    })
}

pub(super) fn read_tier(item: &Item) -> Result<Tier, Unreadable> {
    Tier::parse(text(item, "tier")?).ok_or(Unreadable("tier"))
}

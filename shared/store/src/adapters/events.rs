//! The table `Events`: heads, payloads, attempts. Payloads lie in it sealed under their tenant's data key: once that is
//! dropped nobody can read them, wherever a copy may be.

mod attempt_item;
pub mod attempt_log;
mod batch_get;
mod erasure;
mod expiring;
mod head_item;
pub mod leasing;
mod narrowing;
pub mod page;
pub mod room;
pub mod walk;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use crate::adapters::aws::Clients;
use crate::adapters::compression::{compress, decompress};
use crate::adapters::conditional_put::put_new;
use crate::adapters::item::{Unreadable, b, bytes, item, n, s};
use crate::adapters::vault::KmsVault;
use crate::items::Updated;
use crate::keys;
use crate::ports::Vault;
use crate::ports::events::{Events, Found, Inserted, LogPage, LogRange, UnreadableMessage};
use crate::unavailable::{PortResult, Unavailable};
use domain::delivery::attempt::Attempt;
use domain::event::Event;
use domain::event::id::EventId;
use domain::inbox::expiry::{Cohort, Untaken};
use domain::inbox::{Head, Status};
use domain::sealed::Sealed;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// A compressed payload up to this many bytes lies in the head, which thereby stays under 1 KB: one write unit.
const MAX_INLINE_BYTES: usize = 700;

/// Messages that nobody could read are kept this long for a human.
const KEEP_UNREADABLE_SECONDS: u64 = 90 * 24 * 3600;

/// The table `Events`.
#[derive(Clone)]
pub struct EventsTable {
    client: Client,
    table: String,
    vault: KmsVault,
}

impl EventsTable {
    /// The table of this name, whose payloads are sealed under the keys of this vault.
    #[must_use]
    pub fn new(clients: &Clients, table: String, vault: KmsVault) -> Self {
        Self { client: clients.dynamodb.clone(), table, vault }
    }

    /// Whether the table answers a read.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> PortResult<()> {
        let get = self.client.get_item().table_name(&self.table);
        let get = get.key("pk", s(keys::PING)).key("sk", s(keys::ONLY)).send().await;
        get.map(drop).map_err(|error| Unavailable::new("reading the table Events", error))
    }

    async fn get_payload(&self, tenant: &TenantId, event: EventId) -> PortResult<Option<Sealed>> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let get = get.key("pk", s(keys::payload(tenant, event))).key("sk", s(keys::ONLY));
        let answer = get.send().await.map_err(|error| Unavailable::new("reading a payload", error))?;
        Ok(answer.item().and_then(|item| bytes(item, "payload")).map(Sealed::from_bytes))
    }

    /// The payload as it is stored: compressed, then sealed, bound to its event.
    async fn seal(&self, event: &Event) -> PortResult<Sealed> {
        let key = self.vault.key_or_new(&event.tenant).await?;
        let payload = compress(&event.payload).map_err(|error| Unavailable::new("compressing", error))?;
        let sealed = key.seal(&event.tenant, &event.id.to_string(), &payload, rand::random());
        sealed.map_err(|error| Unavailable::new("sealing a payload", error))
    }

    async fn put_payload(&self, event: &Event, head: &Head, payload: Vec<u8>) -> PortResult<()> {
        let attributes = item([
            ("pk", s(keys::payload(&event.tenant, event.id))),
            ("sk", s(keys::ONLY)),
            ("payload", b(payload)),
            ("ttl", n(head.expires_at.seconds())),
        ]);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(attributes)).send().await;
        put.map(drop).map_err(|error| Unavailable::new("storing a payload", error))
    }
}

impl Events for EventsTable {
    async fn insert(&self, event: &Event, head: &Head) -> PortResult<Inserted> {
        let payload = self.seal(event).await?.into_bytes();
        let mut attributes = head_item::write(&event.tenant, head);
        let is_inline = payload.len() <= MAX_INLINE_BYTES;
        if is_inline {
            attributes.insert("payload".to_owned(), b(payload));
        } else {
            self.put_payload(event, head, payload).await?;
        }
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(attributes))
            .condition_expression("attribute_not_exists(sk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = put else { return Ok(Inserted::New) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let old = failed.item().ok_or(Unreadable("item")).and_then(head_item::read);
                let old = old.map_err(|error| Unavailable::new("reading a head", error))?;
                if old.status == Status::Deleted && !is_inline {
                    self.delete_payload(&event.tenant, event.id).await?; // which came back just now
                }
                Ok(Inserted::Existing(Box::new(old)))
            }
            _ => Err(Unavailable::new("storing an event", error)),
        }
    }

    async fn head(&self, tenant: &TenantId, id: EventId, consistent: bool) -> PortResult<Option<Found>> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(consistent);
        let get = get.key("pk", s(keys::shard(tenant, id.shard()))).key("sk", s(keys::head(id)));
        let answer = get.send().await.map_err(|error| Unavailable::new("reading a head", error))?;
        answer
            .item()
            .map(head_item::found)
            .transpose()
            .map_err(|error| Unavailable::new("reading a head", error))
    }

    async fn payload(&self, tenant: &TenantId, found: &Found) -> PortResult<Option<String>> {
        let sealed = match &found.inline_payload {
            Some(sealed) => Some(sealed.clone()),
            None => self.get_payload(tenant, found.head.id).await?,
        };
        let Some(sealed) = sealed else { return Ok(None) };
        let Some(key) = self.vault.key(tenant).await? else { return Ok(None) };
        let opened = key.open(tenant, &found.head.id.to_string(), &sealed);
        let opened = opened.map_err(|error| Unavailable::new("opening a payload", error))?;
        decompress(&opened).map(Some).map_err(|error| Unavailable::new("decompressing", error))
    }

    async fn update(&self, tenant: &TenantId, next: &Head) -> PortResult<Updated> {
        let (expression, values) = head_item::change(tenant, next);
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", s(keys::shard(tenant, next.id.shard())))
            .key("sk", s(keys::head(next.id)))
            .update_expression(expression)
            .condition_expression("rev = :seen")
            .expression_attribute_names("#status", "status")
            .set_expression_attribute_values(Some(values))
            .send()
            .await;
        let Err(error) = update else { return Ok(Updated::Done) };
        match error.as_service_error() {
            Some(service) if service.is_conditional_check_failed_exception() => Ok(Updated::Raced),
            _ => Err(Unavailable::new("changing a head", error)),
        }
    }

    async fn walk(&self, tenant: &TenantId, stretch: &LogRange, most: usize) -> PortResult<LogPage> {
        self.walk_heads(tenant, stretch, most).await
    }

    async fn bury(&self, tenant: &TenantId, tombstone: &Head) -> PortResult<Updated> {
        self.put_tombstone(tenant, tombstone).await
    }

    async fn forget(&self, tenant: &TenantId, event: EventId) -> PortResult<()> {
        self.delete_what_belongs_to(tenant, event).await
    }

    async fn purge(&self, tenant: &TenantId, shard: u8, most: usize) -> PortResult<usize> {
        self.purge_shard(tenant, shard, most).await
    }

    async fn purge_unreadable(&self, tenant: &TenantId) -> PortResult<usize> {
        self.purge_unreadable_messages(tenant).await
    }

    async fn log_attempt(&self, attempt: &Attempt, expires_at: Timestamp) -> PortResult<()> {
        put_new(&self.client, &self.table, attempt_item::write(attempt, expires_at)).await.map(drop)
    }

    async fn untaken(&self, cohort: &Cohort, most: usize) -> PortResult<Untaken> {
        self.untaken_of(cohort, most).await
    }

    async fn keep_unreadable(&self, message: &UnreadableMessage, now: Timestamp) -> PortResult<()> {
        let attributes = item([
            ("pk", s(keys::unreadable_of(message.tenant.as_ref()))),
            ("sk", s(keys::unreadable(&message.queue, &message.message_id))),
            ("body", s(&message.body)),
            ("ttl", n(now.seconds() + KEEP_UNREADABLE_SECONDS)),
        ]);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(attributes)).send().await;
        put.map(drop).map_err(|error| Unavailable::new("keeping an unreadable message", error))
    }
}

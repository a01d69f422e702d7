//! The table `Events`: heads and payloads.

mod attempt_item;
mod attempt_log;
mod expiring;
mod head_item;
mod inbox_page;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use super::aws::Clients;
use super::compression::{compress, decompress};
use super::item::{Unreadable, b, bytes, item, n, s};
use crate::attempt::Attempt;
use crate::event::{Event, EventId};
use crate::expiry::{Cohort, Untaken};
use crate::inbox::Head;
use crate::keys;
use crate::ports::{Events, Found, Inserted, PortResult, Unavailable, UnreadableMessage, Updated};
use crate::tenant::TenantId;
use crate::timestamp::Timestamp;

pub use attempt_log::{AttemptPage, LoggedAttempt};
pub use inbox_page::{InboxPage, InboxQuery, Order};

/// A compressed payload up to this many bytes lies in the head, which thereby stays under 1 KB: one write unit.
const MAX_INLINE_BYTES: usize = 700;

/// Messages that nobody could read are kept this long for a human.
const KEEP_UNREADABLE_SECONDS: u64 = 90 * 24 * 3600;

/// The table `Events`.
#[derive(Clone, Debug)]
pub struct EventsTable {
    client: Client,
    table: String,
}

impl EventsTable {
    /// The table of this name.
    #[must_use]
    pub fn new(clients: &Clients, table: String) -> Self {
        Self { client: clients.dynamodb.clone(), table }
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

    async fn get_payload(&self, tenant: &TenantId, event: EventId) -> PortResult<Option<Vec<u8>>> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let get = get.key("pk", s(keys::payload(tenant, event))).key("sk", s(keys::ONLY));
        let answer = get.send().await.map_err(|error| Unavailable::new("reading a payload", error))?;
        Ok(answer.item().and_then(|item| bytes(item, "payload")))
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
        let payload = compress(&event.payload).map_err(|error| Unavailable::new("compressing", error))?;
        let mut attributes = head_item::write(&event.tenant, head);
        if payload.len() <= MAX_INLINE_BYTES {
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
        let bytes = match &found.inline_payload {
            Some(bytes) => Some(bytes.clone()),
            None => self.get_payload(tenant, found.head.id).await?,
        };
        let payload = bytes.map(|bytes| decompress(&bytes)).transpose();
        payload.map_err(|error| Unavailable::new("decompressing", error))
    }

    async fn update(&self, tenant: &TenantId, next: &Head) -> PortResult<Updated> {
        let leave_inbox = if next.status.is_in_inbox() { "" } else { " REMOVE pending_pk" };
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", s(keys::shard(tenant, next.id.shard())))
            .key("sk", s(keys::head(next.id)))
            .update_expression(format!(
                "SET deliveries = :deliveries, #status = :status, rev = :rev{leave_inbox}"
            ))
            .condition_expression("rev = :seen")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":deliveries", head_item::deliveries(next))
            .expression_attribute_values(":status", s(next.status.as_str()))
            .expression_attribute_values(":rev", n(next.rev))
            .expression_attribute_values(":seen", n(next.rev - 1))
            .send()
            .await;
        let Err(error) = update else { return Ok(Updated::Done) };
        match error.as_service_error() {
            Some(service) if service.is_conditional_check_failed_exception() => Ok(Updated::Raced),
            _ => Err(Unavailable::new("recording a delivery", error)),
        }
    }

    async fn log_attempt(&self, attempt: &Attempt, expires_at: Timestamp) -> PortResult<()> {
        let item = attempt_item::write(attempt, expires_at);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item)).send().await;
        put.map(drop).map_err(|error| Unavailable::new("logging an attempt", error))
    }

    async fn untaken(&self, cohort: &Cohort, most: usize) -> PortResult<Untaken> {
        self.untaken_of(cohort, most).await
    }

    async fn keep_unreadable(&self, message: &UnreadableMessage, now: Timestamp) -> PortResult<()> {
        let attributes = item([
            ("pk", s(keys::unreadable(&message.queue))),
            ("sk", s(&message.message_id)),
            ("body", s(&message.body)),
            ("ttl", n(now.seconds() + KEEP_UNREADABLE_SECONDS)),
        ]);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(attributes)).send().await;
        put.map(drop).map_err(|error| Unavailable::new("keeping an unreadable message", error))
    }
}

//! Deleting: one event, of which nothing but its id is left; or all that a tenant has.

use std::collections::BTreeSet;

use crate::adapters::batch_delete::delete_all;
use crate::adapters::conditional_put::put_over;
use crate::adapters::events::page::event_of;
use crate::adapters::events::{EventsTable, head_item};
use crate::adapters::item::{Item, item, s};
use crate::items::Updated;
use crate::keys;
use crate::unavailable::{PortResult, Unavailable};
use domain::event::id::EventId;
use domain::inbox::Head;
use domain::tenant::id::TenantId;

impl EventsTable {
    /// A put, so that nothing of what was there remains: the payload within the head, too, is gone.
    pub(super) async fn put_tombstone(&self, tenant: &TenantId, tombstone: &Head) -> PortResult<Updated> {
        let item = head_item::write(tenant, tombstone);
        put_over(&self.client, &self.table, item, tombstone.rev).await
    }

    pub(super) async fn delete_payload(&self, tenant: &TenantId, event: EventId) -> PortResult<()> {
        delete_all(&self.client, &self.table, &[payload_key(tenant, event)]).await
    }

    pub(super) async fn delete_what_belongs_to(&self, tenant: &TenantId, event: EventId) -> PortResult<()> {
        self.delete_payload(tenant, event).await?;
        let pk = keys::shard(tenant, event.shard());
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND begins_with(sk, :attempts)")
                .projection_expression("pk, sk")
                .expression_attribute_values(":pk", s(&pk))
                .expression_attribute_values(":attempts", s(keys::attempts_of(event)));
            let answer = query.send().await.map_err(|error| Unavailable::new("reading attempts", error))?;
            let is_last = answer.last_evaluated_key.is_none();
            delete_all(&self.client, &self.table, answer.items()).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Payloads first: whoever comes again finds the items that lead to them.
    pub(super) async fn purge_shard(&self, tenant: &TenantId, shard: u8, most: usize) -> PortResult<usize> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .projection_expression("pk, sk")
            .expression_attribute_values(":pk", s(keys::shard(tenant, shard)))
            .limit(i32::try_from(most).unwrap_or(i32::MAX));
        let answer =
            query.send().await.map_err(|error| Unavailable::new("reading what is to be erased", error))?;
        let items = answer.items();
        let events: BTreeSet<EventId> = items.iter().filter_map(event_of).collect();
        let payloads: Vec<Item> = events.into_iter().map(|event| payload_key(tenant, event)).collect();
        delete_all(&self.client, &self.table, &payloads).await?;
        delete_all(&self.client, &self.table, items).await?;
        Ok(items.len())
    }

    pub(super) async fn purge_unreadable_messages(&self, tenant: &TenantId) -> PortResult<usize> {
        let (mut start, mut purged) = (None::<Item>, 0);
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk")
                .projection_expression("pk, sk")
                .expression_attribute_values(":pk", s(keys::unreadable_of(Some(tenant))))
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(|error| Unavailable::new("reading messages", error))?;
            delete_all(&self.client, &self.table, answer.items()).await?;
            purged += answer.items().len();
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(purged);
            }
        }
    }
}

fn payload_key(tenant: &TenantId, event: EventId) -> Item {
    item([("pk", s(keys::payload(tenant, event))), ("sk", s(keys::ONLY))])
}

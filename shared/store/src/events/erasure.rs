//! The deletion of one event, which leaves a tombstone, and of all events of a tenant.

use std::collections::BTreeSet;

use domain::event::id::EventId;
use domain::inbox::{Head, Status};
use domain::tenant::id::TenantId;

use super::attempt_item::event_of;
use super::{Events, head_item, payload};
use crate::items::Updated;
use crate::keys;
use crate::ports::Ports;
use crate::table::query::{Query, Range};
use crate::unavailable::PortResult;

impl<P: Ports> Events<P> {
    /// Replaces the head of an event by its tombstone, if the stored `rev` is the previous one. The put removes all
    /// attributes of the head, also its payload.
    pub async fn put_tombstone(&self, tenant: &TenantId, tombstone: &Head) -> PortResult<Updated> {
        self.items.put_over(head_item::write(tenant, tombstone), tombstone.rev).await
    }

    /// Deletes the payload and the attempts of an event if its head is a tombstone. A webhook in flight may have logged
    /// an attempt after the event was deleted.
    pub async fn delete_leftovers(&self, tenant: &TenantId, head: &Head) -> PortResult<()> {
        if head.status == Status::Deleted {
            self.delete_contents(tenant, head.id).await?;
        }
        Ok(())
    }

    /// Deletes the payload and the attempts of an event.
    ///
    /// # Errors
    /// When the table does not answer. Some items may be deleted then.
    pub async fn delete_contents(&self, tenant: &TenantId, event: EventId) -> PortResult<()> {
        self.delete_payload(tenant, event).await?;
        let attempts = Query::consistent(keys::shard(tenant, event.shard()))
            .range(Range::Prefix(keys::attempts_of(event)));
        self.items.delete_found(attempts).await.map(drop)
    }

    /// Deletes at most `most` items of one shard of a tenant, and the payloads of their events. Returns the number of
    /// items, 0 if the shard is empty.
    ///
    /// # Errors
    /// When the table does not answer. Some items may be deleted then.
    pub async fn purge(&self, tenant: &TenantId, shard: u8, most: usize) -> PortResult<usize> {
        let query = Query::consistent(keys::shard(tenant, shard)).limit(most).keys();
        let items = self.items.page(query).await?.items;
        // Delete the payloads first: after an error, the next call finds them by the items that are left.
        let events: BTreeSet<EventId> = items.iter().filter_map(event_of).collect();
        let payloads = events.into_iter().map(|event| payload::key(tenant, event));
        self.items.delete_all(payloads.collect()).await?;
        self.items.delete_items(&items).await
    }
}

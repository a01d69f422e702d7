//! Deletion: of one event, of which only a tombstone stays; and of everything that a tenant has.

use std::collections::BTreeSet;

use domain::event::id::EventId;
use domain::inbox::Head;
use domain::tenant::id::TenantId;

use super::attempt_item::event_of;
use super::{Events, head_item, payload};
use crate::item::{Item, Key};
use crate::items::Updated;
use crate::keys;
use crate::ports::Ports;
use crate::table::query::{Query, Range};
use crate::unavailable::PortResult;

impl<P: Ports> Events<P> {
    /// Puts the tombstone of an event in the place of its head, only if `rev` is still the one before. A put leaves nothing of what was
    /// there, not even a payload in the head.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn bury(&self, tenant: &TenantId, tombstone: &Head) -> PortResult<Updated> {
        self.items.put_over(head_item::write(tenant, tombstone), tombstone.rev).await
    }

    /// Deletes payload and attempts of an event. Doing it twice changes nothing.
    ///
    /// # Errors
    /// When the table does not answer; some may be deleted then.
    pub async fn forget(&self, tenant: &TenantId, event: EventId) -> PortResult<()> {
        self.delete_payload(tenant, event).await?;
        let attempts = Query::consistent(keys::shard(tenant, event.shard()))
            .range(Range::Prefix(keys::attempts_of(event)))
            .keys();
        let items = self.items.all(attempts).await?;
        let keys = items.iter().map(Item::key).collect::<Result<_, _>>()?;
        self.items.delete_all(keys).await
    }

    /// Deletes at most `most` items of one shard of a tenant, and the payload of each event among them; returns how many items there
    /// were. The shard is empty when it returns 0.
    ///
    /// # Errors
    /// When the table does not answer; some may be deleted then.
    pub async fn purge(&self, tenant: &TenantId, shard: u8, most: usize) -> PortResult<usize> {
        let query = Query::consistent(keys::shard(tenant, shard)).limit(most).keys();
        let items = self.items.page(query).await?.items;
        // Payloads go first: a repeat still finds the items that lead to them.
        let events: BTreeSet<EventId> = items.iter().filter_map(event_of).collect();
        let payloads = events.into_iter().map(|event| payload::key(tenant, event));
        self.items.delete_all(payloads.collect()).await?;
        let found: Vec<Key> = items.iter().map(Item::key).collect::<Result<_, _>>()?;
        let count = found.len();
        self.items.delete_all(found).await?;
        Ok(count)
    }
}

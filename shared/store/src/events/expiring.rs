//! The events of an expiry batch that are still in the inbox. Reads only the index of the inbox, not the heads.

use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::inbox::expiry::{ExpiryBatch, UndeliveredEvents};
use domain::tenant::tier::Tier;

use super::Events;
use crate::item::Item;
use crate::keys;
use crate::ports::Ports;
use crate::table::query::{Index, Query, Range};
use crate::unavailable::PortResult;

impl<P: Ports> Events<P> {
    /// Returns approximately `most` events of a batch that are in the inbox, and always the oldest one. The index may
    /// miss the latest writes.
    pub async fn undelivered(&self, batch: &ExpiryBatch, most: usize) -> PortResult<UndeliveredEvents> {
        let range = Range::Between(
            keys::events_from(batch.accepted_from),
            keys::events_from(batch.accepted_before()),
        );
        let mut undelivered = UndeliveredEvents { events: Vec::new(), is_all: true };
        for shard in 0..Tier::MAX_SHARDS {
            // When enough are found, read one event of each other shard: it may be the oldest of all.
            let wanted = most.saturating_sub(undelivered.events.len()).max(1);
            let query = Query::of_index(Index::Pending, keys::shard(&batch.tenant, shard))
                .range(range.clone())
                .limit(wanted);
            let page = self.items.page(query).await?;
            undelivered.events.extend(page.items.iter().filter_map(read));
            undelivered.is_all &= page.next.is_none();
        }
        undelivered.events.sort_unstable_by_key(|(id, _)| *id);
        Ok(undelivered)
    }
}

fn read(item: &Item) -> Option<(EventId, EventType)> {
    let event_type = EventType::from_stored(item.text("type").ok()?);
    Some((EventId::parse(item.text("sk").ok()?)?, event_type))
}

//! Which events of a span of time are still in the inbox, by its sparse index alone: no head is read.

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
    /// Returns events of a cohort that are in the inbox, as the index shows it: approximately `most` at most, but the oldest is among
    /// them.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn undelivered(&self, cohort: &ExpiryBatch, most: usize) -> PortResult<UndeliveredEvents> {
        let span = Range::Between(
            keys::events_from(cohort.accepted_from),
            keys::events_from(cohort.accepted_before()),
        );
        let mut untaken = UndeliveredEvents { events: Vec::new(), is_all: true };
        for shard in 0..Tier::MAX_SHARDS {
            // Once enough are found, only the first event of each further shard is read: the oldest of all may be there.
            let wanted = most.saturating_sub(untaken.events.len()).max(1);
            let query = Query::of_index(Index::Pending, keys::shard(&cohort.tenant, shard))
                .range(span.clone())
                .limit(wanted);
            let page = self.items.page(query).await?;
            untaken.events.extend(page.items.iter().filter_map(read));
            untaken.is_all &= page.next.is_none();
        }
        untaken.events.sort_unstable_by_key(|(id, _)| *id);
        Ok(untaken)
    }
}

fn read(item: &Item) -> Option<(EventId, EventType)> {
    let event_type = EventType::from_stored(item.text("type").ok()?);
    Some((EventId::parse(item.text("sk").ok()?)?, event_type))
}

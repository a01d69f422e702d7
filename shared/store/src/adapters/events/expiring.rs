//! What of a span of time is still in the inbox, from its sparse index alone: no head is read.

use crate::adapters::events::EventsTable;
use crate::adapters::item::{Item, s, text};
use crate::keys;
use crate::unavailable::{PortResult, Unavailable};
use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::inbox::expiry::{Cohort, Untaken};
use domain::tenant::tier::Tier;

impl EventsTable {
    /// Looks at one shard after the other, and where enough was found, only at the first event of each further one: the
    /// oldest may lie there.
    pub(super) async fn untaken_of(&self, cohort: &Cohort, most: usize) -> PortResult<Untaken> {
        let mut untaken = Untaken { events: Vec::new(), is_all: true };
        for shard in 0..Tier::MAX_SHARDS {
            let wanted = most.saturating_sub(untaken.events.len()).max(1);
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .index_name("pending")
                .key_condition_expression("pending_pk = :pk AND sk BETWEEN :from AND :before")
                .expression_attribute_values(":pk", s(keys::shard(&cohort.tenant, shard)))
                .expression_attribute_values(":from", s(keys::events_from(cohort.born_from)))
                .expression_attribute_values(":before", s(keys::events_from(cohort.born_before())))
                .limit(i32::try_from(wanted).unwrap_or(i32::MAX));
            let answer = query.send().await;
            let answer = answer.map_err(|error| Unavailable::new("reading what expires", error))?;
            untaken.events.extend(answer.items().iter().filter_map(read));
            untaken.is_all &= answer.last_evaluated_key.is_none();
        }
        untaken.events.sort_unstable_by_key(|(id, _)| *id);
        Ok(untaken)
    }
}

fn read(item: &Item) -> Option<(EventId, EventType)> {
    let event_type = EventType::from_stored(text(item, "type").ok()?);
    Some((EventId::parse(text(item, "sk").ok()?)?, event_type))
}

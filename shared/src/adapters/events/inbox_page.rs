//! One page of the inbox: what it costs depends on what is pending, not on what is stored.
//!
//! The sparse index names the events; each is confirmed against its head, so that an event acknowledged a moment
//! ago does not appear. The shards of a tenant are merged by event id, which is by time.

use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt};

use super::super::item::{Item, item, s, text};
use super::{EventsTable, head_item};
use crate::event::{EventId, EventType};
use crate::inbox::{Head, Status};
use crate::keys;
use crate::ports::{Events, Found, PortResult, Unavailable};
use crate::tenant::TenantId;
use crate::timestamp::Timestamp;

/// An answer stops here and gives a cursor: Lambda's own bound is 6 MB.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// The most that an event's other members take of it.
const MEMBER_BYTES: usize = 1024;

/// Entries of the index that one query with a filter looks at.
const FILTERED_PAGE: usize = 1000;

/// Queries of one shard for one answer. A rarer type than this finds is answered by a short page and a cursor.
const MAX_INDEX_PAGES: usize = 5;

/// Pauses before each try of a `BatchGetItem`: what a busy table leaves undone is asked for again.
const BATCH_GET_PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
];

/// The most keys that one `BatchGetItem` takes.
const BATCH_GET_KEYS: usize = 100;

/// Payloads read side by side.
const CONCURRENT_PAYLOADS: usize = 8;

/// Which end of the inbox comes first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Order {
    /// The newest event.
    #[default]
    Descending,
    /// The oldest event.
    Ascending,
}

/// A question to the inbox.
#[derive(Clone, Debug)]
pub struct InboxQuery {
    /// How many of the tenant's shards there are.
    pub shards: u8,
    /// Which end first.
    pub order: Order,
    /// Only what comes after this event.
    pub after: Option<EventId>,
    /// Only events of this type.
    pub event_type: Option<EventType>,
    /// Only events of this status.
    pub status: Option<Status>,
    /// At most this many.
    pub limit: usize,
    /// The present moment: what has expired is left out.
    pub now: Timestamp,
}

/// An answer of the inbox.
#[derive(Debug)]
pub struct InboxPage {
    /// The events with their payloads, in the order asked for.
    pub events: Vec<(Head, String)>,
    /// Where the next page goes on; `None` when this is the last.
    pub next: Option<EventId>,
}

impl EventsTable {
    /// One page of a tenant's undelivered events.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn inbox(&self, tenant: &TenantId, query: &InboxQuery) -> PortResult<InboxPage> {
        let shards = (0..query.shards).map(|shard| self.pending(tenant, shard, query));
        let (ids, next) = query.merge(try_join_all(shards).await?);
        let mut page = InboxPage { events: Vec::new(), next };
        let mut bytes = 0;
        for chunk in ids.chunks(BATCH_GET_KEYS) {
            let mut found = self.heads(tenant, chunk).await?;
            found.retain(|found| query.wants(&found.head));
            found.sort_unstable_by_key(|found| chunk.iter().position(|id| *id == found.head.id));
            let with_payloads = found.into_iter().map(|found| self.with_payload(tenant, found));
            let mut events = stream::iter(with_payloads).buffered(CONCURRENT_PAYLOADS);
            while let Some(event) = events.next().await {
                let Some((head, payload)) = event? else { continue };
                bytes += answer_bytes(&payload);
                if bytes > MAX_PAGE_BYTES && !page.events.is_empty() {
                    page.next = page.events.last().map(|(head, _)| head.id);
                    return Ok(page);
                }
                page.events.push((head, payload));
            }
        }
        Ok(page)
    }

    async fn with_payload(&self, tenant: &TenantId, found: Found) -> PortResult<Option<(Head, String)>> {
        let payload = self.payload(tenant, &found).await?;
        Ok(payload.map(|payload| (found.head, payload)))
    }

    /// The ids of pending events of one shard: one more than the limit, the last one, or as many as the budget finds.
    async fn pending(&self, tenant: &TenantId, shard: u8, query: &InboxQuery) -> PortResult<Pending> {
        let mut ids = Vec::new();
        let mut start: Option<Item> = None;
        for _ in 0..MAX_INDEX_PAGES {
            let answer = self
                .index_query(tenant, shard, query)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| Unavailable::new("reading the inbox", error))?;
            ids.extend(answer.items().iter().filter_map(id_of));
            start = answer.last_evaluated_key;
            if ids.len() > query.limit || start.is_none() {
                break;
            }
        }
        Ok(Pending { ids, reached: start.as_ref().and_then(id_of) })
    }

    fn index_query(
        &self,
        tenant: &TenantId,
        shard: u8,
        query: &InboxQuery,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        let ascending = query.order == Order::Ascending;
        let mut request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("pending")
            .scan_index_forward(ascending)
            .expression_attribute_values(":pk", s(keys::shard(tenant, shard)));
        let mut key = "pending_pk = :pk".to_owned();
        if let Some(after) = query.after {
            key += if ascending { " AND sk > :after" } else { " AND sk < :after" };
            request = request.expression_attribute_values(":after", s(keys::head(after)));
        }
        let mut filters = Vec::new();
        if let Some(event_type) = &query.event_type {
            filters.push("#type = :type");
            request = request
                .expression_attribute_names("#type", "type")
                .expression_attribute_values(":type", s(event_type.as_str()));
        }
        if let Some(status) = query.status {
            filters.push("#status = :status");
            request = request
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":status", s(status.as_str()));
        }
        let filter = (!filters.is_empty()).then(|| filters.join(" AND "));
        let page = if filter.is_some() { FILTERED_PAGE } else { query.limit + 1 };
        let page = i32::try_from(page).unwrap_or(i32::MAX);
        request.key_condition_expression(key).set_filter_expression(filter).limit(page)
    }

    /// The heads of these events, read consistently, in any order.
    async fn heads(&self, tenant: &TenantId, ids: &[EventId]) -> PortResult<Vec<Found>> {
        let mut wanted: Vec<Item> = ids
            .iter()
            .map(|id| {
                let partition = s(keys::shard(tenant, id.shard()));
                item([("pk", partition), ("sk", s(keys::head(*id)))])
            })
            .collect();
        let mut found = Vec::with_capacity(ids.len());
        for pause in BATCH_GET_PAUSES {
            tokio::time::sleep(pause).await;
            let request = KeysAndAttributes::builder().consistent_read(true).set_keys(Some(wanted)).build();
            let request = request.map_err(|error| Unavailable::new("reading heads", error))?;
            let answer = self.client.batch_get_item().request_items(&self.table, request).send().await;
            let mut answer = answer.map_err(|error| Unavailable::new("reading heads", error))?;
            for item in answer.responses.take().into_iter().flatten().flat_map(|(_, items)| items) {
                found
                    .push(head_item::found(&item).map_err(|error| Unavailable::new("reading heads", error))?);
            }
            let left = answer.unprocessed_keys.take().into_iter().flatten();
            wanted = left.flat_map(|(_, request)| request.keys).collect();
            if wanted.is_empty() {
                return Ok(found);
            }
        }
        Err(Unavailable::new("reading heads", "the table is too busy"))
    }
}

/// What one shard gave.
struct Pending {
    ids: Vec<EventId>,
    /// The last event that was looked at, where there are more.
    reached: Option<EventId>,
}

impl InboxQuery {
    /// The first ids of all shards together, and where the next page goes on. No shard is passed further than the one
    /// that was looked at least.
    fn merge(&self, shards: Vec<Pending>) -> (Vec<EventId>, Option<EventId>) {
        let descending = self.order == Order::Descending;
        let reached = shards.iter().filter_map(|shard| shard.reached);
        let frontier = if descending { reached.max() } else { reached.min() };
        let beyond =
            |id: &EventId| frontier.is_some_and(|end| if descending { *id < end } else { *id > end });
        let mut ids: Vec<EventId> = shards.into_iter().flat_map(|shard| shard.ids).collect();
        ids.retain(|id| !beyond(id));
        ids.sort_unstable();
        if descending {
            ids.reverse();
        }
        if ids.len() > self.limit {
            ids.truncate(self.limit);
            let last = ids.last().copied();
            return (ids, last);
        }
        (ids, frontier)
    }

    /// Whether the head, as it is now, still belongs into the answer.
    fn wants(&self, head: &Head) -> bool {
        head.status.is_in_inbox()
            && !head.is_expired(self.now)
            && self.status.is_none_or(|status| status == head.status)
            && self.event_type.as_ref().is_none_or(|event_type| *event_type == head.event_type)
    }
}

fn id_of(item: &Item) -> Option<EventId> {
    EventId::parse(text(item, "sk").ok()?)
}

/// What a payload takes of Lambda's 6 MB, where the whole answer is one JSON string: quotes and backslashes count twice,
/// other control characters six times; and the members around it.
fn answer_bytes(payload: &str) -> usize {
    let escapes = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1,
        0..=0x1f => 5,
        _ => 0,
    };
    MEMBER_BYTES + payload.len() + payload.bytes().map(escapes).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(second: u64) -> EventId {
        EventId::generate(Timestamp::from_seconds(second), 1, &mut rand::rng())
    }

    fn query(order: Order, limit: usize) -> InboxQuery {
        let now = Timestamp::from_seconds(0);
        InboxQuery { shards: 2, order, after: None, event_type: None, status: None, limit, now }
    }

    #[test]
    fn shards_are_merged_up_to_the_limit() {
        let ids = [id(1), id(2), id(3)];
        let shards = |reached| {
            vec![Pending { ids: vec![ids[0], ids[2]], reached }, Pending { ids: vec![ids[1]], reached: None }]
        };
        let ascending = query(Order::Ascending, 2).merge(shards(None));
        assert_eq!(ascending, (vec![ids[0], ids[1]], Some(ids[1])));
        let all = query(Order::Ascending, 3).merge(shards(None));
        assert_eq!(all, (ids.to_vec(), None));
        let descending = query(Order::Descending, 2).merge(shards(None));
        assert_eq!(descending, (vec![ids[2], ids[1]], Some(ids[1])));
    }

    #[test]
    fn no_shard_is_passed_further_than_the_one_that_was_looked_at_least() {
        let ids = [id(1), id(2), id(3), id(4)];
        let shards = vec![
            Pending { ids: vec![], reached: Some(ids[1]) },
            Pending { ids: vec![ids[0], ids[3]], reached: None },
        ];
        assert_eq!(query(Order::Ascending, 10).merge(shards), (vec![ids[0]], Some(ids[1])));
        let shards = vec![
            Pending { ids: vec![], reached: Some(ids[2]) },
            Pending { ids: vec![ids[3], ids[0]], reached: None },
        ];
        assert_eq!(query(Order::Descending, 10).merge(shards), (vec![ids[3]], Some(ids[2])));
    }

    #[test]
    fn a_payload_counts_as_it_is_escaped() {
        assert_eq!(answer_bytes(r#"{"a":"\n"}"#) - MEMBER_BYTES, 10 + 5);
    }
}

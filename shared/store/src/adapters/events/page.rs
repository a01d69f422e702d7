//! One page of a tenant's events: of its inbox, or of its log.
//!
//! What a page of the inbox costs depends on what is pending, not on what is stored: the sparse index names the events,
//! and each is confirmed against its head, so that an event acknowledged a moment ago does not appear. The log is the
//! table itself. The shards of a tenant are merged by event id, which is by time.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt};

use crate::adapters::events::batch_get::BATCH_GET_KEYS;
use crate::adapters::events::narrowing::narrowed;
use crate::adapters::events::room::ResponseBudget;
use crate::adapters::events::{EventsTable, head_item};
use crate::adapters::item::{Item, Unreadable, s, text};
use crate::keys;
use crate::ports::events::{Events, Found};
use crate::unavailable::{PortResult, Unavailable};
use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::inbox::{Head, Status};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// Entries that one query with a filter looks at.
const FILTERED_PAGE: usize = 1000;

/// Queries of one shard for one answer. A rarer type than this finds is answered by a short page and a cursor.
const MAX_QUERIES: usize = 5;

/// Payloads read side by side.
const CONCURRENT_PAYLOADS: usize = 8;

/// Which end comes first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Order {
    /// The newest event.
    #[default]
    Descending,
    /// The oldest event.
    Ascending,
}

/// Which events there are to choose from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// Those that nobody has taken yet.
    Inbox,
    /// All that are kept.
    Log,
}

/// A question for a page.
#[derive(Clone, Debug)]
pub struct PageQuery {
    /// Inbox or log.
    pub source: Source,
    /// How many of the tenant's shards there are.
    pub shards: u8,
    /// Which end first.
    pub order: Order,
    /// Only what comes after this event.
    pub after: Option<EventId>,
    /// Only events accepted at this moment or later.
    pub since: Option<Timestamp>,
    /// Only events accepted before this moment.
    pub until: Option<Timestamp>,
    /// Only events of this type.
    pub event_type: Option<EventType>,
    /// Only events of this status.
    pub status: Option<Status>,
    /// At most this many.
    pub limit: usize,
    /// The present moment: what has expired is left out.
    pub now: Timestamp,
}

/// An answer.
#[derive(Debug)]
pub struct Page {
    /// The events with their payloads, in the order asked for.
    pub events: Vec<(Head, String)>,
    /// Where the next page goes on; `None` when this is the last.
    pub next: Option<EventId>,
}

impl EventsTable {
    /// One page of a tenant's events.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn page(&self, tenant: &TenantId, query: &PageQuery) -> PortResult<Page> {
        let shards = (0..query.shards).map(|shard| self.entries(tenant, shard, query));
        let (entries, next) = query.merge(try_join_all(shards).await?);
        let mut page = Page { events: Vec::new(), next };
        let mut room = ResponseBudget::default();
        for chunk in entries.chunks(BATCH_GET_KEYS) {
            let mut found = self.confirmed(tenant, chunk).await?;
            found.retain(|found| query.wants(&found.head));
            let with_payloads = found.into_iter().map(|found| self.with_payload(tenant, found));
            let mut events = stream::iter(with_payloads).buffered(CONCURRENT_PAYLOADS);
            while let Some(event) = events.next().await {
                let Some((head, payload)) = event? else { continue };
                if !room.takes(&payload) {
                    page.next = page.events.last().map(|(head, _)| head.id);
                    return Ok(page);
                }
                page.events.push((head, payload));
            }
        }
        Ok(page)
    }

    pub(super) async fn with_payload(
        &self,
        tenant: &TenantId,
        found: Found,
    ) -> PortResult<Option<(Head, String)>> {
        let payload = self.payload(tenant, &found).await?;
        Ok(payload.map(|payload| (found.head, payload)))
    }

    /// What one shard has: one more than the limit, the last one, or as much as so many queries find.
    async fn entries(&self, tenant: &TenantId, shard: u8, query: &PageQuery) -> PortResult<Entries> {
        let mut entries = Vec::new();
        let mut start: Option<Item> = None;
        for _ in 0..MAX_QUERIES {
            let answer = self.query(tenant, shard, query).set_exclusive_start_key(start).send().await;
            let answer = answer.map_err(|error| Unavailable::new("reading events", error))?;
            let read: Result<Vec<Entry>, _> =
                answer.items().iter().map(|item| query.source.read(item)).collect();
            entries.extend(read.map_err(|error| Unavailable::new("reading events", error))?);
            start = answer.last_evaluated_key;
            if entries.len() > query.limit || start.is_none() {
                break;
            }
        }
        let reached = start.as_ref().and_then(event_of);
        if let Some(event) = reached
            && query.order == Order::Descending
            && start.as_ref().is_some_and(is_attempt)
        {
            // Backwards an event comes after its attempts: where a page ends among these, it would be passed over.
            let found = self.head(tenant, event, true).await?;
            entries.extend(found.map(|found| Entry { id: event, found: Some(found) }));
        }
        Ok(Entries { entries, reached })
    }

    fn query(&self, tenant: &TenantId, shard: u8, query: &PageQuery) -> QueryFluentBuilder {
        let (from, to) = query.bounds();
        let request = self.client.query().table_name(&self.table);
        let (partition, request) = match query.source {
            Source::Inbox => ("pending_pk", request.index_name("pending")),
            Source::Log => ("pk", request.consistent_read(true)),
        };
        let request = request
            .scan_index_forward(query.order == Order::Ascending)
            .key_condition_expression(format!("{partition} = :pk AND sk BETWEEN :from AND :to"))
            .expression_attribute_values(":pk", s(keys::shard(tenant, shard)))
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(to));
        let is_narrow = query.event_type.is_some() || query.status.is_some();
        let page = if is_narrow { FILTERED_PAGE } else { query.limit + 1 };
        let heads: &[&str] = match query.source {
            Source::Inbox => &[],
            Source::Log => &["attribute_exists(deliveries)"], // attempts lie between the heads
        };
        let request = narrowed(request, heads, query.event_type.as_ref(), query.status);
        request.limit(i32::try_from(page).unwrap_or(i32::MAX))
    }

    /// The entries with their heads, in the same order; those that a query left out are read now, consistently.
    async fn confirmed(&self, tenant: &TenantId, entries: &[Entry]) -> PortResult<Vec<Found>> {
        if entries.iter().all(|entry| entry.found.is_some()) {
            return Ok(entries.iter().filter_map(|entry| entry.found.clone()).collect());
        }
        let ids: Vec<EventId> = entries.iter().map(|entry| entry.id).collect();
        self.heads(tenant, &ids).await
    }
}

/// One event, as a query found it.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    id: EventId,
    /// Its head, where the query gave it.
    found: Option<Found>,
}

impl Source {
    fn read(self, item: &Item) -> Result<Entry, Unreadable> {
        let id = event_of(item).ok_or(Unreadable("sk"))?;
        let found = match self {
            Self::Inbox => None,
            Self::Log => Some(head_item::found(item)?),
        };
        Ok(Entry { id, found })
    }
}

/// What one shard gave.
struct Entries {
    entries: Vec<Entry>,
    /// The last event that was looked at, where there are more.
    reached: Option<EventId>,
}

impl PageQuery {
    /// Between which sort keys the page lies.
    fn bounds(&self) -> (String, String) {
        let mut from = keys::events_from(self.since.unwrap_or(Timestamp::from_millis(0)));
        let mut to = keys::events_from(self.until.unwrap_or(Timestamp::from_millis(u64::MAX)));
        if let Some(after) = self.after {
            match self.order {
                Order::Ascending => from = from.max(keys::after_event(after)),
                Order::Descending => to = to.min(keys::before_event(after)),
            }
        }
        if from > to { (to.clone(), to) } else { (from, to) } // no key is equal to a bound
    }

    /// The first entries of all shards together, and where the next page goes on. No shard is passed further than the one
    /// that was looked at least.
    fn merge(&self, shards: Vec<Entries>) -> (Vec<Entry>, Option<EventId>) {
        let descending = self.order == Order::Descending;
        let reached = shards.iter().filter_map(|shard| shard.reached);
        let frontier = if descending { reached.max() } else { reached.min() };
        let beyond =
            |id: &EventId| frontier.is_some_and(|end| if descending { *id < end } else { *id > end });
        let mut entries: Vec<Entry> = shards.into_iter().flat_map(|shard| shard.entries).collect();
        entries.retain(|entry| !beyond(&entry.id));
        entries.sort_unstable_by_key(|entry| entry.id);
        if descending {
            entries.reverse();
        }
        if entries.len() > self.limit {
            entries.truncate(self.limit);
            let last = entries.last().map(|entry| entry.id);
            return (entries, last);
        }
        (entries, frontier)
    }

    /// Whether the head, as it is now, still belongs into the answer.
    fn wants(&self, head: &Head) -> bool {
        (self.source == Source::Log || head.status.is_in_inbox())
            && !head.is_gone(self.now)
            && self.status.is_none_or(|status| status == head.status)
            && self.event_type.as_ref().is_none_or(|event_type| *event_type == head.event_type)
    }
}

/// Which event an item belongs to: a head, or an attempt.
pub(super) fn event_of(item: &Item) -> Option<EventId> {
    EventId::parse(text(item, "sk").ok()?.split('#').next()?)
}

/// Whether an item lies behind a head, and is none itself.
pub(super) fn is_attempt(item: &Item) -> bool {
    text(item, "sk").is_ok_and(|sk| sk.contains('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(second: u64) -> EventId {
        EventId::generate(Timestamp::from_seconds(second), 1, &mut rand::rng())
    }

    fn query(order: Order, limit: usize) -> PageQuery {
        let (now, source) = (Timestamp::from_seconds(0), Source::Inbox);
        let (after, since, until, event_type, status) = (None, None, None, None, None);
        PageQuery { source, shards: 2, order, after, since, until, event_type, status, limit, now }
    }

    fn shard(ids: &[EventId], reached: Option<EventId>) -> Entries {
        Entries { entries: ids.iter().map(|id| Entry { id: *id, found: None }).collect(), reached }
    }

    #[track_caller]
    fn check(query: &PageQuery, shards: Vec<Entries>, expected: &[EventId], next: Option<EventId>) {
        let (entries, reached) = query.merge(shards);
        let ids: Vec<EventId> = entries.iter().map(|entry| entry.id).collect();
        assert_eq!((ids.as_slice(), reached), (expected, next));
    }

    #[test]
    fn shards_are_merged_up_to_the_limit() {
        let ids = [id(1), id(2), id(3)];
        let shards = || vec![shard(&[ids[0], ids[2]], None), shard(&[ids[1]], None)];
        check(&query(Order::Ascending, 2), shards(), &ids[..2], Some(ids[1]));
        check(&query(Order::Ascending, 3), shards(), &ids, None);
        check(&query(Order::Descending, 2), shards(), &[ids[2], ids[1]], Some(ids[1]));
    }

    #[test]
    fn no_shard_is_passed_further_than_the_one_that_was_looked_at_least() {
        let ids = [id(1), id(2), id(3), id(4)];
        let shards = vec![shard(&[], Some(ids[1])), shard(&[ids[0], ids[3]], None)];
        check(&query(Order::Ascending, 10), shards, &ids[..1], Some(ids[1]));
        let shards = vec![shard(&[], Some(ids[2])), shard(&[ids[3], ids[0]], None)];
        check(&query(Order::Descending, 10), shards, &ids[3..], Some(ids[2]));
    }

    #[test]
    fn bounds_that_leave_nothing_between_them_are_still_in_order() {
        let (since, until) = (Some(Timestamp::from_seconds(9)), Some(Timestamp::from_seconds(3)));
        let (from, to) = PageQuery { since, until, ..query(Order::Ascending, 1) }.bounds();
        assert_eq!(from, to);
        let all = query(Order::Ascending, 1).bounds();
        assert!(all.0 < keys::head(id(1)) && keys::head(id(1 << 33)) < all.1);
    }
}

//! One page of a tenant's events, from its inbox or its log.
//!
//! The inbox is read by its sparse index, so that the cost of a page depends on the number of pending events, not of
//! stored ones. The index may miss the latest writes, therefore the head of each event is read too. The log is read
//! from the table itself. The shards of a tenant are merged by event id, which sorts by time.

use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::inbox::{Head, Status};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt};

use super::Events;
use super::attempt_item::{event_of, is_attempt};
use super::budget::ResponseBudget;
use super::head_item::{self, DELIVERIES, Found};
use super::read_budget::ReadBudget;
use crate::item::Item;
use crate::keys;
use crate::ports::Ports;
use crate::table::MAX_BATCH_GET_KEYS;
use crate::table::condition::{Condition, equals, exists};
use crate::table::query::{Index, Query, Range};
use crate::unavailable::PortResult;

/// The number of items that one query with a filter reads.
const FILTERED_PAGE_ITEMS: usize = 1000;

/// The maximum number of queries of one shard for one page. If few events match, the page is short and has a cursor.
const MAX_QUERIES: usize = 5;

/// The number of payloads that are read at the same time.
const CONCURRENT_PAYLOADS: usize = 8;

/// The order of a page.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Order {
    /// Newest event first.
    #[default]
    Descending,
    /// Oldest event first.
    Ascending,
}

/// Where the events of a page come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The events in the inbox.
    Inbox,
    /// All stored events.
    Log,
}

/// A query for a page.
#[derive(Clone, Debug)]
pub struct PageQuery {
    /// The inbox or the log.
    pub source: Source,
    /// The number of the tenant's shards.
    pub shards: u8,
    /// The order.
    pub order: Order,
    /// Only events that come after this one in the order.
    pub after: Option<EventId>,
    /// Only events that were accepted at this time or later.
    pub since: Option<Timestamp>,
    /// Only events that were accepted before this time.
    pub until: Option<Timestamp>,
    /// Only events of this type.
    pub event_type: Option<EventType>,
    /// Only events with this status.
    pub status: Option<Status>,
    /// The maximum number of events.
    pub limit: usize,
    /// The present time. Expired events are left out.
    pub now: Timestamp,
}

/// A page of events.
#[derive(Debug)]
pub struct Page {
    /// The events with their payloads, in the order of the query.
    pub events: Vec<(Head, String)>,
    /// The event after which the next page starts; `None` if this page is the last.
    pub next: Option<EventId>,
}

impl<P: Ports> Events<P> {
    /// Returns one page of a tenant's events.
    pub async fn page(&self, tenant: &TenantId, query: &PageQuery) -> PortResult<Page> {
        let reads = &ReadBudget::default();
        let shards = (0..query.shards).map(|shard| self.entries(tenant, shard, query, reads));
        let (entries, next) = query.merge(try_join_all(shards).await?);
        let mut page = Page { events: Vec::new(), next };
        let mut budget = ResponseBudget::default();
        for chunk in entries.chunks(MAX_BATCH_GET_KEYS) {
            let mut found = self.heads_of(tenant, chunk).await?;
            found.retain(|found| query.wants(&found.head));
            let with_payloads = found.into_iter().map(|found| self.with_payload(tenant, found));
            let mut events = stream::iter(with_payloads).buffered(CONCURRENT_PAYLOADS);
            while let Some(event) = events.next().await {
                let Some((head, payload)) = event? else { continue };
                if !budget.takes(&payload) {
                    page.next = page.events.last().map(|(head, _)| head.id);
                    return Ok(page);
                }
                page.events.push((head, payload));
            }
        }
        Ok(page)
    }

    /// Returns events of one shard: one more than the limit, unless the shard, its queries or the read budget
    /// of the page end before.
    async fn entries(
        &self,
        tenant: &TenantId,
        shard: u8,
        query: &PageQuery,
        reads: &ReadBudget,
    ) -> PortResult<Entries> {
        let request = query.of_shard(tenant, shard);
        let mut entries = Vec::new();
        let mut start: Option<Item> = None;
        for _ in 0..MAX_QUERIES {
            let page = self.items.page(request.clone().from(start)).await?;
            entries.extend(page.items.iter().filter_map(|item| query.source.read(item)));
            start = page.next;
            if !reads.spend(page.half_units) || entries.len() > query.limit || start.is_none() {
                break;
            }
        }
        let reached = start.as_ref().and_then(event_of);
        if let Some(event) = reached
            && query.order == Order::Descending
            && start.as_ref().is_some_and(is_attempt)
        {
            // In descending order, a head comes after its attempts. If the read ends between them, the next page starts
            // after the event and would miss its head. Therefore read it now.
            let found = self.head(tenant, event).await?;
            entries.extend(found.map(|found| Entry { id: event, found: Some(found) }));
        }
        Ok(Entries { entries, reached })
    }

    /// Returns the heads of these entries, in the same order. Reads them consistently, unless the query returned them.
    async fn heads_of(&self, tenant: &TenantId, entries: &[Entry]) -> PortResult<Vec<Found>> {
        if entries.iter().all(|entry| entry.found.is_some()) {
            return Ok(entries.iter().filter_map(|entry| entry.found.clone()).collect());
        }
        let ids: Vec<EventId> = entries.iter().map(|entry| entry.id).collect();
        self.heads(tenant, &ids).await
    }
}

/// Returns the condition for this type and this status; `None` if neither is given.
pub(crate) fn type_and_status(event_type: Option<&EventType>, status: Option<Status>) -> Option<Condition> {
    let event_type = event_type.map(|event_type| equals("type", event_type.as_str()));
    let status = status.map(|status| equals("status", status.as_str()));
    match (event_type, status) {
        (Some(event_type), status) => Some(event_type.and_some(status)),
        (None, status) => status,
    }
}

/// An event that a query found.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    id: EventId,
    /// Its head, if the query returned it.
    found: Option<Found>,
}

impl Source {
    /// Reads an entry; logs an unreadable one and returns `None`.
    fn read(self, item: &Item) -> Option<Entry> {
        match self {
            Self::Inbox => event_of(item).map(|id| Entry { id, found: None }),
            Self::Log => {
                head_item::readable(item).map(|found| Entry { id: found.head.id, found: Some(found) })
            }
        }
    }
}

/// The events that were found in one shard.
struct Entries {
    entries: Vec<Entry>,
    /// The last event that was read; `None` if the shard is read to its end.
    reached: Option<EventId>,
}

impl PageQuery {
    /// Returns the query of one shard.
    fn of_shard(&self, tenant: &TenantId, shard: u8) -> Query {
        let (from, to) = self.bounds();
        let partition = keys::shard(tenant, shard);
        let filter = type_and_status(self.event_type.as_ref(), self.status);
        let limit = if filter.is_some() { FILTERED_PAGE_ITEMS } else { self.limit + 1 };
        let of_source = match self.source {
            Source::Inbox => Query { filter, ..Query::of_index(Index::Pending, partition) },
            // The partition also holds attempts.
            Source::Log => Query::consistent(partition).filter(exists(DELIVERIES).and_some(filter)),
        };
        let query = Query { backwards: self.order == Order::Descending, ..of_source };
        query.range(Range::Between(from, to)).limit(limit)
    }

    /// Returns the sort keys between which the page lies.
    fn bounds(&self) -> (String, String) {
        let mut from = keys::events_from(self.since.unwrap_or(Timestamp::from_millis(0)));
        let mut to = keys::events_from(self.until.unwrap_or(Timestamp::from_millis(u64::MAX)));
        if let Some(after) = self.after {
            match self.order {
                Order::Ascending => from = from.max(keys::after_event(after)),
                Order::Descending => to = to.min(keys::before_event(after)),
            }
        }
        // DynamoDB refuses bounds in the wrong order. Equal bounds find nothing: no key is equal to a bound.
        if from > to { (to.clone(), to) } else { (from, to) }
    }

    /// Returns the first entries of all shards in the order of the page, and the event after which the next page
    /// starts.
    fn merge(&self, shards: Vec<Entries>) -> (Vec<Entry>, Option<EventId>) {
        // 1. Leave out the entries that come after the end of the shard that was read least: it may have others before them.
        let descending = self.order == Order::Descending;
        let reached = shards.iter().filter_map(|shard| shard.reached);
        let frontier = if descending { reached.max() } else { reached.min() };
        let beyond =
            |id: &EventId| frontier.is_some_and(|end| if descending { *id < end } else { *id > end });
        let mut entries: Vec<Entry> = shards.into_iter().flat_map(|shard| shard.entries).collect();
        entries.retain(|entry| !beyond(&entry.id));

        // 2. Sort the others, and cut the page at its limit.
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

    /// Returns whether an event with this head belongs to the page.
    fn wants(&self, head: &Head) -> bool {
        (self.source == Source::Log || head.in_inbox)
            && !head.is_expired_or_deleted(self.now)
            && self.status.is_none_or(|status| status == head.status)
            && self.event_type.as_ref().is_none_or(|event_type| *event_type == head.event_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(second: u64) -> EventId {
        EventId::generate(Timestamp::from_seconds(second), 1, &mut rand::rng())
    }

    fn query(order: Order, limit: usize) -> PageQuery {
        PageQuery {
            source: Source::Inbox,
            shards: 2,
            order,
            after: None,
            since: None,
            until: None,
            event_type: None,
            status: None,
            limit,
            now: Timestamp::from_seconds(0),
        }
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
    fn a_page_ends_where_the_shard_that_was_read_least_ends() {
        let ids = [id(1), id(2), id(3), id(4)];
        let ascending = vec![shard(&[], Some(ids[1])), shard(&[ids[0], ids[3]], None)];
        check(&query(Order::Ascending, 10), ascending, &ids[..1], Some(ids[1]));
        let descending = vec![shard(&[], Some(ids[2])), shard(&[ids[3], ids[0]], None)];
        check(&query(Order::Descending, 10), descending, &ids[3..], Some(ids[2]));
    }

    #[test]
    fn bounds_in_the_wrong_order_become_equal() {
        let since = Some(Timestamp::from_seconds(9));
        let until = Some(Timestamp::from_seconds(3));
        let (from, to) = PageQuery { since, until, ..query(Order::Ascending, 1) }.bounds();
        assert_eq!(from, to);
        let all = query(Order::Ascending, 1).bounds();
        assert!(all.0 < keys::head(id(1)) && keys::head(id(1 << 33)) < all.1);
    }
}

//! One page of a tenant's events: of its inbox, or of its log.
//!
//! What a page of the inbox costs depends on what is pending, not on what is stored: the sparse index names the events,
//! and each is confirmed against its head, so that an event acknowledged a moment ago does not appear. The log is the
//! table itself. The shards of a tenant are merged by event id, which is by time.

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
use crate::item::Item;
use crate::keys;
use crate::ports::Ports;
use crate::table::MAX_BATCH_GET_KEYS;
use crate::table::condition::{Condition, equals, exists};
use crate::table::query::{Index, Query, Range};
use crate::unavailable::PortResult;

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

impl<P: Ports> Events<P> {
    /// Returns one page of a tenant's events.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn page(&self, tenant: &TenantId, query: &PageQuery) -> PortResult<Page> {
        let shards = (0..query.shards).map(|shard| self.entries(tenant, shard, query));
        let (entries, next) = query.merge(try_join_all(shards).await?);
        let mut page = Page { events: Vec::new(), next };
        let mut budget = ResponseBudget::default();
        for chunk in entries.chunks(MAX_BATCH_GET_KEYS) {
            let mut found = self.confirmed(tenant, chunk).await?;
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

    /// Returns what one shard has: one more than the limit, everything, or as much as the allowed queries find.
    async fn entries(&self, tenant: &TenantId, shard: u8, query: &PageQuery) -> PortResult<Entries> {
        let request = query.of_shard(tenant, shard);
        let mut entries = Vec::new();
        let mut start: Option<Item> = None;
        for _ in 0..MAX_QUERIES {
            let page = self.items.page(request.clone().from(start)).await?;
            entries.extend(page.items.iter().filter_map(|item| query.source.read(item)));
            start = page.next;
            if entries.len() > query.limit || start.is_none() {
                break;
            }
        }
        let reached = start.as_ref().and_then(event_of);
        if let Some(event) = reached
            && query.order == Order::Descending
            && start.as_ref().is_some_and(is_attempt)
        {
            // Backwards, an event comes after its attempts: where a page ends among them, the next page would skip it.
            let found = self.head(tenant, event).await?;
            entries.extend(found.map(|found| Entry { id: event, found: Some(found) }));
        }
        Ok(Entries { entries, reached })
    }

    /// Returns the entries with their heads, in the same order. Reads those that the query did not return, consistently.
    async fn confirmed(&self, tenant: &TenantId, entries: &[Entry]) -> PortResult<Vec<Found>> {
        if entries.iter().all(|entry| entry.found.is_some()) {
            return Ok(entries.iter().filter_map(|entry| entry.found.clone()).collect());
        }
        let ids: Vec<EventId> = entries.iter().map(|entry| entry.id).collect();
        self.heads(tenant, &ids).await
    }
}

/// Returns the condition that events are of this type and this status, where they are given.
pub(crate) fn narrowed(event_type: Option<&EventType>, status: Option<Status>) -> Option<Condition> {
    let event_type = event_type.map(|event_type| equals("type", event_type.as_str()));
    let status = status.map(|status| equals("status", status.as_str()));
    match (event_type, status) {
        (Some(event_type), status) => Some(event_type.and_some(status)),
        (None, status) => status,
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
    /// Reads an entry; one that cannot be read is logged and left out.
    fn read(self, item: &Item) -> Option<Entry> {
        match self {
            Self::Inbox => event_of(item).map(|id| Entry { id, found: None }),
            Self::Log => {
                head_item::readable(item).map(|found| Entry { id: found.head.id, found: Some(found) })
            }
        }
    }
}

/// What one shard gave.
struct Entries {
    entries: Vec<Entry>,
    /// The last event that was looked at, where there are more.
    reached: Option<EventId>,
}

impl PageQuery {
    /// Returns the query of one shard.
    fn of_shard(&self, tenant: &TenantId, shard: u8) -> Query {
        let (from, to) = self.bounds();
        let partition = keys::shard(tenant, shard);
        let narrowed = narrowed(self.event_type.as_ref(), self.status);
        let limit = if narrowed.is_some() { FILTERED_PAGE } else { self.limit + 1 };
        let query = match self.source {
            Source::Inbox => Query { filter: narrowed, ..Query::of_index(Index::Pending, partition) },
            // Attempts are stored between the heads.
            Source::Log => Query::consistent(partition).filter(exists(DELIVERIES).and_some(narrowed)),
        };
        let query = Query { backwards: self.order == Order::Descending, ..query };
        query.range(Range::Between(from, to)).limit(limit)
    }

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

//! The log of a tenant's events by time: the heads for a replay, and the number of events that match a filter.

use domain::event::id::EventId;
use domain::inbox::{Head, Status};
use domain::job::replay::Filter;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use futures_util::future::try_join_all;

use super::Events;
use super::attempt_item::event_of;
use super::head_item::{self, DELIVERIES};
use super::page::type_and_status;
use crate::keys;
use crate::ports::Ports;
use crate::table::condition::{differs, exists, greater};
use crate::table::query::{Query, Range};
use crate::unavailable::PortResult;

/// The maximum number of queries for one count in all shards together, but one of each shard at least. Each reads up to
/// 1 MB, which is 128 read units.
const MAX_COUNTING_QUERIES: usize = 8;

/// A part of one shard of a tenant's log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogRange {
    /// The shard.
    pub shard: u8,
    /// The earliest time at which events were accepted.
    pub since: Timestamp,
    /// The time before which events were accepted.
    pub until: Timestamp,
    /// Only events after this one.
    pub after: Option<EventId>,
}

/// The heads in a part of the log.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LogPage {
    /// The heads, oldest first, without those of deleted events.
    pub heads: Vec<Head>,
    /// The last event that was read; `None` if the range is read to its end.
    pub reached: Option<EventId>,
}

impl<P: Ports> Events<P> {
    /// Returns the heads in a part of a tenant's log, read consistently. Reads at most `most` items. An unreadable head
    /// is logged and left out, so that it does not stop a replay or its cancellation.
    pub async fn log_page(&self, tenant: &TenantId, range: &LogRange, most: usize) -> PortResult<LogPage> {
        let from = match range.after {
            Some(event) => keys::after_event(event),
            None => keys::events_from(range.since),
        };
        let to = keys::events_from(range.until);
        if from >= to {
            return Ok(LogPage::default());
        }
        let query = Query::consistent(keys::shard(tenant, range.shard))
            .range(Range::Between(from, to))
            .filter(exists(DELIVERIES))
            .limit(most);
        let page = self.items.page(query).await?;
        let found = page.items.iter().filter_map(head_item::readable);
        let heads = found.map(|found| found.head).filter(|head| head.status != Status::Deleted);
        Ok(LogPage { heads: heads.collect(), reached: page.next.as_ref().and_then(event_of) })
    }

    /// Returns the number of events that match the filter, and whether the count is complete. It stops after a limited
    /// number of queries.
    pub async fn count(&self, tenant: &TenantId, filter: &Filter, now: Timestamp) -> PortResult<(u64, bool)> {
        let shards = (0..filter.shards).map(|shard| self.count_in(tenant, shard, filter, now));
        let counts = try_join_all(shards).await?;
        let sum = counts.iter().map(|(count, _)| count).sum();
        Ok((sum, counts.iter().all(|(_, is_all)| *is_all)))
    }

    async fn count_in(
        &self,
        tenant: &TenantId,
        shard: u8,
        filter: &Filter,
        now: Timestamp,
    ) -> PortResult<(u64, bool)> {
        let matches = exists(DELIVERIES)
            .and(greater("ttl", now.seconds()))
            .and(differs("status", Status::Deleted.as_str()))
            .and_some(type_and_status(filter.event_type.as_ref(), filter.status));
        let query = Query::eventual(keys::shard(tenant, shard))
            .range(Range::Between(keys::events_from(filter.since), keys::events_from(filter.until)))
            .filter(matches)
            .count();
        let mut count = 0;
        let mut start = None;
        for _ in 0..(MAX_COUNTING_QUERIES / usize::from(filter.shards).max(1)).max(1) {
            let page = self.items.page(query.clone().from(start)).await?;
            count += u64::try_from(page.count).unwrap_or(u64::MAX);
            start = page.next;
            if start.is_none() {
                return Ok((count, true));
            }
        }
        Ok((count, false))
    }
}

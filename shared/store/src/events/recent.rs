//! The most recent events of a tenant.

use domain::inbox::Head;
use domain::tenant::id::TenantId;
use futures_util::future::try_join_all;

use super::Events;
use super::attempt_item::{event_of, is_attempt};
use super::head_item::{self, DELIVERIES, Found};
use super::read_budget::ReadBudget;
use crate::item::Item;
use crate::keys;
use crate::ports::Ports;
use crate::table::condition::exists;
use crate::table::query::Query;
use crate::unavailable::PortResult;

/// The number of items of one shard that one query reads, attempts included.
const PAGE_ITEMS: usize = 200;

/// The maximum number of queries of one shard.
const MAX_QUERIES: usize = 5;

impl<P: Ports> Events<P> {
    /// Returns at most `most` recent events of a tenant that are wanted, newest first, with their payloads. Reads a
    /// limited number of items of each shard.
    pub async fn recent(
        &self,
        tenant: &TenantId,
        shards: u8,
        wanted: impl Fn(&Head) -> bool,
        most: usize,
    ) -> PortResult<Vec<(Head, String)>> {
        let reads = &ReadBudget::default();
        let shards = (0..shards).map(|shard| self.recent_in(tenant, shard, &wanted, most, reads));
        let mut found: Vec<Found> = try_join_all(shards).await?.into_iter().flatten().collect();
        found.sort_by_key(|found| std::cmp::Reverse(found.head.id));
        found.truncate(most);
        let events = found.into_iter().map(|found| self.with_payload(tenant, found));
        Ok(try_join_all(events).await?.into_iter().flatten().collect())
    }

    async fn recent_in(
        &self,
        tenant: &TenantId,
        shard: u8,
        wanted: impl Fn(&Head) -> bool,
        most: usize,
        reads: &ReadBudget,
    ) -> PortResult<Vec<Found>> {
        let query = Query::eventual(keys::shard(tenant, shard))
            .filter(exists(DELIVERIES))
            .backwards()
            .limit(PAGE_ITEMS);
        let mut recent = Vec::new();
        let mut start = None;
        for _ in 0..MAX_QUERIES {
            let page = self.items.page(query.clone().from(start)).await?;
            let found = page.items.iter().filter_map(head_item::readable);
            recent.extend(found.filter(|found| wanted(&found.head)));
            start = page.next.map(skip_attempts);
            if !reads.spend(page.half_units) || start.is_none() || recent.len() >= most {
                break;
            }
        }
        Ok(recent)
    }
}

/// Returns where the next page of a backward read starts. If that is between the attempts of an event, skips them: the
/// head comes after them.
fn skip_attempts(mut key: Item) -> Item {
    if let Some(event) = event_of(&key).filter(|_| is_attempt(&key)) {
        key.insert("sk", keys::attempts_of(event));
    }
    key
}

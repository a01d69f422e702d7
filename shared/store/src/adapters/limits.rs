//! The table `Limits`: a tenant's tokens and stats of each minute, its backlog of each day, and the counters behind `/metrics`.

mod line;
mod once;
mod stats;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;
use rand::RngExt;

use self::once::Outcome;
use crate::adapters::aws::Clients;
use crate::adapters::batch_delete::delete_all;
use crate::adapters::item::{Item, key_of, n, number, s, text};
use crate::keys;
use crate::ports::limits::{Counts, Limits, QueueName, Wait};
use crate::unavailable::{PortResult, Unavailable};
use domain::endpoint::id::EndpointId;
use domain::endpoint::pace::Span;
use domain::tenant::backlog::Backlog;
use domain::tenant::id::TenantId;
use domain::tenant::rate_limit::{Leased, Meter};
use domain::tenant::stats::Stats;
use domain::timestamp::Timestamp;

/// Minutes are kept for an hour after they ended.
const KEEP_SECONDS: u64 = 3600;

/// A day of a backlog is kept longer than any of its events.
const KEEP_BACKLOG_DAYS: u64 = 100;

/// The counters are spread over this many items, so that no single one is written too often.
const COUNTER_SHARDS: u8 = 8;

/// The table `Limits`.
#[derive(Clone, Debug)]
pub struct LimitsTable {
    client: Client,
    table: String,
}

impl LimitsTable {
    /// The table of this name.
    #[must_use]
    pub fn new(clients: &Clients, table: String) -> Self {
        Self { client: clients.dynamodb.clone(), table }
    }

    /// The counters, summed over their shards, and the latest word on how long each queue's messages wait.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn counts(&self) -> PortResult<(Counts, Vec<Wait>)> {
        let items = self.partition(keys::COUNTERS.to_owned()).await?;
        let sum = |name| items.iter().filter_map(|item| number(item, name).ok()).sum();
        let counts = Counts {
            accepted: sum("accepted"),
            stored: sum("stored"),
            delivered: sum("delivered"),
            failed: sum("failed"),
            settled: sum("settled"),
            returned: sum("returned"),
            unreadable: sum("unreadable"),
        };
        let waits = [QueueName::Events, QueueName::Deliveries].map(|queue| latest_wait(&items, queue));
        Ok((counts, waits.into_iter().flatten().collect()))
    }

    /// All items of one small partition.
    async fn partition(&self, pk: String) -> PortResult<Vec<Item>> {
        let query = self.client.query().table_name(&self.table).key_condition_expression("pk = :pk");
        let answer = query.expression_attribute_values(":pk", s(pk)).send().await;
        let answer = answer.map_err(|error| Unavailable::new("reading the table Limits", error))?;
        Ok(answer.items.unwrap_or_default())
    }

    async fn change_day(&self, tenant: &TenantId, day: u64, change: i64) -> PortResult<()> {
        let update = self.once(keys::backlog(tenant), keys::backlog_day(day)).add("waiting", change);
        update.set("ttl", n((day + KEEP_BACKLOG_DAYS) * 86_400)).send("changing a backlog").await.map(drop)
    }
}

impl Limits for LimitsTable {
    async fn lease(&self, meter: &Meter, minute: u64, slice: u32, limit: u32) -> PortResult<Leased> {
        let leased = self
            .once(keys::minute(meter, minute), keys::ONLY)
            .add("taken", slice)
            .set("ttl", ends_after(minute))
            .up_to("taken", limit.saturating_sub(slice).into());
        let taken = |item: &Item| {
            let taken = number(item, "taken").ok().and_then(|taken| u32::try_from(taken).ok());
            taken.unwrap_or(limit)
        };
        Ok(match leased.send("leasing tokens").await? {
            Outcome::Done(item) => Leased::Granted { taken: taken(&item) },
            Outcome::Refused(item) => Leased::Exhausted { left: limit.saturating_sub(taken(&item)) },
        })
    }

    async fn queue_up(&self, tenant: &TenantId, endpoint: &EndpointId, span: Span) -> PortResult<u64> {
        self.take_turns(tenant, endpoint, span).await
    }

    async fn enter(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        minute: u64,
        wanted: u32,
        most: u32,
    ) -> PortResult<u32> {
        self.take_places(keys::under_way(tenant, endpoint, minute), minute, wanted, most).await
    }

    async fn leave(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        minute: u64,
        count: u32,
    ) -> PortResult<()> {
        self.give_places_back(keys::under_way(tenant, endpoint, minute), count).await
    }

    async fn wait(&self, queue: QueueName) -> PortResult<Option<Wait>> {
        let items = self.partition(keys::COUNTERS.to_owned()).await?;
        Ok(latest_wait(&items, queue))
    }

    async fn change_backlog(&self, tenant: &TenantId, change: &Backlog) -> PortResult<()> {
        let changes = change.days().map(|(day, change)| self.change_day(tenant, day, change));
        try_join_all(changes).await.map(drop)
    }

    async fn purge(&self, tenant: &TenantId) -> PortResult<usize> {
        let partitions = [keys::backlog(tenant), keys::stats(tenant)];
        let items = try_join_all(partitions.map(|pk| self.partition(pk))).await?;
        let found: Vec<Item> = items.iter().flatten().map(key_of).collect();
        delete_all(&self.client, &self.table, &found).await?;
        Ok(found.len())
    }

    async fn backlog(&self, tenant: &TenantId) -> PortResult<Backlog> {
        let items = self.partition(keys::backlog(tenant)).await?;
        Ok(Backlog::of(items.iter().filter_map(read_day)))
    }

    async fn note_stats(&self, tenant: &TenantId, minute: u64, stats: &Stats) -> PortResult<()> {
        self.add_stats(tenant, minute, stats).await
    }

    async fn stats(&self, tenant: &TenantId, first: u64, last: u64) -> PortResult<Stats> {
        self.sum_of_stats(tenant, first, last).await
    }

    async fn count(&self, counts: Counts, wait: Option<Wait>) -> PortResult<()> {
        let named = [
            ("accepted", counts.accepted),
            ("stored", counts.stored),
            ("delivered", counts.delivered),
            ("failed", counts.failed),
            ("settled", counts.settled),
            ("returned", counts.returned),
            ("unreadable", counts.unreadable),
        ];
        let added: Vec<_> = named.into_iter().filter(|(_, count)| *count > 0).collect();
        if added.is_empty() && wait.is_none() {
            return Ok(());
        }
        let shard = rand::rng().random_range(0..COUNTER_SHARDS);
        let mut update = self.once(keys::COUNTERS, keys::counters_shard(shard));
        if let Some(wait) = wait {
            let (waited, at) = wait_names(wait.queue);
            update = update.set(waited, n(wait.waited_ms)).set(at, n(wait.at.millis()));
        }
        for (name, count) in added {
            update = update.add(name, count);
        }
        update.send("counting").await.map(drop)
    }
}

/// When the item of a minute may go.
fn ends_after(minute: u64) -> AttributeValue {
    n((minute + 1) * 60 + KEEP_SECONDS)
}

/// The attributes that tell a queue's wait.
fn wait_names(queue: QueueName) -> (&'static str, &'static str) {
    match queue {
        QueueName::Events => ("events_waited_ms", "events_waited_at"),
        QueueName::Deliveries => ("deliveries_waited_ms", "deliveries_waited_at"),
    }
}

fn latest_wait(items: &[Item], queue: QueueName) -> Option<Wait> {
    items.iter().filter_map(|item| read_wait(item, queue)).max_by_key(|wait| wait.at)
}

fn read_day(item: &Item) -> Option<(u64, i64)> {
    let waiting = item.get("waiting")?.as_n().ok()?.parse().ok()?;
    Some((text(item, "sk").ok()?.parse().ok()?, waiting))
}

fn read_wait(item: &Item, queue: QueueName) -> Option<Wait> {
    let (waited, at) = wait_names(queue);
    let waited_ms = number(item, waited).ok()?;
    Some(Wait { queue, waited_ms, at: Timestamp::from_millis(number(item, at).ok()?) })
}

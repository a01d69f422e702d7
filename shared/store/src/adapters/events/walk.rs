//! Walking through a tenant's events in the order of time: the heads of a stretch for a replay, one event's attempts, and
//! everything for an export.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::Select;
use futures_util::future::try_join_all;

use crate::adapters::events::attempt_log::LoggedAttempt;
use crate::adapters::events::narrowing::narrowed;
use crate::adapters::events::page::{event_of, is_attempt};
use crate::adapters::events::{EventsTable, attempt_log, head_item};
use crate::adapters::item::{Item, Unreadable, n, s, text};
use crate::keys;
use crate::ports::events::{Found, LogPage, LogRange};
use crate::unavailable::{PortResult, Unavailable};
use domain::event::id::EventId;
use domain::inbox::{Head, Status};
use domain::job::replay::Filter;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// Queries of one shard for one count, each of up to a megabyte: as many as fit into a request.
const MAX_COUNTING_QUERIES: usize = 50;

/// Something of a tenant's log, as it lies there.
#[derive(Debug)]
pub enum ExportItem {
    /// An event.
    Event(Box<Found>),
    /// An attempt that was logged.
    Attempt(Box<LoggedAttempt>),
}

/// What was found of one shard.
#[derive(Debug)]
pub struct ExportPage {
    /// Each with its own place.
    pub kept: Vec<(String, ExportItem)>,
    /// How many things were looked at.
    pub looked_at: usize,
    /// The place of the last of them, where there is more.
    pub reached: Option<String>,
}

impl EventsTable {
    pub(super) async fn walk_heads(
        &self,
        tenant: &TenantId,
        stretch: &LogRange,
        most: usize,
    ) -> PortResult<LogPage> {
        let from = stretch.after.map_or_else(|| keys::events_from(stretch.since), keys::after_event);
        let to = keys::events_from(stretch.until);
        if from >= to {
            return Ok(LogPage::default());
        }
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .filter_expression("attribute_exists(deliveries)")
            .expression_attribute_values(":pk", s(keys::shard(tenant, stretch.shard)))
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(to))
            .limit(i32::try_from(most).unwrap_or(i32::MAX));
        let answer = query.send().await.map_err(|error| Unavailable::new("walking through events", error))?;
        let readable = |item: &Item| {
            let unreadable = |error: &Unreadable| tracing::error!(cause = %error, "a head cannot be read");
            head_item::read(item).inspect_err(unreadable).ok() // it stops no replay, and no cancellation of one
        };
        let mut heads: Vec<Head> = answer.items().iter().filter_map(readable).collect();
        heads.retain(|head| head.status != Status::Deleted);
        Ok(LogPage { heads, reached: answer.last_evaluated_key().and_then(event_of) })
    }

    /// How many events the filter lets through, and whether all were counted: it ends after so many queries.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn count(&self, tenant: &TenantId, filter: &Filter, now: Timestamp) -> PortResult<(u64, bool)> {
        let shards = (0..filter.shards).map(|shard| self.count_in(tenant, shard, filter, now));
        let counts = try_join_all(shards).await?;
        Ok((counts.iter().map(|(count, _)| count).sum(), counts.iter().all(|(_, is_all)| *is_all)))
    }

    async fn count_in(
        &self,
        tenant: &TenantId,
        shard: u8,
        filter: &Filter,
        now: Timestamp,
    ) -> PortResult<(u64, bool)> {
        let (mut count, mut start) = (0, None::<Item>);
        for _ in 0..MAX_COUNTING_QUERIES {
            let query = self
                .counting_query(tenant, shard, filter)
                .expression_attribute_values(":now", n(now.seconds()))
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(|error| Unavailable::new("counting events", error))?;
            count += u64::try_from(answer.count()).unwrap_or_default();
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok((count, true));
            }
        }
        Ok((count, false))
    }

    fn counting_query(&self, tenant: &TenantId, shard: u8, filter: &Filter) -> QueryFluentBuilder {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .select(Select::Count)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":deleted", s(Status::Deleted.as_str()))
            .expression_attribute_values(":pk", s(keys::shard(tenant, shard)))
            .expression_attribute_values(":from", s(keys::events_from(filter.since)))
            .expression_attribute_values(":to", s(keys::events_from(filter.until)));
        let heads = ["attribute_exists(deliveries)", "#ttl > :now", "#status <> :deleted"];
        narrowed(query, &heads, filter.event_type.as_ref(), filter.status)
    }

    /// The attempts of one event, by endpoint, each endpoint's in their order; no more than about `most`.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn attempts_of(
        &self,
        tenant: &TenantId,
        event: EventId,
        most: usize,
    ) -> PortResult<Vec<LoggedAttempt>> {
        let (mut attempts, mut start) = (Vec::new(), None::<Item>);
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND begins_with(sk, :attempts)")
                .expression_attribute_values(":pk", s(keys::shard(tenant, event.shard())))
                .expression_attribute_values(":attempts", s(keys::attempts_of(event)))
                .limit(i32::try_from(most).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(|error| Unavailable::new("reading attempts", error))?;
            let read: Result<Vec<_>, Unreadable> = answer.items().iter().map(attempt_log::read).collect();
            attempts.extend(read.map_err(|error| Unavailable::new("reading attempts", error))?);
            start = answer.last_evaluated_key;
            if start.is_none() || attempts.len() >= most {
                return Ok(attempts);
            }
        }
    }

    /// Looks at so many things of one shard, the oldest event first, each before its attempts; from the place on that the
    /// call before told. What has ended is left out.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn kept(
        &self,
        tenant: &TenantId,
        shard: u8,
        after: Option<&str>,
        most: usize,
        now: Timestamp,
    ) -> PortResult<ExportPage> {
        let from = after.map_or_else(|| keys::events_from(Timestamp::from_millis(0)), |sk| format!("{sk}\0"));
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk >= :from")
            .filter_expression("#ttl > :now")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", n(now.seconds()))
            .expression_attribute_values(":pk", s(keys::shard(tenant, shard)))
            .expression_attribute_values(":from", s(from))
            .limit(i32::try_from(most).unwrap_or(i32::MAX));
        let answer = query.send().await.map_err(|error| Unavailable::new("reading for an export", error))?;
        let read = |item: &Item| {
            let sk = text(item, "sk")?.to_owned();
            let kept = if is_attempt(item) {
                ExportItem::Attempt(Box::new(attempt_log::read(item)?))
            } else {
                ExportItem::Event(Box::new(head_item::found(item)?))
            };
            Ok((sk, kept))
        };
        let kept: Result<Vec<_>, Unreadable> = answer.items().iter().map(read).collect();
        let kept = kept.map_err(|error| Unavailable::new("reading for an export", error))?;
        let reached = answer.last_evaluated_key().map(|key| text(key, "sk").map(str::to_owned)).transpose();
        Ok(ExportPage {
            kept,
            looked_at: usize::try_from(answer.scanned_count()).unwrap_or(usize::MAX),
            reached: reached.map_err(|error| Unavailable::new("reading for an export", error))?,
        })
    }
}

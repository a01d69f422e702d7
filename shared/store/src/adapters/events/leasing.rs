//! Leasing from the inbox: which events are free, and which ones a lease holds.
//!
//! The sparse index tells who is free; each event's head decides. What a lease holds is written down once, after its heads
//! are: a lease whose holder was never told of it just ends.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt};

use crate::adapters::events::EventsTable;
use crate::adapters::events::page::event_of;
use crate::adapters::events::room::ResponseBudget;
use crate::adapters::item::{Item, b, bytes, item, n, s};
use crate::items::Updated;
use crate::keys;
use crate::ports::events::{Events, Found};
use crate::unavailable::{PortResult, Unavailable};
use domain::delivery::CLOCK_TOLERANCE;
use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::inbox::lease::{LeaseId, Terms};
use domain::inbox::{Head, Status};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// Heads written side by side.
const CONCURRENT_WRITES: usize = 16;

/// Payloads read side by side.
const CONCURRENT_READS: usize = 8;

/// One query looks at no more entries, however many of them are held by others.
const MAX_PAGE: usize = 2000;

/// Queries of one shard for one lease: so many events may be held by others before a free one.
const MAX_QUERIES: usize = 30;

/// What is written down of a lease is kept longer than it: its holder may ask late what became of it.
const KEEP_LEASE_SECONDS: u64 = 24 * 3600;

/// A question for events that may be leased.
#[derive(Clone, Debug)]
pub struct Candidates {
    /// How many of the tenant's shards there are.
    pub shards: u8,
    /// Only events of these types; any, where there are none.
    pub event_types: Vec<EventType>,
    /// Whether events are wanted too that a webhook delivery is still open for.
    pub include_open: bool,
    /// Of each shard about this many, unless it has fewer.
    pub of_each_shard: usize,
    /// The present moment.
    pub now: Timestamp,
}

/// What became of an attempt to lease some events.
#[derive(Debug, Default)]
pub struct Taken {
    /// Those that the lease holds now, the oldest first, with their payloads.
    pub events: Vec<(Head, String)>,
    /// Those that others were faster at.
    pub lost: Vec<EventId>,
    /// Whether the answer has no room for more.
    pub is_full: bool,
}

impl EventsTable {
    /// The oldest events of each shard that are free as far as the index knows, the oldest of all first.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn candidates(&self, tenant: &TenantId, wanted: &Candidates) -> PortResult<Vec<EventId>> {
        let shards = (0..wanted.shards).map(|shard| self.candidates_of(tenant, shard, wanted));
        let mut ids: Vec<EventId> = try_join_all(shards).await?.into_iter().flatten().collect();
        ids.sort_unstable();
        Ok(ids)
    }

    async fn candidates_of(
        &self,
        tenant: &TenantId,
        shard: u8,
        wanted: &Candidates,
    ) -> PortResult<Vec<EventId>> {
        let (mut ids, mut start, mut page) = (Vec::new(), None::<Item>, wanted.of_each_shard);
        for _ in 0..MAX_QUERIES {
            let query = self.query_candidates(tenant, shard, wanted).set_exclusive_start_key(start);
            let answer = query.limit(i32::try_from(page).unwrap_or(i32::MAX)).send().await;
            let answer = answer.map_err(|error| Unavailable::new("looking for free events", error))?;
            ids.extend(answer.items().iter().filter_map(event_of));
            start = answer.last_evaluated_key;
            if start.is_none() || ids.len() >= wanted.of_each_shard {
                break;
            }
            page = (page * 4).min(MAX_PAGE); // the oldest are held by others: look further
        }
        Ok(ids)
    }

    fn query_candidates(&self, tenant: &TenantId, shard: u8, wanted: &Candidates) -> QueryFluentBuilder {
        let open = wanted.include_open.then_some(Status::Delivering);
        let statuses = [Status::Pending, Status::Failed].into_iter().chain(open).map(Status::as_str);
        let types = wanted.event_types.iter().map(EventType::as_str);
        let (statuses, status_values) = one_of("status", statuses);
        let (types, type_values) = one_of("type", types);
        let free = "(attribute_not_exists(lease_until) OR lease_until <= :ended)";
        // The table deletes what has expired days late: it must not stand in the way of what has not.
        let kept = "#ttl > :now";
        let filters = [Some(free.to_owned()), Some(kept.to_owned()), statuses, types]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>();
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("pending")
            .key_condition_expression("pending_pk = :pk")
            .filter_expression(filters.join(" AND "))
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", n(wanted.now.seconds()))
            .expression_attribute_values(":pk", s(keys::shard(tenant, shard)))
            .expression_attribute_values(":ended", n(wanted.now.before(CLOCK_TOLERANCE).millis()));
        if !type_values.is_empty() {
            query = query.expression_attribute_names("#type", "type");
        }
        for (name, value) in status_values.into_iter().chain(type_values) {
            query = query.expression_attribute_values(name, s(value));
        }
        query
    }

    /// Leases those of these events that are still free, at most a hundred, as far as one answer has room for them: what does
    /// not fit is not leased. Where somebody else is faster at the first one, the others are left to them.
    ///
    /// # Errors
    /// When the table does not answer; some may be leased then, for as long as the terms say.
    pub async fn take(
        &self,
        tenant: &TenantId,
        ids: &[EventId],
        terms: &Terms,
        room: &mut ResponseBudget,
        now: Timestamp,
    ) -> PortResult<Taken> {
        let mut found = self.heads(tenant, ids).await?;
        found.retain(|found| found.head.is_free(terms.include_open, now));
        let is_free = |id: &EventId| found.iter().any(|found| found.head.id == *id);
        let lost = ids.iter().filter(|id| !is_free(id)).copied().collect();
        let mut taken = Taken { lost, ..Taken::default() };
        let (others, lost_before) = (found.split_off(found.len().min(1)), taken.lost.len());
        self.take_fitting(tenant, found, terms, room, now, &mut taken).await?;
        if !taken.is_full && taken.lost.len() == lost_before {
            self.take_fitting(tenant, others, terms, room, now, &mut taken).await?;
        }
        Ok(taken)
    }

    /// Leases these side by side, as far as there is room for them.
    async fn take_fitting(
        &self,
        tenant: &TenantId,
        found: Vec<Found>,
        terms: &Terms,
        room: &mut ResponseBudget,
        now: Timestamp,
        taken: &mut Taken,
    ) -> PortResult<()> {
        let (mut fitting, mut left) = (Vec::with_capacity(found.len()), room.clone());
        let reads = found.into_iter().map(|found| self.with_payload(tenant, found));
        let mut reads = stream::iter(reads).buffered(CONCURRENT_READS);
        while let Some(read) = reads.next().await {
            let Some((head, payload)) = read? else { continue };
            taken.is_full = !left.takes(&payload);
            if taken.is_full {
                break;
            }
            fitting.push((head, payload));
        }
        drop(reads);
        let leases = fitting.into_iter().map(|(head, payload)| async move {
            let Some(next) = head.lease(terms, now) else { return Ok(Err(head.id)) };
            let written = self.update(tenant, &next).await?;
            PortResult::Ok(if written == Updated::Done { Ok((next, payload)) } else { Err(head.id) })
        });
        let mut leases = stream::iter(leases).buffered(CONCURRENT_WRITES);
        while let Some(lease) = leases.next().await {
            match lease? {
                Ok((head, payload)) => {
                    let _it_fits = room.takes(&payload); // what others were faster at takes none
                    taken.events.push((head, payload));
                }
                Err(lost) => taken.lost.push(lost),
            }
        }
        Ok(())
    }

    /// Writes down which events a lease holds, to be kept until `until`; doing it twice changes nothing.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn note_lease(
        &self,
        tenant: &TenantId,
        lease: &LeaseId,
        ids: &[EventId],
        until: Timestamp,
    ) -> PortResult<()> {
        let attributes = item([
            ("pk", s(keys::lease(tenant, lease))),
            ("sk", s(keys::ONLY)),
            ("events", b(ids.iter().flat_map(|id| id.to_bytes()).collect())),
            ("ttl", n(until.seconds() + KEEP_LEASE_SECONDS)),
        ]);
        let put = self.client.put_item().table_name(&self.table).set_item(Some(attributes)).send().await;
        put.map(drop).map_err(|error| Unavailable::new("writing a lease down", error))
    }

    /// Which events a lease held when it began; none for no lease of this tenant.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn leased(&self, tenant: &TenantId, lease: &LeaseId) -> PortResult<Vec<EventId>> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let get = get.key("pk", s(keys::lease(tenant, lease))).key("sk", s(keys::ONLY)).send().await;
        let answer = get.map_err(|error| Unavailable::new("reading a lease", error))?;
        let ids = answer.item().and_then(|item| bytes(item, "events")).unwrap_or_default();
        Ok(ids.as_chunks().0.iter().map(|id| EventId::from_stored_bytes(*id)).collect())
    }

    /// The heads of these events, read consistently, without those that are not there.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn heads_of(&self, tenant: &TenantId, ids: &[EventId]) -> PortResult<Vec<Head>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.heads(tenant, ids).await?;
        Ok(found.into_iter().map(|Found { head, .. }| head).collect())
    }
}

/// The condition that an attribute is one of these, with its values; none where there are none.
fn one_of<'a>(name: &str, values: impl Iterator<Item = &'a str>) -> (Option<String>, Vec<(String, String)>) {
    let values: Vec<(String, String)> =
        values.enumerate().map(|(place, value)| (format!(":{name}{place}"), value.to_owned())).collect();
    let names: Vec<&str> = values.iter().map(|(placeholder, _)| placeholder.as_str()).collect();
    let condition = (!names.is_empty()).then(|| format!("#{name} IN ({})", names.join(", ")));
    (condition, values)
}

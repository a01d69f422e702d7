//! Leasing from the inbox: the sparse index shows which events may be free; the head of each event decides.
//!
//! Which events a lease holds is written down once, after the heads. A lease that was not written down ends by itself: its holder never
//! got its id.

use domain::delivery::CLOCK_TOLERANCE;
use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::inbox::lease::{LeaseId, LeaseTerms};
use domain::inbox::{Head, Status};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt};

use super::Events;
use super::attempt_item::event_of;
use super::budget::ResponseBudget;
use super::head_item::Found;
use crate::item::{Item, Key};
use crate::items::Updated;
use crate::keys;
use crate::ports::Ports;
use crate::table::condition::{Condition, absent, at_most, greater, is_in};
use crate::table::query::{Index, Query};
use crate::unavailable::PortResult;

/// Heads written side by side.
const CONCURRENT_WRITES: usize = 16;

/// Payloads read side by side.
const CONCURRENT_READS: usize = 8;

/// The most entries that one query reads, however many of them are leased.
const MAX_PAGE: usize = 2000;

/// Queries of one shard for one lease: so many pages of leased events may come before a free one.
const MAX_QUERIES: usize = 30;

/// What a lease holds is kept for this long after it ends: its holder may ask late what became of it.
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

impl Candidates {
    /// Returns the condition that an entry of the index may be leased.
    fn condition(&self) -> Condition {
        let open = self.include_open.then_some(Status::Delivering);
        let statuses = [Status::Pending, Status::Failed].into_iter().chain(open).map(Status::as_str);
        let lease_ended = self.now.before(CLOCK_TOLERANCE);
        let of_types = (!self.event_types.is_empty())
            .then(|| is_in("type", self.event_types.iter().map(EventType::as_str)));
        absent("lease_until")
            .or(at_most("lease_until", lease_ended))
            .and(greater("ttl", self.now.seconds())) // time to live deletes an expired event days later
            .and(is_in("status", statuses))
            .and_some(of_types)
    }
}

impl<P: Ports> Events<P> {
    /// Returns the oldest events of each shard that are free as far as the index shows, the oldest of all first.
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
        let query = Query::of_index(Index::Pending, keys::shard(tenant, shard)).filter(wanted.condition());
        let mut ids = Vec::new();
        let mut start = None;
        let mut limit = wanted.of_each_shard;
        for _ in 0..MAX_QUERIES {
            let page = self.items.page(query.clone().limit(limit).from(start)).await?;
            ids.extend(page.items.iter().filter_map(event_of));
            start = page.next;
            if start.is_none() || ids.len() >= wanted.of_each_shard {
                break;
            }
            limit = (limit * 4).min(MAX_PAGE); // the oldest events are leased: read further
        }
        Ok(ids)
    }

    /// Leases those of these events that are still free, at most a hundred, as many as fit into one response: an event that does not
    /// fit is not leased. Where another consumer is faster at the first one, leaves the others to it.
    ///
    /// # Errors
    /// When the table does not answer; some may be leased then, until the terms end.
    pub async fn take(
        &self,
        tenant: &TenantId,
        ids: &[EventId],
        terms: &LeaseTerms,
        budget: &mut ResponseBudget,
        now: Timestamp,
    ) -> PortResult<Taken> {
        let mut free = self.heads(tenant, ids).await?;
        free.retain(|found| found.head.is_free(terms.include_open, now));
        let is_free = |id: &EventId| free.iter().any(|found| found.head.id == *id);
        let lost = ids.iter().filter(|id| !is_free(id)).copied().collect();
        let mut taken = Taken { lost, ..Taken::default() };
        let others = free.split_off(free.len().min(1));
        let lost_before = taken.lost.len();
        self.take_fitting(tenant, free, terms, budget, now, &mut taken).await?;
        if !taken.is_full && taken.lost.len() == lost_before {
            self.take_fitting(tenant, others, terms, budget, now, &mut taken).await?;
        }
        Ok(taken)
    }

    /// Leases these events side by side, as many as fit.
    async fn take_fitting(
        &self,
        tenant: &TenantId,
        found: Vec<Found>,
        terms: &LeaseTerms,
        budget: &mut ResponseBudget,
        now: Timestamp,
        taken: &mut Taken,
    ) -> PortResult<()> {
        // Step 1: read payloads until the response is full. The copy of the budget counts what is about to be leased.
        let mut fitting = Vec::with_capacity(found.len());
        let mut planned = budget.clone();
        let reads = found.into_iter().map(|found| self.with_payload(tenant, found));
        let mut reads = stream::iter(reads).buffered(CONCURRENT_READS);
        while let Some(read) = reads.next().await {
            let Some((head, payload)) = read? else { continue };
            taken.is_full = !planned.takes(&payload);
            if taken.is_full {
                break;
            }
            fitting.push((head, payload));
        }
        drop(reads);
        // Step 2: lease each. An event that another consumer was faster at takes nothing of the real budget.
        let leases = fitting.into_iter().map(|(head, payload)| async move {
            let Some(next) = head.lease(terms, now) else { return Ok(Err(head.id)) };
            match self.update(tenant, &next).await? {
                Updated::Done => PortResult::Ok(Ok((next, payload))),
                Updated::Raced => Ok(Err(head.id)),
            }
        });
        let mut leases = stream::iter(leases).buffered(CONCURRENT_WRITES);
        while let Some(lease) = leases.next().await {
            match lease? {
                Ok((head, payload)) => {
                    budget.takes(&payload);
                    taken.events.push((head, payload));
                }
                Err(lost) => taken.lost.push(lost),
            }
        }
        Ok(())
    }

    /// Writes down which events a lease holds, to be kept until a day after `until`. Doing it twice changes nothing.
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
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_bytes()).collect();
        let item =
            Item::from([("events", bytes.into()), ("ttl", (until.seconds() + KEEP_LEASE_SECONDS).into())]);
        self.items.put(item.at(key(tenant, lease))).await
    }

    /// Returns which events a lease held when it began; none for a lease that is not of this tenant.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn leased(&self, tenant: &TenantId, lease: &LeaseId) -> PortResult<Vec<EventId>> {
        let Some(item) = self.items.get(key(tenant, lease)).await? else { return Ok(Vec::new()) };
        let ids = item.bytes("events")?;
        Ok(ids.as_chunks().0.iter().map(|id| EventId::from_stored_bytes(*id)).collect())
    }
}

fn key(tenant: &TenantId, lease: &LeaseId) -> Key {
    Key::new(keys::lease(tenant, lease), keys::ONLY)
}

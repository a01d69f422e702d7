//! Leases of events in the inbox. The sparse index shows which events may be free, and a conditional update of the head
//! leases an event.
//!
//! The list of the events of a lease is stored after the heads are updated. If that fails, the client gets no lease id,
//! and the lease expires.

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
use crate::table::condition::{Condition, absent_or_at_most, greater, is_in};
use crate::table::query::{Index, Query};
use crate::unavailable::PortResult;

/// The number of heads that are written at the same time.
const CONCURRENT_WRITES: usize = 16;

/// The number of payloads that are read at the same time.
const CONCURRENT_READS: usize = 8;

/// The maximum number of index entries that one query reads.
const MAX_PAGE_ENTRIES: usize = 2000;

/// The maximum number of queries of one shard for one lease. The first pages may hold only leased events.
const MAX_QUERIES: usize = 30;

/// How long the list of a lease is kept after the lease ends, in seconds. A late request about an expired lease still
/// finds it.
const KEEP_LIST_SECONDS: u64 = 24 * 3600;

/// A query for events that may be leased.
#[derive(Clone, Debug)]
pub struct Candidates {
    /// The number of the tenant's shards.
    pub shards: u8,
    /// Only events of these types; events of all types if it is empty.
    pub event_types: Vec<EventType>,
    /// Whether to include events with an open webhook delivery.
    pub include_open: bool,
    /// The number of events to find in each shard, approximately.
    pub of_each_shard: usize,
    /// The present time.
    pub now: Timestamp,
}

/// The result of leasing some events.
#[derive(Debug, Default)]
pub struct LeasedEvents {
    /// The events of the lease, oldest first, with their payloads.
    pub events: Vec<(Head, String)>,
    /// The events that another consumer leased first.
    pub lost: Vec<EventId>,
    /// Whether the response is full.
    pub is_full: bool,
}

/// Events that are free, and their heads.
#[derive(Debug)]
pub struct FreeEvents {
    found: Vec<Found>,
    /// The events that another consumer leased first.
    lost: Vec<EventId>,
}

impl FreeEvents {
    /// Returns the events of which a lease on these terms is the last allowed one.
    #[must_use]
    pub fn at_last_lease(&self, terms: &LeaseTerms, now: Timestamp) -> Vec<EventId> {
        let last = self.found.iter().filter(|found| found.head.has_last_lease(terms, now));
        last.map(|found| found.head.id).collect()
    }
}

impl Candidates {
    /// Returns the condition that an event may be leased, for an entry of the index.
    fn condition(&self) -> Condition {
        let mut statuses = vec![Status::Pending.as_str(), Status::Failed.as_str()];
        if self.include_open {
            statuses.push(Status::Delivering.as_str());
        }
        let lease_ended = self.now.before(CLOCK_TOLERANCE);
        let types = self.event_types.iter().map(EventType::as_str);
        let of_types = (!self.event_types.is_empty()).then(|| is_in("type", types));
        absent_or_at_most("lease_until", lease_ended)
            .and(greater("ttl", self.now.seconds())) // time to live deletes an expired event days later
            .and(is_in("status", statuses))
            .and_some(of_types)
    }
}

impl<P: Ports> Events<P> {
    /// Returns the oldest events of each shard that are free according to the index, oldest first.
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
            limit = (limit * 4).min(MAX_PAGE_ENTRIES); // many of the oldest events are leased: read larger pages
        }
        Ok(ids)
    }

    /// Reads the heads of at most a hundred events, and leaves out the events that are leased already.
    pub async fn free(
        &self,
        tenant: &TenantId,
        ids: &[EventId],
        terms: &LeaseTerms,
        now: Timestamp,
    ) -> PortResult<FreeEvents> {
        let mut found = self.heads(tenant, ids).await?;
        found.retain(|found| found.head.is_free(terms.include_open, now));
        let is_free = |id: &EventId| found.iter().any(|found| found.head.id == *id);
        let lost = ids.iter().filter(|id| !is_free(id)).copied().collect();
        Ok(FreeEvents { found, lost })
    }

    /// Leases the events that are still free. Leases only events that fit into the response. If another consumer leases
    /// the first event at the same time, leaves the other events to that consumer.
    ///
    /// # Errors
    /// When the table does not answer. Some events may be leased then, until the lease ends.
    pub async fn lease(
        &self,
        tenant: &TenantId,
        FreeEvents { found: mut free, lost }: FreeEvents,
        terms: &LeaseTerms,
        budget: &mut ResponseBudget,
        now: Timestamp,
    ) -> PortResult<LeasedEvents> {
        // Lease the first event alone, then all others. If the first one is lost, another consumer works on the same list: two
        // consumers that go on would each get half of it, and each would pay for the lost half.
        let lost_before = lost.len();
        let mut leased = LeasedEvents { lost, ..LeasedEvents::default() };
        let others = free.split_off(free.len().min(1));
        self.lease_fitting(tenant, free, terms, budget, now, &mut leased).await?;
        if !leased.is_full && leased.lost.len() == lost_before {
            self.lease_fitting(tenant, others, terms, budget, now, &mut leased).await?;
        }
        Ok(leased)
    }

    /// Reads payloads until the response is full; returns the events that fit, and whether the response is full.
    async fn read_fitting(
        &self,
        tenant: &TenantId,
        found: Vec<Found>,
        mut budget: ResponseBudget,
    ) -> PortResult<(Vec<(Head, String)>, bool)> {
        let mut fitting = Vec::with_capacity(found.len());
        let with_payloads = found.into_iter().map(|found| self.with_payload(tenant, found));
        let mut reads = stream::iter(with_payloads).buffered(CONCURRENT_READS);
        while let Some(read) = reads.next().await {
            let Some((head, payload)) = read? else { continue };
            if !budget.takes(&payload) {
                return Ok((fitting, true));
            }
            fitting.push((head, payload));
        }
        Ok((fitting, false))
    }

    /// Leases as many of these events as fit into the response.
    async fn lease_fitting(
        &self,
        tenant: &TenantId,
        found: Vec<Found>,
        terms: &LeaseTerms,
        budget: &mut ResponseBudget,
        now: Timestamp,
        leased: &mut LeasedEvents,
    ) -> PortResult<()> {
        // 1. Read the payloads that fit. This uses a copy of the budget, because another consumer may lease an event first.
        let (fitting, is_full) = self.read_fitting(tenant, found, budget.clone()).await?;
        leased.is_full = is_full;

        // 2. Lease each event. Only an event that is leased takes bytes of the real budget.
        let with_leases = fitting.into_iter().map(|(head, payload)| async move {
            let Some(next) = head.lease(terms, now) else { return Ok(Err(head.id)) };
            match self.update(tenant, &next).await? {
                Updated::Done => PortResult::Ok(Ok((next, payload))),
                Updated::Raced => Ok(Err(head.id)),
            }
        });
        let mut updates = stream::iter(with_leases).buffered(CONCURRENT_WRITES);
        while let Some(update) = updates.next().await {
            match update? {
                Ok((head, payload)) => {
                    budget.takes(&payload);
                    leased.events.push((head, payload));
                }
                Err(lost) => leased.lost.push(lost),
            }
        }
        Ok(())
    }

    /// Stores the list of the events of a lease, until one day after `until`. Storing it twice has the same effect as
    /// once.
    pub async fn record_lease(
        &self,
        tenant: &TenantId,
        lease: &LeaseId,
        ids: &[EventId],
        until: Timestamp,
    ) -> PortResult<()> {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_bytes()).collect();
        let item =
            Item::from([("events", bytes.into()), ("ttl", (until.seconds() + KEEP_LIST_SECONDS).into())]);
        self.items.put(item.at(key(tenant, lease))).await
    }

    /// Returns the events that a lease held when it began. The list is empty if the tenant has no such lease.
    pub async fn events_of_lease(&self, tenant: &TenantId, lease: &LeaseId) -> PortResult<Vec<EventId>> {
        let Some(item) = self.items.get(key(tenant, lease)).await? else { return Ok(Vec::new()) };
        let ids = item.bytes("events")?;
        Ok(ids.as_chunks().0.iter().map(|id| EventId::from_stored_bytes(*id)).collect())
    }
}

fn key(tenant: &TenantId, lease: &LeaseId) -> Key {
    Key::new(keys::lease(tenant, lease), keys::ONLY)
}

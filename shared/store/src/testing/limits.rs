//! The table `Limits` in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::yield_now;

use crate::keys;
use crate::ports::limits::{Counts, Limits, QueueName, Wait};
use crate::testing::faults::Faults;
use crate::unavailable::PortResult;
use domain::endpoint::id::EndpointId;
use domain::endpoint::pace::Span;
use domain::tenant::backlog::Backlog;
use domain::tenant::id::TenantId;
use domain::tenant::rate_limit::{Leased, Meter};
use domain::tenant::stats::Stats;

/// The table `Limits` in memory.
#[derive(Clone, Default)]
pub struct MemoryLimits {
    faults: Faults,
    taken: Arc<Mutex<HashMap<(Meter, u64), u32>>>,
    counts: Arc<Mutex<Counts>>,
    waits: Arc<Mutex<Vec<Wait>>>,
    backlogs: Arc<Mutex<HashMap<TenantId, Backlog>>>,
    stats: Arc<Mutex<BTreeMap<(TenantId, u64), Stats>>>,
    lines: Arc<Mutex<HashMap<(TenantId, EndpointId), u64>>>,
    places: Arc<Mutex<HashMap<String, u32>>>,
}

impl MemoryLimits {
    /// An empty table whose calls may go wrong.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }

    /// What was counted so far.
    #[must_use]
    pub fn counted(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limits for MemoryLimits {
    async fn lease(&self, meter: &Meter, minute: u64, slice: u32, limit: u32) -> PortResult<Leased> {
        yield_now().await;
        self.faults.call("leasing tokens", || {
            let mut all = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = all.entry((meter.clone(), minute)).or_default();
            if *taken + slice > limit {
                return Leased::Exhausted { left: limit.saturating_sub(*taken) };
            }
            *taken += slice;
            Leased::Granted { taken: *taken }
        })
    }

    async fn queue_up(&self, tenant: &TenantId, endpoint: &EndpointId, span: Span) -> PortResult<u64> {
        yield_now().await;
        self.faults.call("queueing up", || {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let busy_until = lines.entry((tenant.clone(), endpoint.clone())).or_default();
            let begin = (*busy_until).max(span.earliest);
            *busy_until = begin + span.length;
            begin
        })
    }

    async fn enter(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        minute: u64,
        wanted: u32,
        most: u32,
    ) -> PortResult<u32> {
        yield_now().await;
        self.faults.call("taking places", || {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            let held = places.entry(keys::under_way(tenant, endpoint, minute)).or_default();
            let ours = wanted.min(most.saturating_sub(*held));
            *held += ours;
            ours
        })
    }

    async fn leave(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        minute: u64,
        count: u32,
    ) -> PortResult<()> {
        yield_now().await;
        self.faults.call("giving places back", || {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            let held = places.entry(keys::under_way(tenant, endpoint, minute)).or_default();
            *held = held.saturating_sub(count);
        })
    }

    async fn wait(&self, queue: QueueName) -> PortResult<Option<Wait>> {
        yield_now().await;
        self.faults.call("reading a wait", || {
            let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
            waits.iter().filter(|wait| wait.queue == queue).max_by_key(|wait| wait.at).copied()
        })
    }

    async fn change_backlog(&self, tenant: &TenantId, change: &Backlog) -> PortResult<()> {
        yield_now().await;
        self.faults.call("changing a backlog", || {
            let mut backlogs = self.backlogs.lock().unwrap_or_else(PoisonError::into_inner);
            let backlog = backlogs.entry(tenant.clone()).or_default();
            *backlog = std::mem::take(backlog).plus(change);
        })
    }

    async fn purge(&self, tenant: &TenantId) -> PortResult<usize> {
        yield_now().await;
        self.faults.call("forgetting counters", || {
            let mut backlogs = self.backlogs.lock().unwrap_or_else(PoisonError::into_inner);
            let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
            let before = stats.len();
            stats.retain(|(owner, _), _| owner != tenant);
            backlogs.remove(tenant).map_or(0, |backlog| backlog.days().count()) + before - stats.len()
        })
    }

    async fn backlog(&self, tenant: &TenantId) -> PortResult<Backlog> {
        yield_now().await;
        self.faults.call("reading a backlog", || {
            let backlogs = self.backlogs.lock().unwrap_or_else(PoisonError::into_inner);
            backlogs.get(tenant).cloned().unwrap_or_default()
        })
    }

    async fn note_stats(&self, tenant: &TenantId, minute: u64, stats: &Stats) -> PortResult<()> {
        yield_now().await;
        self.faults.call("counting for a tenant", || {
            let mut all = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
            let sum = all.entry((tenant.clone(), minute)).or_default();
            *sum = std::mem::take(sum).plus(stats);
        })
    }

    async fn stats(&self, tenant: &TenantId, first: u64, last: u64) -> PortResult<Stats> {
        yield_now().await;
        self.faults.call("reading stats", || {
            let all = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
            let minutes = all.range((tenant.clone(), first)..=(tenant.clone(), last));
            minutes.fold(Stats::default(), |sum, (_, stats)| sum.plus(stats))
        })
    }

    async fn count(&self, counts: Counts, wait: Option<Wait>) -> PortResult<()> {
        yield_now().await;
        self.faults.call("counting", || {
            self.waits.lock().unwrap_or_else(PoisonError::into_inner).extend(wait);
            let mut sum = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            *sum = sum.plus(counts);
        })
    }
}

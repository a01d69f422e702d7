//! The table `Control` in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::yield_now;

use crate::items::Updated;
use crate::ports::control::{Control, TenantSettings};
use crate::testing::faults::Faults;
use crate::unavailable::PortResult;
use domain::endpoint::health::Change;
use domain::endpoint::id::EndpointId;
use domain::endpoint::{Endpoint, EndpointState};
use domain::job::JobId;
use domain::tenant::api_key::{KeyHash, KeyRecord, NOTE_USE_EVERY};
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::testing::erasure_id;
use domain::timestamp::Timestamp;

/// The table `Control` in memory.
#[derive(Clone, Default)]
pub struct MemoryControl {
    faults: Faults,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    keys: HashMap<KeyHash, KeyRecord>,
    endpoints: BTreeMap<(TenantId, EndpointId), Endpoint>,
    reads_of_keys: usize,
    noted_uses: Vec<Timestamp>,
    retention_days: HashMap<TenantId, u16>,
    erased: HashMap<TenantId, JobId>,
}

impl State {
    fn endpoints_of(&self, tenant: &TenantId) -> Vec<Endpoint> {
        let own = self.endpoints.iter().filter(|((owner, _), _)| owner == tenant);
        own.map(|(_, endpoint)| endpoint.clone()).collect()
    }
}

impl MemoryControl {
    /// An empty table whose calls may go wrong.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }

    /// Puts a key.
    pub fn put_key(&self, hash: KeyHash, record: KeyRecord) {
        self.state().keys.insert(hash, record);
    }

    /// Deletes a key.
    pub fn delete_key(&self, hash: &KeyHash) {
        self.state().keys.remove(hash);
    }

    /// How often a key was read.
    #[must_use]
    pub fn reads_of_keys(&self) -> usize {
        self.state().reads_of_keys
    }

    /// When the use of a key was noted.
    #[must_use]
    pub fn noted_uses(&self) -> Vec<Timestamp> {
        self.state().noted_uses.clone()
    }

    /// Puts an endpoint.
    pub fn put_endpoint(&self, tenant: &TenantId, endpoint: Endpoint) {
        self.state().endpoints.insert((tenant.clone(), endpoint.id.clone()), endpoint);
    }

    /// Changes an endpoint as its owner would.
    pub fn change_endpoint(&self, tenant: &TenantId, id: &EndpointId, change: impl FnOnce(&mut Endpoint)) {
        if let Some(endpoint) = self.state().endpoints.get_mut(&(tenant.clone(), id.clone())) {
            change(endpoint);
        }
    }

    /// Deletes an endpoint.
    pub fn delete_endpoint(&self, tenant: &TenantId, id: &EndpointId) {
        self.state().endpoints.remove(&(tenant.clone(), id.clone()));
    }

    /// Sets how many days a tenant wants its events kept.
    pub fn set_retention_days(&self, tenant: &TenantId, days: u16) {
        self.state().retention_days.insert(tenant.clone(), days);
    }

    /// Marks a tenant as erased.
    pub fn erase(&self, tenant: &TenantId) {
        self.state().erased.insert(tenant.clone(), erasure_id());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control for MemoryControl {
    async fn key(&self, hash: &KeyHash) -> PortResult<Option<KeyRecord>> {
        yield_now().await;
        self.faults.call("reading a key", || {
            let mut state = self.state();
            state.reads_of_keys += 1;
            state.keys.get(hash).cloned()
        })
    }

    async fn note_use(&self, tenant: &TenantId, key_id: &str, now: Timestamp) -> PortResult<()> {
        yield_now().await;
        self.faults.call("noting a use", || {
            let State { keys, noted_uses, .. } = &mut *self.state();
            let key = keys.values_mut().find(|key| key.tenant == *tenant && key.id == key_id);
            let due =
                |key: &&mut KeyRecord| key.last_used_at.is_none_or(|at| now.since(at) >= NOTE_USE_EVERY);
            if let Some(key) = key.filter(due) {
                key.last_used_at = Some(now);
                noted_uses.push(now);
            }
        })
    }

    async fn standing(&self, tenant: &TenantId) -> PortResult<TenantSettings> {
        yield_now().await;
        self.faults.call("reading a tenant's standing", || {
            let state = self.state();
            TenantSettings {
                endpoints: state.endpoints_of(tenant),
                retention_days: state.retention_days.get(tenant).copied(),
                is_erased: state.erased.contains_key(tenant),
            }
        })
    }

    async fn endpoints(&self, tenant: &TenantId) -> PortResult<Vec<Endpoint>> {
        yield_now().await;
        self.faults.call("reading endpoints", || self.state().endpoints_of(tenant))
    }

    async fn endpoint(&self, tenant: &TenantId, id: &EndpointId) -> PortResult<Option<Endpoint>> {
        yield_now().await;
        self.faults.call("reading an endpoint", || {
            self.state().endpoints.get(&(tenant.clone(), id.clone())).cloned()
        })
    }

    async fn change_health(
        &self,
        tenant: &TenantId,
        seen: &Endpoint,
        change: &Change,
    ) -> PortResult<Updated> {
        yield_now().await;
        self.faults.call("noting an endpoint's health", || {
            let mut state = self.state();
            let as_seen =
                |found: &&mut Endpoint| found.url == seen.url && found.health.rev == seen.health.rev;
            let found = state.endpoints.get_mut(&(tenant.clone(), seen.id.clone())).filter(as_seen);
            let Some(endpoint) = found else { return Updated::Raced };
            endpoint.health = change.health.clone();
            if change.disables {
                endpoint.state = EndpointState::Disabled;
            }
            Updated::Done
        })
    }

    async fn mark_erased(&self, tenant: &TenantId, job: &JobId, _: Timestamp) -> PortResult<JobId> {
        yield_now().await;
        self.faults.call("marking a tenant", || {
            self.state().erased.entry(tenant.clone()).or_insert_with(|| job.clone()).clone()
        })
    }

    async fn purge(&self, tenant: &TenantId) -> PortResult<usize> {
        yield_now().await;
        self.faults.call("erasing a tenant", || {
            let State { keys, endpoints, retention_days, .. } = &mut *self.state();
            let before = keys.len() + endpoints.len();
            keys.retain(|_, key| key.tenant != *tenant);
            endpoints.retain(|(owner, _), _| owner != tenant);
            retention_days.remove(tenant);
            before - keys.len() - endpoints.len()
        })
    }

    async fn tier(&self, tenant: &TenantId) -> PortResult<Option<Tier>> {
        yield_now().await;
        self.faults.call("reading a tenant", || {
            let state = self.state();
            let key = state.keys.values().find(|key| key.tenant == *tenant);
            key.filter(|_| !state.erased.contains_key(tenant)).map(|key| key.tier)
        })
    }
}

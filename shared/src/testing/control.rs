//! The table `Control` in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::yield_now;

use super::faults::Faults;
use crate::api_key::{KeyHash, KeyRecord};
use crate::endpoint::{Endpoint, EndpointId, EndpointState};
use crate::ports::{Control, PortResult};
use crate::tenant::TenantId;

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

    /// Puts an endpoint.
    pub fn put_endpoint(&self, tenant: &TenantId, endpoint: Endpoint) {
        self.state().endpoints.insert((tenant.clone(), endpoint.id.clone()), endpoint);
    }

    /// Deletes an endpoint.
    pub fn delete_endpoint(&self, tenant: &TenantId, id: &EndpointId) {
        self.state().endpoints.remove(&(tenant.clone(), id.clone()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control for MemoryControl {
    async fn key(&self, hash: &KeyHash) -> PortResult<Option<KeyRecord>> {
        yield_now().await;
        self.faults.call("reading a key", || self.state().keys.get(hash).cloned())
    }

    async fn endpoints(&self, tenant: &TenantId) -> PortResult<Vec<Endpoint>> {
        yield_now().await;
        self.faults.call("reading endpoints", || {
            let state = self.state();
            let own = state.endpoints.iter().filter(|((owner, _), _)| owner == tenant);
            own.map(|(_, endpoint)| endpoint.clone()).collect()
        })
    }

    async fn endpoint(&self, tenant: &TenantId, id: &EndpointId) -> PortResult<Option<Endpoint>> {
        yield_now().await;
        self.faults.call("reading an endpoint", || {
            self.state().endpoints.get(&(tenant.clone(), id.clone())).cloned()
        })
    }

    async fn disable(&self, tenant: &TenantId, seen: &Endpoint) -> PortResult<()> {
        yield_now().await;
        self.faults.call("disabling an endpoint", || {
            let mut state = self.state();
            let found = state.endpoints.get_mut(&(tenant.clone(), seen.id.clone()));
            if let Some(endpoint) = found.filter(|endpoint| endpoint.url == seen.url) {
                endpoint.state = EndpointState::Disabled;
            }
        })
    }
}

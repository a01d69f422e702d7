//! The turns in which the attempts of one instance change the health of an endpoint. The failures of a batch end together: without
//! turns each would read the same health, and all but one of their conditional writes would lose and be billed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::delivery::DeliveryMessage;
use domain::endpoint::Endpoint;
use domain::endpoint::id::EndpointId;
use domain::tenant::id::TenantId;
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

/// The longest wait for a turn. After it, an attempt writes without one: the write is conditional in any case.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// What the last turn left: the endpoint with its newest health.
type Latest = Arc<tokio::sync::Mutex<Option<Endpoint>>>;

/// The turns of this instance. An endpoint is forgotten when no attempt waits for its turn.
#[derive(Default)]
pub(crate) struct HealthTurns(Mutex<HashMap<(TenantId, EndpointId), Latest>>);

/// A turn. It ends when it is dropped.
pub(crate) struct Turn(Option<OwnedMutexGuard<Option<Endpoint>>>);

impl HealthTurns {
    /// Waits for a turn.
    pub(crate) async fn take(&self, message: &DeliveryMessage) -> Turn {
        let latest = self.latest(message);
        Turn(timeout(MAX_WAIT, latest.lock_owned()).await.ok())
    }

    fn latest(&self, message: &DeliveryMessage) -> Latest {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, latest| Arc::strong_count(latest) > 1);
        let key = (message.tenant.clone(), message.endpoint.clone());
        Arc::clone(all.entry(key).or_default())
    }
}

impl Turn {
    /// Returns the endpoint that the turn before this one left, if it is newer than `read` and has the same settings.
    pub(crate) fn newer_than(&self, read: &Endpoint) -> Option<Endpoint> {
        let latest = self.0.as_ref()?.as_ref()?;
        let is_newer = latest.rev == read.rev && latest.health.rev > read.health.rev;
        is_newer.then(|| latest.clone())
    }

    /// Leaves the endpoint to the next turn.
    pub(crate) fn leave(&mut self, endpoint: &Endpoint) {
        if let Some(latest) = &mut self.0 {
            **latest = Some(endpoint.clone());
        }
    }
}

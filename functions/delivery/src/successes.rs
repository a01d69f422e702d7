//! The successes that this instance has counted at each endpoint and that no write of a health carries yet. A success alone
//! writes nothing, but the circuit breaker must know how many attempts succeeded between two failures.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::delivery::DeliveryMessage;
use domain::endpoint::health::window::Window;
use domain::endpoint::id::EndpointId;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// The largest number of endpoints whose successes are counted.
const MAX_ENDPOINTS: usize = 1000;

/// The successes of the last minutes, by endpoint.
#[derive(Default)]
pub(crate) struct Successes(Mutex<HashMap<(TenantId, EndpointId), Window>>);

impl Successes {
    /// Counts a success at the endpoint of this message.
    pub(crate) fn count(&self, message: &DeliveryMessage, now: Timestamp) {
        let mut windows = self.windows();
        let key = key_of(message);
        if windows.len() >= MAX_ENDPOINTS && !windows.contains_key(&key) {
            windows.retain(|_, window| !window.is_over(now));
        }
        if windows.len() < MAX_ENDPOINTS || windows.contains_key(&key) {
            windows.entry(key).or_default().count_success(now);
        }
    }

    /// Returns the successes that were counted at the endpoint of this message.
    pub(crate) fn at(&self, message: &DeliveryMessage) -> Window {
        self.windows().get(&key_of(message)).cloned().unwrap_or_default()
    }

    /// Removes successes that a write carried.
    pub(crate) fn remove(&self, message: &DeliveryMessage, written: &Window) {
        let mut windows = self.windows();
        if let Some(window) = windows.get_mut(&key_of(message)) {
            window.remove_successes(written);
            if window.minutes.is_empty() {
                windows.remove(&key_of(message));
            }
        }
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<(TenantId, EndpointId), Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of(message: &DeliveryMessage) -> (TenantId, EndpointId) {
    (message.tenant.clone(), message.endpoint.clone())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::delivery::Bypass;
    use domain::delivery::run::Run;
    use domain::event::id::EventId;
    use domain::testing::{START, endpoint, tenant};

    use super::*;

    fn message(tenant: &TenantId) -> DeliveryMessage {
        DeliveryMessage {
            tenant: tenant.clone(),
            event: EventId::generate(START, 1, &mut rand::rng()),
            endpoint: endpoint(1).id,
            run: Run::Original,
            n: 1,
            fresh: false,
            bypass: Bypass::None,
            units: 0,
            has_waited: false,
            counts_event: false,
            trace: None,
        }
    }

    #[test]
    fn the_number_of_endpoints_is_bounded_and_old_successes_make_room() {
        let successes = Successes::default();
        for _ in 0..MAX_ENDPOINTS {
            successes.count(&message(&tenant()), START);
        }
        let late = message(&tenant());
        successes.count(&late, START);
        assert_eq!(successes.at(&late), Window::default());
        successes.count(&late, START.after(Duration::from_mins(5)));
        let counted = successes.at(&late);
        assert_eq!((counted.minutes.len(), successes.windows().len()), (1, 1));
        successes.remove(&late, &counted);
        assert!(successes.windows().is_empty());
    }
}

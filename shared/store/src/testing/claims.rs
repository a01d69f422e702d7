//! The table `Claims` in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::yield_now;

use crate::keys;
use crate::ports::Claims;
use crate::testing::faults::Faults;
use crate::unavailable::PortResult;
use domain::event::claim::{Claim, ClaimName, Claimed};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// The table `Claims` in memory.
#[derive(Clone, Default)]
pub struct MemoryClaims {
    faults: Faults,
    held: Arc<Mutex<HashMap<String, Claim>>>,
}

impl MemoryClaims {
    /// An empty table whose calls may go wrong.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }
}

impl Claims for MemoryClaims {
    async fn claim(
        &self,
        tenant: &TenantId,
        name: &ClaimName,
        ours: &Claim,
        now: Timestamp,
    ) -> PortResult<Claimed> {
        yield_now().await;
        self.faults.call("claiming", || {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let key = keys::claim(tenant, name);
            if let Some(live) = held.get(&key).filter(|claim| claim.is_live(now)) {
                return Claimed::decide(live, ours);
            }
            held.insert(key, *ours);
            Claimed::First
        })
    }
}

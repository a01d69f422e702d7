//! The table `Limits` in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::yield_now;

use super::faults::Faults;
use crate::ports::{Counts, Limits, PortResult, Wait};
use crate::rate_limit::{Leased, Meter};

/// The table `Limits` in memory.
#[derive(Clone, Default)]
pub struct MemoryLimits {
    faults: Faults,
    taken: Arc<Mutex<HashMap<(Meter, u64), u32>>>,
    counts: Arc<Mutex<Counts>>,
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

    async fn count(&self, counts: Counts, _: Option<Wait>) -> PortResult<()> {
        yield_now().await;
        self.faults.call("counting", || {
            let mut sum = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            *sum = sum.plus(counts);
        })
    }
}

//! The read units that one request may spend on a search in all shards of a tenant together.

use std::sync::atomic::{AtomicU64, Ordering};

/// The read units, counted in halves: five pages of 1 MB, read consistently.
const MAX_HALF_UNITS: u64 = 2 * 5 * 256;

/// What the queries of one request have spent.
#[derive(Debug, Default)]
pub(crate) struct ReadBudget(AtomicU64);

impl ReadBudget {
    /// Adds the cost of a query; returns whether another query may begin.
    pub(crate) fn spend(&self, half_units: u64) -> bool {
        self.0.fetch_add(half_units, Ordering::Relaxed) + half_units < MAX_HALF_UNITS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_query_may_begin_until_the_budget_is_spent() {
        let budget = ReadBudget::default();
        assert!(budget.spend(0) && budget.spend(MAX_HALF_UNITS - 1));
        assert!(!budget.spend(1) && !budget.spend(0));
    }
}

//! The five tables in memory. Tests read and change them directly, without the conditions of the stores.

mod control;
mod events;
mod schedule;

use super::faults::Faults;
use super::table::MemoryTable;
use crate::keys;
use crate::limits::counters::Counts;

/// The five tables. Clones share the items.
#[derive(Clone, Default)]
pub struct MemoryTables {
    /// Tenants, API keys and endpoints.
    pub control: MemoryTable,
    /// Tokens and counters.
    pub limits: MemoryTable,
    /// The names of events.
    pub claims: MemoryTable,
    /// Heads, payloads and attempts.
    pub events: MemoryTable,
    /// Rows that are due later.
    pub schedule: MemoryTable,
}

impl MemoryTables {
    /// Returns five empty tables whose calls fail as `faults` plans.
    #[must_use]
    pub fn new(faults: &Faults) -> Self {
        let table = || MemoryTable::new(faults.clone());
        Self { control: table(), limits: table(), claims: table(), events: table(), schedule: table() }
    }

    /// Returns the counters of `/metrics`.
    #[must_use]
    pub fn counted(&self) -> Counts {
        let items = self.limits.items();
        let counters =
            items.iter().filter(|item| item.text("pk").is_ok_and(|pk| pk.starts_with(keys::COUNTERS)));
        counters.map(Counts::read).fold(Counts::default(), Counts::plus)
    }
}

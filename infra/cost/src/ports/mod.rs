//! The ports of the meter: those in memory, which take the time of the model ([`crate::latency`]) and record each call.

pub mod queue;
pub mod table;
pub mod vault;
pub mod webhooks;

use std::collections::BTreeMap;

use store::ports::Ports;
use store::testing::faults::Faults;
use store::testing::memory::{CLAIMS, CONTROL, EVENTS, LIMITS, QUEUES, SCHEDULE, table_named};
use store::testing::table::MemoryTable;
use store::testing::tables::MemoryTables;

use self::queue::MeteredQueue;
use self::table::MeteredTable;
use self::vault::MeteredVault;
use self::webhooks::MeteredWebhooks;
use crate::clock::SimulatedClock;
use crate::recorded::Recorder;

/// The five tables, in the order of reports.
pub const TABLES: [&str; 5] = [CONTROL, LIMITS, CLAIMS, EVENTS, SCHEDULE];

/// All ports. Clones share everything.
#[derive(Clone)]
pub struct MeteredPorts {
    /// The tables.
    pub tables: MemoryTables,
    /// The queues, by name.
    pub queues: BTreeMap<&'static str, MeteredQueue>,
    /// The receivers of webhooks.
    pub webhooks: MeteredWebhooks,
    /// Records the calls.
    pub recorder: Recorder,
    vault: MeteredVault,
    clock: SimulatedClock,
}

impl MeteredPorts {
    /// Returns empty tables and queues. A write shows at once: `DynamoDB` shows it within a second.
    #[must_use]
    pub fn new(clock: SimulatedClock) -> Self {
        let (tables, recorder) = (MemoryTables::new(&Faults::default()), Recorder::default());
        let ports = Self {
            queues: QUEUES.map(|name| (name, MeteredQueue::new(clock, recorder.clone()))).into(),
            webhooks: MeteredWebhooks::new(recorder.clone()),
            vault: MeteredVault::new(recorder.clone()),
            tables,
            recorder,
            clock,
        };
        for name in TABLES {
            ports.memory(name).keep_journal();
            ports.memory(name).show_writes_at_once();
        }
        ports
    }

    /// Returns a table in memory.
    ///
    /// # Panics
    /// If no table has this name.
    #[must_use]
    pub fn memory(&self, name: &str) -> &MemoryTable {
        table_named(&self.tables, name)
    }
}

impl Ports for MeteredPorts {
    type Table = MeteredTable;
    type Queue = MeteredQueue;
    type Vault = MeteredVault;
    type Webhooks = MeteredWebhooks;
    type Clock = SimulatedClock;

    fn table(&self, name: &str) -> MeteredTable {
        let known = TABLES.into_iter().find(|known| *known == name).unwrap_or_default();
        MeteredTable::new(known, self.memory(name).clone(), self.recorder.clone())
    }

    fn queue(&self, url: &str) -> MeteredQueue {
        self.queues[url].clone()
    }

    fn vault(&self, _: &str) -> MeteredVault {
        self.vault.clone()
    }

    fn webhooks(&self) -> MeteredWebhooks {
        self.webhooks.clone()
    }

    fn clock(&self) -> SimulatedClock {
        self.clock
    }
}

//! All ports in memory.

use std::collections::BTreeMap;

use super::clock::FixedClock;
use super::faults::Faults;
use super::queue::MemoryQueue;
use super::table::MemoryTable;
use super::tables::MemoryTables;
use super::vault::MemoryVault;
use super::webhooks::ScriptedWebhooks;
use crate::clock::Clock;
use crate::ports::Ports;
use crate::queue::Queue;
use crate::webhook_sender::WebhookSender;

/// The names of the tables and of the queues.
pub const CONTROL: &str = "Control";
/// The table of tokens and counters.
pub const LIMITS: &str = "Limits";
/// The table of claims.
pub const CLAIMS: &str = "Claims";
/// The table of heads, payloads and attempts.
pub const EVENTS: &str = "Events";
/// The table of rows that are due later.
pub const SCHEDULE: &str = "Schedule";
/// The queue of accepted events.
pub const EVENTS_QUEUE: &str = "events";
/// Its dead letters.
pub const EVENTS_DLQ: &str = "events-dlq";
/// The queue of attempts to make.
pub const DELIVERIES_QUEUE: &str = "deliveries";
/// Its dead letters.
pub const DELIVERIES_DLQ: &str = "deliveries-dlq";

/// All ports in memory. Clones share everything.
#[derive(Clone)]
pub struct Memory<Q = MemoryQueue, W = ScriptedWebhooks, C = FixedClock> {
    /// The tables.
    pub tables: MemoryTables,
    /// The queues, by name.
    pub queues: BTreeMap<&'static str, Q>,
    /// The wrapped data keys.
    pub vault: MemoryVault,
    /// The endpoints.
    pub webhooks: W,
    /// The time of day.
    pub clock: C,
}

impl Memory {
    /// Returns empty tables and queues whose calls may go wrong, and endpoints that answer from a script.
    #[must_use]
    pub fn new(faults: &Faults, clock: &FixedClock) -> Self {
        let names = [EVENTS_QUEUE, EVENTS_DLQ, DELIVERIES_QUEUE, DELIVERIES_DLQ];
        let queue = |name| (name, MemoryQueue::new(faults.clone(), clock.clone()));
        Self {
            tables: MemoryTables::new(faults),
            queues: names.map(queue).into(),
            vault: MemoryVault::new(faults.clone()),
            webhooks: ScriptedWebhooks::default(),
            clock: clock.clone(),
        }
    }
}

impl<Q: Queue, W: WebhookSender, C: Clock> Ports for Memory<Q, W, C> {
    type Table = MemoryTable;
    type Queue = Q;
    type Vault = MemoryVault;
    type Webhooks = W;
    type Clock = C;

    /// # Panics
    /// For a name that is none of the tables.
    fn table(&self, name: &str) -> MemoryTable {
        let table = match name {
            CONTROL => &self.tables.control,
            LIMITS => &self.tables.limits,
            CLAIMS => &self.tables.claims,
            EVENTS => &self.tables.events,
            SCHEDULE => &self.tables.schedule,
            other => panic!("no table is called {other}"),
        };
        table.clone()
    }

    /// # Panics
    /// For a name that is none of the queues.
    fn queue(&self, url: &str) -> Q {
        self.queues.get(url).unwrap_or_else(|| panic!("no queue is called {url}")).clone()
    }

    fn vault(&self, _: &str) -> MemoryVault {
        self.vault.clone()
    }

    fn webhooks(&self) -> W {
        self.webhooks.clone()
    }

    fn clock(&self) -> C {
        self.clock.clone()
    }
}

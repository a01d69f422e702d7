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

/// The name of the table of tenants, API keys and endpoints.
pub const CONTROL: &str = "Control";
/// The name of the table of tokens and counters.
pub const LIMITS: &str = "Limits";
/// The name of the table of claims.
pub const CLAIMS: &str = "Claims";
/// The name of the table of heads, payloads and attempts.
pub const EVENTS: &str = "Events";
/// The name of the table of rows that are due later.
pub const SCHEDULE: &str = "Schedule";
/// The name of the queue of accepted events.
pub const EVENTS_QUEUE: &str = "events";
/// The name of its dead-letter queue.
pub const EVENTS_DLQ: &str = "events-dlq";
/// The name of the queue of deliveries.
pub const DELIVERIES_QUEUE: &str = "deliveries";
/// The name of the queue of deliveries to slow endpoints.
pub const SLOW_DELIVERIES_QUEUE: &str = "deliveries-slow";
/// The name of the dead-letter queue of both.
pub const DELIVERIES_DLQ: &str = "deliveries-dlq";
/// The name of the queue of shares of the endpoints with parked deliveries. Its messages are valid for one minute, so it has no
/// dead-letter queue.
pub const DRAINS_QUEUE: &str = "drains";
/// The names of all queues. In memory they are their ARNs too.
pub const QUEUES: [&str; 6] =
    [EVENTS_QUEUE, EVENTS_DLQ, DELIVERIES_QUEUE, SLOW_DELIVERIES_QUEUE, DELIVERIES_DLQ, DRAINS_QUEUE];

/// All ports in memory. Clones share everything.
#[derive(Clone)]
pub struct Memory<Q = MemoryQueue, W = ScriptedWebhooks, C = FixedClock> {
    /// The tables.
    pub tables: MemoryTables,
    /// The queues, by name.
    pub queues: BTreeMap<&'static str, Q>,
    /// KMS.
    pub vault: MemoryVault,
    /// The receivers of webhooks.
    pub webhooks: W,
    /// The clock.
    pub clock: C,
}

impl Memory {
    /// Returns empty tables and queues, which fail as `faults` plans, and scripted receivers of webhooks.
    #[must_use]
    pub fn new(faults: &Faults, clock: &FixedClock) -> Self {
        let queue = |name| (name, MemoryQueue::new(name, faults.clone(), clock.clone()));
        Self {
            tables: MemoryTables::new(faults),
            queues: QUEUES.map(queue).into(),
            vault: MemoryVault::new(faults.clone()),
            webhooks: ScriptedWebhooks::default(),
            clock: clock.clone(),
        }
    }
}

/// Returns the table with this name.
///
/// # Panics
/// If no table has this name.
#[must_use]
pub fn table_named<'t>(tables: &'t MemoryTables, name: &str) -> &'t MemoryTable {
    match name {
        CONTROL => &tables.control,
        LIMITS => &tables.limits,
        CLAIMS => &tables.claims,
        EVENTS => &tables.events,
        SCHEDULE => &tables.schedule,
        other => panic!("no table has the name {other}"),
    }
}

impl<Q: Queue, W: WebhookSender, C: Clock> Ports for Memory<Q, W, C> {
    type Table = MemoryTable;
    type Queue = Q;
    type Vault = MemoryVault;
    type Webhooks = W;
    type Clock = C;

    /// # Panics
    /// If no table has this name.
    fn table(&self, name: &str) -> MemoryTable {
        table_named(&self.tables, name).clone()
    }

    /// # Panics
    /// If no queue has this name.
    fn queue(&self, url: &str) -> Q {
        self.queues.get(url).unwrap_or_else(|| panic!("no queue has the name {url}")).clone()
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

//! What the functions did: one record for each invocation, with all its calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::testing::table::usage::{Billed, Operation};

/// A function of the template.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Function {
    /// Accepts events.
    Ingest,
    /// Stores events.
    Consumer,
    /// Sends webhooks.
    Delivery,
    /// Sends what is due later.
    Scheduler,
    /// Sends parked deliveries.
    Drain,
    /// Answers all other requests.
    Api,
}

impl Function {
    /// All functions.
    pub const ALL: [Self; 6] =
        [Self::Ingest, Self::Consumer, Self::Delivery, Self::Scheduler, Self::Drain, Self::Api];

    /// Returns the name of the function in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Consumer => "consumer",
            Self::Delivery => "delivery",
            Self::Scheduler => "scheduler",
            Self::Drain => "drain",
            Self::Api => "api",
        }
    }

    /// Returns the name of the function in `template.yaml`.
    #[must_use]
    pub const fn resource(self) -> &'static str {
        match self {
            Self::Ingest => "IngestFunction",
            Self::Consumer => "ConsumerFunction",
            Self::Delivery => "DeliveryFunction",
            Self::Scheduler => "SchedulerFunction",
            Self::Drain => "DrainFunction",
            Self::Api => "ApiFunction",
        }
    }
}

/// The batch of messages that Lambda received for an invocation.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Received {
    /// The bytes of all bodies.
    pub bytes: usize,
    /// The number of messages that Lambda deletes after the response.
    pub deleted: usize,
}

/// One invocation of a function.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Invocation {
    /// The function; `None` until the invocation has ended.
    pub function: Option<Function>,
    /// How long the invocation waited for calls, in simulated time. Calls at the same time count once.
    pub waited: Duration,
    /// How often each operation of each table was called.
    pub table_calls: BTreeMap<(&'static str, Operation), u64>,
    /// What the tables bill.
    pub billed: Vec<(&'static str, Billed)>,
    /// The bytes of the bodies of each `SendMessageBatch`.
    pub sends: Vec<usize>,
    /// Other calls of the function to its queues.
    pub queue_calls: u64,
    /// What Lambda received for the invocation; `None` if it has no queue.
    pub received: Option<Received>,
    /// Calls of `Decrypt`.
    pub decrypts: u64,
    /// Calls of `GenerateDataKey`.
    pub generates: u64,
    /// The bytes of each webhook.
    pub webhooks: Vec<usize>,
    /// The bytes of the answer to a request through API Gateway.
    pub answer_bytes: Option<usize>,
    /// The log lines.
    pub lines: Vec<String>,
}

impl Invocation {
    /// Returns the number of calls of AWS by the function itself.
    #[must_use]
    pub fn calls(&self) -> u64 {
        let sends = u64::try_from(self.sends.len()).unwrap_or(u64::MAX);
        self.table_calls.values().sum::<u64>() + sends + self.queue_calls + self.decrypts + self.generates
    }
}

/// Records the invocation that runs now. Clones share it.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Invocation>>);

impl Recorder {
    /// Changes the record of the invocation that runs now.
    pub fn record(&self, change: impl FnOnce(&mut Invocation)) {
        change(&mut self.current());
    }

    /// Ends the record, and returns it.
    #[must_use]
    pub fn take(&self) -> Invocation {
        std::mem::take(&mut *self.current())
    }

    fn current(&self) -> MutexGuard<'_, Invocation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

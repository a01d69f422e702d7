//! The ports of an instance under load: calls take time, and are recorded for its CPU.

use std::collections::BTreeMap;

use cost::clock::SimulatedClock;
use cost::latency::QUEUE_CALL;
use cost::ports::TABLES;
use cost::ports::table::MeteredTable;
use cost::ports::vault::MeteredVault;
use cost::recorded::Recorder;
use domain::delivery::verdict::Answer;
use domain::delivery::webhook_request::WebhookRequest;
use domain::timestamp::Timestamp;
use store::ports::Ports;
use store::queue::{Depth, Outgoing, Queue};
use store::testing::memory::table_named;
use store::testing::tables::MemoryTables;
use store::unavailable::PortResult;
use tokio::time::sleep;

use crate::support::answering::{Answering, Posts};
use crate::support::fair_queue::FairQueue;

/// The ports of one instance: those of the system, and a record of its calls.
#[derive(Clone)]
pub(super) struct InstancePorts<A> {
    pub(super) tables: MemoryTables,
    pub(super) queues: BTreeMap<&'static str, FairQueue>,
    pub(super) receivers: A,
    pub(super) clock: SimulatedClock,
    pub(super) recorder: Recorder,
}

impl<A: Answering> Ports for InstancePorts<A> {
    type Table = MeteredTable;
    type Queue = TimedQueue;
    type Vault = MeteredVault;
    type Webhooks = Posts<Recorded<A>>;
    type Clock = SimulatedClock;

    fn table(&self, name: &str) -> MeteredTable {
        let known = TABLES.into_iter().find(|known| *known == name).unwrap();
        MeteredTable::new(known, table_named(&self.tables, name).clone(), self.recorder.clone())
    }

    fn queue(&self, url: &str) -> TimedQueue {
        TimedQueue { queue: self.queues[url].clone(), recorder: self.recorder.clone() }
    }

    fn vault(&self, _: &str) -> MeteredVault {
        MeteredVault::new(self.recorder.clone())
    }

    fn webhooks(&self) -> Posts<Recorded<A>> {
        Posts(Recorded { receivers: self.receivers.clone(), recorder: self.recorder.clone() })
    }

    fn clock(&self) -> SimulatedClock {
        self.clock
    }
}

/// A queue whose calls take time and are recorded.
#[derive(Clone)]
pub(super) struct TimedQueue {
    queue: FairQueue,
    recorder: Recorder,
}

impl Queue for TimedQueue {
    async fn send(&self, messages: &[Outgoing]) -> Vec<PortResult<()>> {
        let calls =
            messages.chunks(10).map(|call| call.iter().map(|message| message.body.len()).sum::<usize>());
        self.recorder.record(|current| current.sends.extend(calls));
        if !messages.is_empty() {
            sleep(QUEUE_CALL).await; // the calls are made at the same time
        }
        self.queue.send(messages).await
    }

    async fn delete(&self, receipts: &[String]) -> PortResult<()> {
        self.recorder.record(|current| current.queue_calls += 1);
        sleep(QUEUE_CALL).await;
        self.queue.delete(receipts).await
    }

    async fn depth(&self) -> PortResult<Depth> {
        self.queue.depth().await
    }
}

/// Receivers whose requests are recorded.
#[derive(Clone)]
pub(super) struct Recorded<A> {
    receivers: A,
    recorder: Recorder,
}

impl<A: Answering> Answering for Recorded<A> {
    async fn answer(&self, request: &WebhookRequest, now: Timestamp) -> Answer {
        self.recorder.record(|current| current.webhooks.push(request.body.len()));
        self.receivers.answer(request, now).await
    }
}

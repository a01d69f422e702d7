//! Simulated time: a hundred workers for each lane run the real delivery at once, over tables in memory and fair queues. Calls take
//! no time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use cost::clock::SimulatedClock;
use delivery::handler::Delivery;
use domain::delivery::DeliveryMessage;
use domain::endpoint::Endpoint;
use domain::event::id::EventId;
use domain::inbox::Head;
use domain::tenant::id::TenantId;
use domain::testing::{endpoint_of, event};
use drain::handler::Drain;
use runtime::telemetry::Log;
use scheduler::handler::Scheduler;
use store::clock::Clock;
use store::data_keys::DataKeys;
use store::events::Events;
use store::queue::Queue;
use store::queues::{Delayed, Lanes};
use store::schedule::Schedule;
use store::testing::memory::{DELIVERIES_QUEUE, DRAINS_QUEUE, Memory, SLOW_DELIVERIES_QUEUE};
use store::testing::table::MemoryTable;
use store::testing::tables::MemoryTables;
use store::testing::vault::MemoryVault;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;

use super::answering::{Answering, Posts};
use super::configs;
use super::fair_queue::{FairQueue, RECEIPT};
use super::lines::no_log;

/// The function's instances for each lane, as the template allows them.
const WORKERS: usize = 100;

/// The queues of the lanes, and the queue of the shares.
const QUEUES: [&str; 3] = [DELIVERIES_QUEUE, SLOW_DELIVERIES_QUEUE, DRAINS_QUEUE];

/// The ports of a simulation that sends through this queue.
type Simulated<A, Q = FairQueue> = Memory<Q, Posts<A>, SimulatedClock>;

/// A system whose deliverers work until it is dropped.
pub(crate) struct Simulation<A: Answering> {
    pub(crate) clock: SimulatedClock,
    pub(crate) tables: MemoryTables,
    pub(crate) events: Events<Simulated<A>>,
    pub(crate) schedule: Schedule<MemoryTable>,
    pub(crate) lanes: [FairQueue; 2],
    pub(crate) drains: FairQueue,
    /// How often a circuit breaker opened.
    pub(crate) opened: Arc<AtomicUsize>,
    ports: Simulated<A>,
    workers: Vec<JoinHandle<()>>,
}

impl<A: Answering> Simulation<A> {
    /// A system with these receivers. Must run within a `LocalSet`, in paused time.
    pub(crate) fn start(receivers: A) -> Self {
        let clock = SimulatedClock::start();
        let queues = QUEUES.map(|name| FairQueue::new(name, Duration::from_mins(6), clock));
        let [quick, slow, drains] = queues.clone();
        let lanes = [quick, slow];
        let tables = MemoryTables::default();
        let ports = Memory {
            tables: tables.clone(),
            queues: QUEUES.into_iter().zip(queues).collect(),
            vault: MemoryVault::default(),
            webhooks: Posts(receivers),
            clock,
        };
        let opened = Arc::new(AtomicUsize::new(0));
        let worker = |queue: &FairQueue| {
            let (queue, opened) = (queue.clone(), Arc::clone(&opened));
            let log = move |line: &str| {
                opened.fetch_add(usize::from(line.contains("breakers_opened")), Ordering::Relaxed);
            };
            let delivery = Delivery::new(&ports, configs::delivery(), Log::new("triggers-delivery", log));
            spawn_local(async move {
                loop {
                    let batch = queue.take().await;
                    sleep(RECEIPT).await;
                    let until = clock.now().after(Duration::from_mins(1));
                    let response = delivery.handle(batch.clone(), until).await;
                    assert!(response.batch_item_failures.is_empty(), "nothing fails here");
                    queue.settle(&batch, &response);
                }
            })
        };
        let workers = lanes.iter().flat_map(|queue| (0..WORKERS).map(move |_| queue)).map(worker).collect();
        let keys = DataKeys::new(tables.control.clone(), ports.vault.clone(), clock);
        let events = Events::new(tables.events.clone(), keys);
        let schedule = Schedule::new(tables.schedule.clone());
        Self { clock, tables, events, schedule, lanes, drains, opened, ports, workers }
    }

    /// A scheduler of this system that sends through these queues.
    pub(crate) fn scheduler<Q: Queue>(&self, queues: [Q; 3]) -> Scheduler<Simulated<A, Q>> {
        let ports = Memory {
            tables: self.tables.clone(),
            queues: QUEUES.into_iter().zip(queues).collect(),
            vault: self.ports.vault.clone(),
            webhooks: self.ports.webhooks.clone(),
            clock: self.clock,
        };
        Scheduler::new(&ports, &configs::scheduler(), no_log())
    }

    /// The queues of this system: the lanes, and the queue of the shares.
    pub(crate) fn queues(&self) -> [FairQueue; 3] {
        let [quick, slow] = self.lanes.clone();
        [quick, slow, self.drains.clone()]
    }

    /// What comes once a minute: the scheduler, and drain, which handles at once what the scheduler shares out.
    pub(crate) fn visits(&self) -> Visits<A> {
        Visits {
            scheduler: self.scheduler(self.queues()),
            drain: Drain::new(&self.ports, &configs::drain(), no_log()),
            drains: self.drains.clone(),
            clock: self.clock,
        }
    }

    /// Stores an event for the endpoint of this number, and sends its first message.
    pub(crate) async fn post(&self, tenant: &TenantId, number: u8) -> EventId {
        self.post_to_all(tenant, [number]).await
    }

    /// Stores an event for the endpoints of these numbers, and sends its first messages as consumer does.
    pub(crate) async fn post_to_all(
        &self,
        tenant: &TenantId,
        numbers: impl IntoIterator<Item = u8>,
    ) -> EventId {
        let event = event(tenant, "a", "1", self.clock.now());
        let head = Head::new(&event, numbers.into_iter().map(|number| endpoint_of(tenant, number).id));
        self.events.insert(&event, &head).await.unwrap();
        let first = |(endpoint, entry)| DeliveryMessage::first(tenant, event.id, endpoint, entry, true);
        let endpoints: Vec<Endpoint> =
            head.deliveries.keys().filter_map(|id| self.tables.endpoint(tenant, id)).collect();
        let messages = head.deliveries.iter().map(first);
        let messages = Delayed::by_lane(messages, &endpoints, self.clock.now());
        let [quick, slow] = self.lanes.clone();
        Lanes::new(quick, slow).send(&messages).await.unwrap();
        event.id
    }
}

/// The scheduler and drain of a simulation.
pub(crate) struct Visits<A: Answering> {
    scheduler: Scheduler<Simulated<A>>,
    drain: Drain<Simulated<A>>,
    drains: FairQueue,
    clock: SimulatedClock,
}

impl<A: Answering> Visits<A> {
    /// Lets both come once.
    pub(crate) async fn come(&self) {
        self.scheduler.handle(self.clock.now().after(Duration::from_secs(55))).await;
        loop {
            let batch = self.drains.try_take();
            if batch.records.is_empty() {
                break;
            }
            self.drain.handle(batch.clone(), self.clock.now().after(Duration::from_mins(1))).await;
            self.drains.settle(&batch, &SqsBatchResponse::default());
        }
    }
}

impl<A: Answering> Drop for Simulation<A> {
    fn drop(&mut self) {
        self.workers.iter().for_each(JoinHandle::abort);
    }
}

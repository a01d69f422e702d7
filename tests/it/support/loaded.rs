//! The whole system under load, in simulated time: instances of the real functions over fair queues, and over tables that throttle
//! each partition ([`store::testing::table::throttle`]).
//!
//! What is modelled: calls take the time of the cost meter ([`cost::latency`]). After its work an instance is busy for the CPU of the
//! cost meter ([`cost::duration`]), with the memory of the template. A receipt takes 20 ms and has up to ten messages. What is not:
//! cold starts, the concurrency of the account, and the instances of ingest, which handle any number of requests at once.

mod ports;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use consumer::handler::Consumer;
use cost::clock::SimulatedClock;
use cost::duration::billed_ms;
use cost::ports::TABLES;
use cost::recorded::{Function, Recorder};
use cost::scenarios::payload::payload;
use cost::template::memory_mb;
use delivery::handler::Delivery;
use domain::endpoint::Endpoint;
use domain::tenant::api_key::Pepper;
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::testing::{endpoint, endpoint_of, key_of, tenant};
use drain::handler::Drain;
use http::{HeaderMap, HeaderValue};
use ingest::handler::Ingest;
use scheduler::handler::Scheduler;
use store::clock::Clock;
use store::testing::memory::{
    DELIVERIES_QUEUE, DRAINS_QUEUE, EVENTS_QUEUE, SLOW_DELIVERIES_QUEUE, table_named,
};
use store::testing::table::throttle::Load;
use store::testing::tables::MemoryTables;
use tokio::task::{JoinSet, spawn_local};
use tokio::time::sleep;

use self::ports::InstancePorts;
use super::answering::Answering;
use super::configs;
use super::fair_queue::{FairQueue, RECEIPT};
use super::lines::no_log;

/// How often a load posts what is due by then.
const TICK: Duration = Duration::from_millis(10);

/// The instances of ingest.
const INGESTS: usize = 20;

/// The queues with the time after which a failed message comes back, as in the template.
const QUEUES: [(&str, Duration); 4] = [
    (EVENTS_QUEUE, Duration::from_mins(3)),
    (DELIVERIES_QUEUE, Duration::from_mins(6)),
    (SLOW_DELIVERIES_QUEUE, Duration::from_mins(6)),
    (DRAINS_QUEUE, Duration::from_mins(1)),
];

/// The batches of a queue that are handled at the same time: those at the start, and more as long as messages wait.
#[derive(Clone, Copy)]
pub(crate) struct Pollers {
    pub(crate) at_start: usize,
    pub(crate) added_each_second: usize,
    pub(crate) most: usize,
}

impl Pollers {
    /// This many from the start on.
    pub(crate) const fn all(count: usize) -> Self {
        Self { at_start: count, added_each_second: 0, most: count }
    }
}

/// A tenant that posts.
pub(crate) struct Sender {
    tenant: TenantId,
    /// The headers of its requests, by API key.
    headers: Vec<HeaderMap>,
    /// The types of its events, in turn.
    pub(crate) types: Vec<String>,
}

/// A system that works until it is dropped.
pub(crate) struct Loaded<A: Answering> {
    pub(crate) clock: SimulatedClock,
    pub(crate) tables: MemoryTables,
    queues: BTreeMap<&'static str, FairQueue>,
    receivers: A,
    ingests: Vec<Rc<Ingest<InstancePorts<A>>>>,
    posted: Cell<u64>,
    tasks: JoinSet<()>,
}

impl<A: Answering> Loaded<A> {
    /// A system with these receivers, and with these pollers for consumer and for each lane of delivery. Must run within a
    /// `LocalSet`, in paused time.
    pub(crate) fn start(receivers: A, consumers: Pollers, deliverers: Pollers) -> Self {
        let clock = SimulatedClock::start();
        let mut system = Self {
            queues: QUEUES.map(|(name, away)| (name, FairQueue::new(name, away, clock))).into(),
            tables: MemoryTables::default(),
            ingests: Vec::new(),
            posted: Cell::default(),
            tasks: JoinSet::new(),
            receivers,
            clock,
        };
        for table in TABLES.map(|name| table_named(&system.tables, name)) {
            table.show_writes_at_once(); // DynamoDB shows it within a second
            table.throttle_partitions();
        }
        system.ingests = (0..INGESTS)
            .map(|_| Rc::new(Ingest::new(&system.instance(), configs::ingest(), no_log())))
            .collect();
        system.poll(EVENTS_QUEUE, consumers, |ports, queue| async move {
            let consumer = Consumer::new(&ports, configs::consumer(), no_log());
            let handle = async |batch| consumer.handle(batch).await;
            work(&ports, Function::Consumer, &queue, handle).await;
        });
        for lane in [DELIVERIES_QUEUE, SLOW_DELIVERIES_QUEUE] {
            system.poll(lane, deliverers, |ports, queue| async move {
                let delivery = Delivery::new(&ports, configs::delivery(), no_log());
                let handle = async |batch| {
                    delivery.handle(batch, ports.clock.now().after(Duration::from_mins(1))).await
                };
                work(&ports, Function::Delivery, &queue, handle).await;
            });
        }
        system.visit_each_minute();
        system
    }

    /// Adds a tenant with the endpoints of these numbers, changed as a story needs them, and with this many API keys.
    pub(crate) fn add_tenant(
        &self,
        tier: Tier,
        numbers: impl IntoIterator<Item = u8>,
        change: impl Fn(Endpoint) -> Endpoint,
        keys: usize,
    ) -> Sender {
        let tenant = tenant();
        for number in numbers {
            self.tables.put_endpoint(&tenant, &change(endpoint_of(&tenant, number)));
        }
        let headers = (0..keys).map(|_| self.add_key(&tenant, tier)).collect();
        Sender { tenant, headers, types: vec!["order.created".to_owned()] }
    }

    /// Lets an endpoint that is paused take deliveries again.
    pub(crate) fn resume(&self, sender: &Sender, number: u8) {
        let id = endpoint(number).id;
        self.tables.change_endpoint(&sender.tenant, &id, |endpoint| endpoint.is_paused = false);
    }

    /// Adds an API key of a tenant; returns the headers of its requests.
    fn add_key(&self, tenant: &TenantId, tier: Tier) -> HeaderMap {
        let (key, record) = key_of(tenant, tier);
        self.tables.put_key(&key.hash(&Pepper::new("pepper")), &record);
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_str(key.expose()).unwrap());
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers
    }

    /// Posts this many events of 1 KB a second for so long, of each sender in turn, `batch` of them in each
    /// request. Returns how many they are.
    pub(crate) async fn post(
        &self,
        senders: &[Sender],
        batch: u64,
        per_second: u64,
        time: Duration,
    ) -> usize {
        let began = self.clock.now();
        let mut requests = JoinSet::new();
        let mut posted = 0;
        let mut turn = 0;
        while self.clock.now().since(began) < time {
            while posted < self.clock.now().millis_since(began) * per_second / 1000 {
                let sender = &senders[turn % senders.len()];
                let ingest = Rc::clone(&self.ingests[turn % INGESTS]);
                let headers = sender.headers[turn / senders.len() % sender.headers.len()].clone();
                let body = self.body(sender, batch);
                let path = if batch == 1 { "/api/events" } else { "/api/events/batch" };
                requests.spawn_local(async move {
                    let answer = ingest.handle(path, &headers, body.as_bytes(), "request").await;
                    assert_eq!(answer.status(), 202, "{}", answer.body());
                });
                posted += batch;
                turn += 1;
            }
            sleep(TICK).await;
        }
        requests.join_all().await;
        usize::try_from(posted).unwrap()
    }

    fn body(&self, sender: &Sender, batch: u64) -> String {
        let event = |_| {
            let number = self.posted.replace(self.posted.get() + 1);
            let event_type = &sender.types[usize::try_from(number).unwrap() % sender.types.len()];
            format!(r#"{{"type":"{event_type}","payload":{}}}"#, payload(number, 1_000))
        };
        let events: Vec<String> = (0..batch).map(event).collect();
        if batch == 1 { events.concat() } else { format!(r#"{{"events":[{}]}}"#, events.join(",")) }
    }

    /// Returns how often messages of each tenant failed and came back, in all queues.
    pub(crate) fn failed(&self) -> BTreeMap<String, usize> {
        let mut failed = BTreeMap::new();
        for (tenant, count) in self.queues.values().flat_map(FairQueue::failed) {
            *failed.entry(tenant).or_default() += count;
        }
        failed
    }

    /// Counts the units of partitions from zero again.
    pub(crate) fn reset_loads(&self) {
        for name in TABLES {
            table_named(&self.tables, name).reset_usage();
        }
    }

    /// Returns what the partitions of each table were asked for, the hottest first.
    pub(crate) fn loads(&self) -> Vec<(&'static str, Vec<Load>)> {
        let of_table = |name| {
            let mut loads = table_named(&self.tables, name).loads();
            loads.sort_by_key(|load| std::cmp::Reverse(load.half_reads.max(load.writes * 6)));
            (name, loads)
        };
        TABLES.map(of_table).into()
    }

    fn instance(&self) -> InstancePorts<A> {
        InstancePorts {
            tables: self.tables.clone(),
            queues: self.queues.clone(),
            receivers: self.receivers.clone(),
            clock: self.clock,
            recorder: Recorder::default(),
        }
    }

    /// Starts the pollers of a queue, each with an instance of its own.
    fn poll<W: Future<Output = ()> + 'static>(
        &mut self,
        queue: &'static str,
        Pollers { at_start, added_each_second, most }: Pollers,
        instance: impl Fn(InstancePorts<A>, FairQueue) -> W + 'static,
    ) {
        let (queue, ports) = (self.queues[queue].clone(), self.instance());
        self.tasks.spawn_local(async move {
            let mut pollers = JoinSet::new();
            let mut wanted = at_start;
            loop {
                while pollers.len() < wanted {
                    let ports = InstancePorts { recorder: Recorder::default(), ..ports.clone() };
                    pollers.spawn_local(instance(ports, queue.clone()));
                }
                sleep(Duration::from_secs(1)).await;
                if queue.count_waiting() > 0 {
                    wanted = most.min(wanted + added_each_second);
                }
            }
        });
    }

    /// Lets the scheduler visit in each minute, and drain handle its shares.
    fn visit_each_minute(&mut self) {
        let ports = self.instance();
        let scheduler = Scheduler::new(&ports, &configs::scheduler(), no_log());
        let (queue, clock) = (self.queues[DRAINS_QUEUE].clone(), self.clock);
        self.tasks.spawn_local(async move {
            loop {
                sleep(Duration::from_millis(60_000 - clock.now().millis() % 60_000)).await;
                scheduler.handle(clock.now().after(Duration::from_secs(55))).await;
                loop {
                    let share = queue.try_take();
                    if share.records.is_empty() {
                        break;
                    }
                    let drain = Drain::new(&ports, &configs::drain(), no_log());
                    let until = clock.now().after(Duration::from_mins(1));
                    let queue = queue.clone();
                    spawn_local(async move {
                        drain.handle(share.clone(), until).await;
                        queue.settle(&share, &SqsBatchResponse::default());
                    });
                }
            }
        });
    }
}

/// Handles batches of a queue until it is dropped.
async fn work<A: Answering>(
    ports: &InstancePorts<A>,
    function: Function,
    queue: &FairQueue,
    handle: impl AsyncFn(SqsEvent) -> SqsBatchResponse,
) {
    let memory = memory_mb(function);
    loop {
        let batch = queue.take().await;
        sleep(RECEIPT).await;
        let response = handle(batch.clone()).await;
        sleep(Duration::from_millis(billed_ms(&ports.recorder.take(), memory))).await; // the CPU alone
        queue.settle(&batch, &response);
    }
}

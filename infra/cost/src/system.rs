//! The six functions over the ports of the meter, as clients and AWS call them.

use std::cell::RefCell;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use api::deps::Api;
use api::router;
use aws_lambda_events::event::sqs::SqsBatchResponse;
use axum::body::{Body, to_bytes};
use consumer::handler::Consumer;
use delivery::handler::Delivery;
use domain::tenant::api_key::{ApiKey, Pepper};
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::testing::{endpoint_of, key_of, tenant};
use domain::timestamp::Timestamp;
use drain::handler::Drain;
use http::{HeaderMap, HeaderValue, Request};
use ingest::handler::Ingest;
use scheduler::handler::Scheduler;
use serde_json::Value;
use store::clock::Clock;
use store::ports::Ports;
use store::testing::memory::{DELIVERIES_QUEUE, DRAINS_QUEUE, EVENTS, EVENTS_QUEUE};
use tokio::time::{Instant, sleep};
use tracing::subscriber::DefaultGuard;

use crate::clock::SimulatedClock;
use crate::configs;
use crate::log::{log, record_lines};
use crate::ports::queue::MeteredQueue;
use crate::ports::{MeteredPorts, TABLES};
use crate::recorded::{Function, Invocation};

/// A tenant and its API key.
pub struct Client {
    /// The tenant.
    pub tenant: TenantId,
    key: ApiKey,
}

/// The functions, their ports and some tenants.
pub struct System {
    /// The ports.
    pub ports: MeteredPorts,
    /// The tenants. Each has the tier `pro`.
    pub clients: Vec<Client>,
    /// The queue `events`.
    pub events: MeteredQueue,
    /// The queue `deliveries`.
    pub deliveries: MeteredQueue,
    clock: SimulatedClock,
    ingest: Ingest<MeteredPorts>,
    consumers: Vec<Consumer<MeteredPorts>>,
    deliverers: Vec<Delivery<MeteredPorts>>,
    scheduler: Scheduler<MeteredPorts>,
    drain: Drain<MeteredPorts>,
    drains: MeteredQueue,
    api: Arc<Api<MeteredPorts>>,
    invocations: RefCell<Vec<Invocation>>,
    _lines: DefaultGuard,
}

impl System {
    /// Starts a system with this many tenants, each with this many endpoints, and one instance of each function.
    #[must_use]
    pub fn start(tenants: usize, endpoints: u8) -> Self {
        Self::with_instances(tenants, endpoints, [1, 1])
    }

    /// Starts a system with these numbers of instances of consumer and delivery.
    #[must_use]
    pub fn with_instances(tenants: usize, endpoints: u8, [consumers, deliverers]: [usize; 2]) -> Self {
        let clock = SimulatedClock::start();
        let ports = MeteredPorts::new(clock);
        let client = |_| {
            let tenant = tenant();
            let (key, record) = key_of(&tenant, Tier::Pro);
            ports.tables.put_key(&key.hash(&Pepper::new("pepper")), &record);
            for number in 1..=endpoints {
                ports.tables.put_endpoint(&tenant, &endpoint_of(&tenant, number));
            }
            Client { tenant, key }
        };
        let line = |function| log(function, &ports.recorder);
        Self {
            clients: (0..tenants).map(client).collect(),
            events: ports.queue(EVENTS_QUEUE),
            deliveries: ports.queue(DELIVERIES_QUEUE),
            clock,
            ingest: Ingest::new(&ports, configs::ingest(), line(Function::Ingest)),
            consumers: (0..consumers)
                .map(|_| Consumer::new(&ports, configs::consumer(), line(Function::Consumer)))
                .collect(),
            deliverers: (0..deliverers)
                .map(|_| Delivery::new(&ports, configs::delivery(), line(Function::Delivery)))
                .collect(),
            scheduler: Scheduler::new(&ports, &configs::scheduler(), line(Function::Scheduler)),
            drain: Drain::new(&ports, &configs::drain(), line(Function::Drain)),
            drains: ports.queue(DRAINS_QUEUE),
            api: Arc::new(Api::new(&ports, configs::api())),
            invocations: RefCell::default(),
            _lines: record_lines(&ports.recorder),
            ports,
        }
    }

    /// Returns the simulated time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the invocations since the last call.
    #[must_use]
    pub fn take_invocations(&self) -> Vec<Invocation> {
        self.invocations.take()
    }

    /// Returns the bytes that the table `Events` holds, with its indexes.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.ports.memory(EVENTS).stored().bytes
    }

    /// Posts a body to ingest.
    ///
    /// # Panics
    /// If it is not accepted.
    pub async fn post(&self, client: usize, path: &str, body: &str) {
        let mut headers = HeaderMap::new();
        let key = HeaderValue::from_str(self.clients[client].key.expose()).expect("a key is a header");
        headers.insert("x-api-key", key);
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef";
        self.invoke(Function::Ingest, async {
            let answer = self.ingest.handle(path, &headers, body.as_bytes(), request_id).await;
            assert_eq!(answer.status(), 202, "{}", answer.body());
            self.record_answer(answer.headers(), answer.body().len());
        })
        .await;
    }

    /// Sends a request to api; returns the JSON of its answer.
    ///
    /// # Panics
    /// If the answer is an error.
    pub async fn call(&self, client: usize, method: &str, path: &str, body: &Value) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-api-key", self.clients[client].key.expose())
            .header("content-type", "application/json")
            .body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) })
            .expect("a valid request");
        let request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef";
        self.invoke(Function::Api, async {
            let routes = router::router(Arc::clone(&self.api));
            let answer = router::answer(&self.api, routes, request, path, request_id).await;
            let (parts, body) = answer.into_parts();
            let body = to_bytes(body, usize::MAX).await.expect("a body in memory");
            assert!(parts.status.is_success(), "{path}: {}", String::from_utf8_lossy(&body));
            self.record_answer(&parts.headers, body.len());
            serde_json::from_slice(&body).unwrap_or_default()
        })
        .await
    }

    /// Lets an instance of consumer handle a batch.
    pub async fn consume(&self, instance: usize) {
        let batch = self.events.receive();
        self.invoke(Function::Consumer, async {
            let response = self.consumers[instance].handle(batch.clone()).await;
            self.events.settle(&batch, &response);
        })
        .await;
    }

    /// Lets an instance of delivery handle a batch.
    pub async fn deliver(&self, instance: usize) {
        let batch = self.deliveries.receive();
        let until = self.now().after(Duration::from_mins(1));
        self.invoke(Function::Delivery, async {
            let response = self.deliverers[instance].handle(batch.clone(), until).await;
            self.deliveries.settle(&batch, &response);
        })
        .await;
    }

    /// Lets the scheduler run once, and drain handle each share.
    pub async fn visit(&self) {
        let until = self.now().after(Duration::from_secs(55));
        self.invoke(Function::Scheduler, self.scheduler.handle(until)).await;
        while self.drains.count_visible() > 0 {
            let batch = self.drains.receive_up_to(1);
            let until = self.now().after(Duration::from_mins(1));
            self.invoke(Function::Drain, async {
                self.drain.handle(batch.clone(), until).await;
                self.drains.settle(&batch, &SqsBatchResponse::default());
            })
            .await;
        }
    }

    /// Handles the messages of both queues as long as one of them has `at_least` messages that can be received now.
    pub async fn handle_batches(&self, at_least: usize) {
        while self.events.count_visible() >= at_least || self.deliveries.count_visible() >= at_least {
            if self.events.count_visible() >= at_least {
                self.consume(0).await;
            }
            if self.deliveries.count_visible() >= at_least {
                self.deliver(0).await;
            }
        }
    }

    /// Handles all messages of both queues, also those that are delayed.
    pub async fn run_until_quiet(&self) {
        loop {
            self.handle_batches(1).await;
            let next = [&self.events, &self.deliveries].into_iter().filter_map(MeteredQueue::next_visible);
            let Some(next) = next.min() else { return };
            sleep(next.since(self.now())).await;
        }
    }

    async fn invoke<R>(&self, function: Function, work: impl Future<Output = R>) -> R {
        let began = Instant::now();
        let result = Box::pin(work).await;
        let mut invocation = self.ports.recorder.take();
        invocation.function = Some(function);
        invocation.waited = began.elapsed();
        for table in TABLES {
            let billed = self.ports.memory(table).take_journal();
            invocation.billed.extend(billed.into_iter().map(|billed| (table, billed)));
        }
        self.invocations.borrow_mut().push(invocation);
        result
    }

    fn record_answer(&self, headers: &HeaderMap, body: usize) {
        let headers = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
        let bytes = headers.sum::<usize>() + body;
        self.ports.recorder.record(|current| current.answer_bytes = Some(bytes));
    }
}

//! The six functions over tables and queues in memory: time is moved by hand, and any call can fail.

mod shares;

use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::control::Control;
use store::data_keys::DataKeys;
use store::events::Events;
use store::limits::Limits;
use store::ports::Ports;
use store::schedule::Schedule;
use store::testing::memory::{DELIVERIES_QUEUE, DRAINS_QUEUE, EVENTS_QUEUE, Memory, SLOW_DELIVERIES_QUEUE};
use store::testing::table::MemoryTable;
use store::testing::tables::MemoryTables;

use crate::support::configs::{self, DEAD_LETTERS};
use api::deps::Api;
use api::router;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use axum::body::{Body, to_bytes};
use consumer::handler::Consumer;
use delivery::handler::Delivery;
use domain::delivery::DeliveryMessage;
use domain::delivery::schedule::HORIZON;
use domain::endpoint::Endpoint;
use domain::endpoint::health::window::Window;
use domain::event::id::EventId;
use domain::inbox::Head;
use domain::tenant::api_key::{ApiKey, Pepper};
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::testing::{START, endpoint, endpoint_of, failed, key_of, tenant};
use domain::timestamp::Timestamp;
use drain::handler::Drain;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use ingest::handler::Ingest;
use runtime::answer::Answer;
use runtime::telemetry::Log;
use scheduler::handler::Scheduler;
use serde_json::Value;
use store::clock::Clock;
use store::testing::clock::FixedClock;
use store::testing::faults::Faults;
use store::testing::queue::{MemoryQueue, record};
use store::testing::webhooks::ScriptedWebhooks;

/// A whole system in memory, with one tenant.
pub(crate) struct Pipeline {
    pub(crate) faults: Faults,
    pub(crate) clock: FixedClock,
    pub(crate) tables: MemoryTables,
    pub(crate) control: Control<MemoryTable>,
    pub(crate) events: Events<Memory>,
    pub(crate) limits: Limits<MemoryTable>,
    pub(crate) schedule: Schedule<MemoryTable>,
    pub(crate) webhooks: ScriptedWebhooks,
    pub(crate) events_queue: MemoryQueue,
    pub(crate) deliveries: MemoryQueue,
    pub(crate) slow_deliveries: MemoryQueue,
    /// The log lines of the invocations.
    pub(crate) lines: Arc<Mutex<Vec<String>>>,
    pub(crate) tenant: TenantId,
    pub(crate) key: ApiKey,
    ports: Memory,
    api: Arc<Api<Memory>>,
    ingest: Ingest<Memory>,
    consumer: Box<Consumer<Memory>>,
    delivery: Box<Delivery<Memory>>,
    scheduler: Box<Scheduler<Memory>>,
    drain: Box<Drain<Memory>>,
    drains: MemoryQueue,
    /// The minute of the scheduler's last visit.
    visited: Cell<u64>,
}

/// A response of api.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The JSON of the body; null where there is none.
    pub(crate) body: Value,
}

impl Pipeline {
    /// A system whose tenant has this many endpoints.
    pub(crate) fn with_endpoints(count: u8) -> Self {
        Self::of_tier(Tier::Pro, count)
    }

    /// A system whose tenant has this tier and this many endpoints.
    pub(crate) fn of_tier(tier: Tier, count: u8) -> Self {
        let faults = Faults::default();
        let clock = FixedClock::at(START);
        let ports = Memory::new(&faults, &clock);
        let tables = ports.tables.clone();
        let tenant = tenant();
        let (key, record) = key_of(&tenant, tier);
        tables.put_key(&key.hash(&Pepper::new("pepper")), &record);
        for number in 1..=count {
            tables.put_endpoint(&tenant, &endpoint_of(&tenant, number));
        }
        let lines = Arc::new(Mutex::new(Vec::new()));
        let log = |function: &str| {
            let lines = Arc::clone(&lines);
            let keep = move |line: &str| lines.lock().expect("no holder panics").push(line.to_owned());
            Log::new(format!("triggers-{function}"), keep)
        };
        let keys = DataKeys::new(tables.control.clone(), ports.vault.clone(), clock.clone());
        Self {
            api: Arc::new(Api::new(&ports, configs::api())),
            ingest: Ingest::new(&ports, configs::ingest(), log("ingest")),
            consumer: Box::new(Consumer::new(&ports, configs::consumer(), log("consumer"))),
            delivery: Box::new(Delivery::new(&ports, configs::delivery(), log("delivery"))),
            scheduler: Box::new(Scheduler::new(&ports, &configs::scheduler(), log("scheduler"))),
            drain: Box::new(Drain::new(&ports, &configs::drain(), log("drain"))),
            drains: ports.queue(DRAINS_QUEUE),
            control: Control::new(tables.control.clone()),
            events: Events::new(tables.events.clone(), keys),
            limits: Limits::new(tables.limits.clone()),
            schedule: Schedule::new(tables.schedule.clone()),
            webhooks: ports.webhooks.clone(),
            events_queue: ports.queue(EVENTS_QUEUE),
            deliveries: ports.queue(DELIVERIES_QUEUE),
            slow_deliveries: ports.queue(SLOW_DELIVERIES_QUEUE),
            visited: Cell::new(START.minutes()),
            faults,
            clock,
            tables,
            ports,
            lines,
            tenant,
            key,
        }
    }

    /// Posts a body with the tenant's key.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.post_bytes(path, body.as_bytes()).await
    }

    /// Posts any bytes with the tenant's key.
    pub(crate) async fn post_bytes(&self, path: &str, body: &[u8]) -> Answer {
        self.post_with(path, &[("content-type", "application/json")], body).await
    }

    /// Posts any bytes with the tenant's key and these headers.
    pub(crate) async fn post_with(&self, path: &str, more: &[(&'static str, &str)], body: &[u8]) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_str(self.key.expose()).expect("a key is a header"));
        for (name, value) in more {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).expect("a header"));
        }
        self.ingest.handle(path, &headers, body, "request").await
    }

    /// Posts an event under a name of its own.
    pub(crate) async fn post_event(&self, dedup_id: &str) -> Answer {
        let body = format!(r#"{{"type":"order.created","payload":{{"n":1}},"dedup_id":"{dedup_id}"}}"#);
        self.post("/api/events", &body).await
    }

    /// Sends a request to api with the tenant's key.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> Response {
        self.call_instance(&self.api, method, path, body).await
    }

    /// Posts JSON to api with the tenant's key.
    pub(crate) async fn post_json(&self, path: &str, body: Value) -> Response {
        self.call("POST", path, &body).await
    }

    /// Starts a further instance of api.
    pub(crate) fn start_api(&self) -> Arc<Api<Memory>> {
        Arc::new(Api::new(&self.ports, configs::api()))
    }

    /// Sends a request to this instance of api with the tenant's key.
    pub(crate) async fn call_instance(
        &self,
        api: &Arc<Api<Memory>>,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Response {
        self.call_with(api, ("x-api-key", self.key.expose()), method, path, body).await
    }

    /// Sends a request to this instance of api with this credential.
    pub(crate) async fn call_with(
        &self,
        api: &Arc<Api<Memory>>,
        (header, credential): (&str, &str),
        method: &str,
        path: &str,
        body: &Value,
    ) -> Response {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header, credential)
            .header("content-type", "application/json")
            .body(body)
            .expect("a valid request");
        let path_alone = path.split('?').next().unwrap_or_default();
        let router = router::router(Arc::clone(api));
        let (parts, body) = router::answer(api, router, request, path_alone, "request").await.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body in memory");
        Response {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    /// Lets consumer take what waits, once.
    pub(crate) async fn consume(&self) -> SqsBatchResponse {
        let batch = self.events_queue.take();
        let response = self.consumer.handle(batch.clone()).await;
        if !self.faults.is_dead() {
            self.events_queue.settle(&batch, &response); // a dead process answers nothing: all of it comes again
        }
        response
    }

    /// Lets delivery handle a batch that is in no queue.
    pub(crate) async fn deliver_batch(&self, batch: SqsEvent) -> SqsBatchResponse {
        self.delivery.handle(batch, self.in_a_minute()).await
    }

    /// Lets consumer handle a batch that is in no queue.
    pub(crate) async fn consume_batch(&self, batch: SqsEvent) -> SqsBatchResponse {
        self.consumer.handle(batch).await
    }

    /// A batch of one message from the dead-letter queue.
    pub(crate) fn dead_letter(body: &str) -> SqsEvent {
        let mut dead = record("dead", body, 1);
        dead.event_source_arn = Some(DEAD_LETTERS.to_owned());
        let mut batch = SqsEvent::default();
        batch.records = vec![dead];
        batch
    }

    /// Lets delivery take what is due on the quick lane, once.
    pub(crate) async fn deliver(&self) -> SqsBatchResponse {
        self.deliver_from(&self.deliveries).await
    }

    /// Lets delivery take what is due on the slow lane, once.
    pub(crate) async fn deliver_slowly(&self) -> SqsBatchResponse {
        self.deliver_from(&self.slow_deliveries).await
    }

    async fn deliver_from(&self, queue: &MemoryQueue) -> SqsBatchResponse {
        let batch = queue.take();
        let response = self.delivery.handle(batch.clone(), self.in_a_minute()).await;
        if !self.faults.is_dead() {
            queue.settle(&batch, &response);
        }
        response
    }

    /// Lets delivery take what is due, once, with no more time than this.
    pub(crate) async fn deliver_within(&self, time: Duration) -> SqsBatchResponse {
        let batch = self.deliveries.take();
        let response = self.delivery.handle(batch.clone(), self.clock.now().after(time)).await;
        self.deliveries.settle(&batch, &response);
        response
    }

    /// Lets delivery handle one message that is no longer in the queue.
    pub(crate) async fn deliver_again(&self, message: &DeliveryMessage) {
        self.deliveries.push(store::envelope::delivery_body(message), std::time::Duration::ZERO);
        self.deliver().await;
    }

    fn in_a_minute(&self) -> Timestamp {
        self.clock.now().after(Duration::from_mins(1))
    }

    /// Moves time from message to message, with a visit of the scheduler in every minute that has something for it, until
    /// nothing is left to be done.
    pub(crate) async fn run_until_quiet(&self) {
        self.run_while(|_, _| true).await;
    }

    /// The same, up to a moment.
    pub(crate) async fn run_until(&self, end: Timestamp) {
        self.run_while(|_, next| next <= end).await;
        self.clock.set(end);
    }

    /// The same, as long as the next step, at its moment, `goes_on`.
    pub(crate) async fn run_while(&self, goes_on: impl Fn(&Self, Timestamp) -> bool) {
        for _ in 0..MAX_STEPS {
            let Some(next) = self.next_step().filter(|next| goes_on(self, *next)) else { return };
            self.clock.set(next.max(self.clock.now()));
            if self.clock.now().minutes() > self.visited.get() {
                self.visited.set(self.clock.now().minutes());
                self.schedule().await;
            }
            self.consume().await;
            self.deliver().await;
            self.deliver_slowly().await;
        }
        panic!("it never became quiet");
    }

    /// When there is something to be done next; `None` when there is nothing left. That an owner is told of what will expire is no
    /// reason to let weeks pass.
    fn next_step(&self) -> Option<Timestamp> {
        let queues = [&self.events_queue, &self.deliveries, &self.slow_deliveries];
        let messages = queues.map(MemoryQueue::next_visible);
        let visit = Timestamp::from_seconds((self.visited.get() + 1) * 60);
        let parked = (!self.tables.endpoint_rows().is_empty()).then_some(visit);
        let due = self.tables.next_due().map(|at| at.before(HORIZON).max(visit));
        let jobs = self.tables.jobs().iter().any(|job| job.ended_at.is_none()).then_some(visit);
        messages.into_iter().chain([parked, due, jobs]).flatten().min()
    }

    /// The one event that is stored.
    pub(crate) fn only_head(&self) -> Head {
        let all = self.tables.all_heads();
        assert_eq!(all.len(), 1, "stored exactly once");
        all[0].1.clone()
    }

    /// The number-th endpoint.
    pub(crate) fn endpoint(number: u8) -> Endpoint {
        endpoint(number)
    }

    /// A stored event with deliveries whose first messages wait in the queue.
    pub(crate) async fn stored_event(endpoints: u8) -> (Self, EventId) {
        let pipeline = Self::with_endpoints(endpoints);
        pipeline.post_event("one").await;
        pipeline.consume().await;
        let id = pipeline.only_head().id;
        (pipeline, id)
    }

    /// A system with an endpoint whose breaker has just opened, and this many events whose first messages wait.
    pub(crate) async fn parked(events: u8) -> Self {
        let pipeline = Self::with_endpoints(1);
        pipeline.tables.change_endpoint(&pipeline.tenant, &endpoint(1).id, |endpoint| {
            for _ in 0..10 {
                let failed = failed(false);
                let change = endpoint.health.after_failure(&failed, &Window::default(), START);
                endpoint.health = change.expect("a change").health;
            }
        });
        for n in 0..events {
            pipeline.post_event(&format!("order-{n}")).await;
        }
        pipeline.consume().await;
        pipeline
    }

    /// Forgets the messages that wait for delivery.
    pub(crate) fn drop_deliveries(&self) {
        let batch = self.deliveries.take();
        self.deliveries.settle(&batch, &SqsBatchResponse::default());
    }

    /// The messages that wait for delivery on the quick lane.
    pub(crate) fn delivery_messages(&self) -> Vec<DeliveryMessage> {
        let bodies = self.deliveries.bodies();
        bodies.iter().map(|body| store::envelope::read_delivery(body).expect("our own form")).collect()
    }
}

/// The id in an answer.
pub(crate) fn id_of(answer: &Answer) -> EventId {
    let body: Value = serde_json::from_str(answer.body()).expect("JSON");
    EventId::parse(body["id"].as_str().expect("an id")).expect("a valid id")
}

/// More than any of these stories takes.
const MAX_STEPS: usize = 200_000;

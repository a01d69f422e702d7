//! The six functions over the ports of a memory stack, and the loops that invoke those behind the queues.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use api::access::{Environment, Signup};
use api::deps::Api;
use api::router::router;
use aws::system_clock::SystemClock;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use axum::Router;
use consumer::handler::Consumer;
use delivery::handler::Delivery;
use domain::endpoint::url::UrlPolicy;
use domain::timestamp::Timestamp;
use drain::handler::Drain;
use ingest::handler::Ingest;
use scheduler::handler::Scheduler;
use store::clock::Clock;
use store::testing::memory::{
    DELIVERIES_DLQ, DELIVERIES_QUEUE, DRAINS_QUEUE, EVENTS_DLQ, EVENTS_QUEUE, Memory, QUEUES,
    SLOW_DELIVERIES_QUEUE,
};
use store::testing::tables::MemoryTables;
use store::testing::vault::MemoryVault;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::spawn_local;
use webhooks::client::WebhookClient;

use super::queue::LiveQueue;
use crate::support::configs::{self, DEAD_LETTERS};
use crate::support::lines::no_log;
use crate::support::template::{setting, settings};

/// The ports of a memory stack.
pub(crate) type Live = Memory<LiveQueue, WebhookClient, SystemClock>;

/// The instances of a function that answers HTTP. The local stack starts as many processes.
const HTTP_INSTANCES: usize = 2;

/// The instances of a function for each queue.
const QUEUE_INSTANCES: usize = 8;

/// One instance of api, with its routes.
pub(super) struct ApiInstance {
    pub(super) api: Arc<Api<Live>>,
    pub(super) router: Router,
}

/// Instances of a function. Each serves one request at a time, and they take turns.
pub(super) struct Pool<T> {
    free: Mutex<VecDeque<T>>,
    permits: Semaphore,
}

/// An instance that serves a request. It is free again when this is dropped.
pub(super) struct Busy<'a, T> {
    pool: &'a Pool<T>,
    instance: Option<T>,
    _permit: SemaphorePermit<'a>,
}

impl<T> Pool<T> {
    /// Starts the instances.
    pub(super) fn new(make: impl Fn() -> T) -> Self {
        let free = (0..HTTP_INSTANCES).map(|_| make()).collect();
        Self { free: Mutex::new(free), permits: Semaphore::new(HTTP_INSTANCES) }
    }

    /// Waits for a free instance.
    pub(super) async fn take(&self) -> Busy<'_, T> {
        let permit = self.permits.acquire().await.expect("the pool stays open");
        let instance = self.free().pop_front();
        Busy { pool: self, instance, _permit: permit }
    }

    fn free(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.free.lock().expect("no holder panics")
    }
}

impl<T> Busy<'_, T> {
    /// Returns the instance.
    pub(super) fn instance(&self) -> &T {
        self.instance.as_ref().expect("there are as many instances as permits")
    }
}

impl<T> Drop for Busy<'_, T> {
    fn drop(&mut self) {
        self.pool.free().extend(self.instance.take());
    }
}

/// Returns the ports of a stack over these tables.
pub(super) fn ports(tables: MemoryTables) -> Live {
    let (events_dlq, deliveries_dlq) = (dead_letters("EventsDlq"), dead_letters("DeliveriesDlq"));
    let events = queue("EventsQueue", EVENTS_QUEUE, &events_dlq);
    let deliveries = queue("DeliveriesQueue", DELIVERIES_QUEUE, &deliveries_dlq);
    let slow_deliveries = queue("SlowDeliveriesQueue", SLOW_DELIVERIES_QUEUE, &deliveries_dlq);
    let drains = LiveQueue::new(DRAINS_QUEUE, visibility("DrainsQueue"));
    let queues = [events, events_dlq, deliveries, slow_deliveries, deliveries_dlq, drains];
    Memory {
        tables,
        queues: QUEUES.into_iter().zip(queues).collect(),
        vault: MemoryVault::default(),
        webhooks: WebhookClient::new().expect("a TLS provider"),
        clock: SystemClock,
    }
}

/// Returns a queue of the template, whose messages move to this dead-letter queue.
fn queue(resource: &str, arn: &'static str, dead_letters: &LiveQueue) -> LiveQueue {
    let redrive = (setting(resource, "maxReceiveCount"), dead_letters.clone());
    LiveQueue::with_redrive(arn, visibility(resource), Some(redrive))
}

/// Returns a dead-letter queue of the template.
fn dead_letters(resource: &str) -> LiveQueue {
    LiveQueue::new(DEAD_LETTERS, visibility(resource))
}

/// Returns the visibility timeout of a queue of the template.
fn visibility(resource: &str) -> Duration {
    Duration::from_secs(setting(resource, "VisibilityTimeout"))
}

/// Returns an instance of ingest, configured as the template configures it.
pub(super) fn ingest(ports: &Live) -> Ingest<Live> {
    let seconds: u64 = setting("IngestFunction", "SHED_AFTER_SECONDS");
    let shed_after = (seconds > 0).then_some(Duration::from_secs(seconds));
    let config = ingest::config::Config { shed_after, ..configs::ingest() };
    Ingest::new(ports, config, no_log())
}

/// Returns an instance of api, configured as the template configures it.
pub(super) fn api(ports: &Live) -> ApiInstance {
    let is = |variable, value: &str| setting::<String>("ApiFunction", variable) == value;
    let config = api::config::Config {
        signup: if is("SIGNUP", "open") { Signup::Open } else { Signup::Admin },
        environment: if is("ENVIRONMENT", "local") { Environment::Local } else { Environment::Aws },
        url_policy: url_policy("ApiFunction"),
        max_leases: setting("ApiFunction", "QUARANTINE_AFTER_LEASES"),
        ..configs::api()
    };
    let api = Arc::new(Api::new(ports, config));
    ApiInstance { router: router(Arc::clone(&api)), api }
}

/// The scheduler, and drain, which handles what the scheduler shares out.
pub(super) struct Visits {
    scheduler: Scheduler<Live>,
    drain: Drain<Live>,
    drains: LiveQueue,
}

impl Visits {
    /// Starts both, configured as the template configures them.
    pub(super) fn start(ports: &Live) -> Self {
        let erasure_pause = Duration::from_secs(setting("SchedulerFunction", "ERASURE_PAUSE_SECONDS"));
        let config = scheduler::config::Config { erasure_pause, ..configs::scheduler() };
        Self {
            scheduler: Scheduler::new(ports, &config, no_log()),
            drain: Drain::new(ports, &configs::drain(), no_log()),
            drains: ports.queues[DRAINS_QUEUE].clone(),
        }
    }

    /// Lets the scheduler come once, and waits until its shares are handled.
    pub(super) async fn come(&self) {
        self.scheduler.handle(deadline("SchedulerFunction")).await;
        loop {
            let batch = self.drains.receive_now(setting("DrainFunction", "BatchSize"));
            if batch.records.is_empty() {
                break;
            }
            self.drain.handle(batch.clone(), deadline("DrainFunction")).await;
            self.drains.settle(&batch, &SqsBatchResponse::default());
        }
    }
}

/// Starts the instances of consumer and delivery, each with its queue or dead-letter queue.
pub(super) fn start_behind_queues(ports: &Live) {
    for (queue, most) in sources(ports, "ConsumerFunction", &[EVENTS_QUEUE, EVENTS_DLQ]) {
        let consumer = Consumer::new(ports, configs::consumer(), no_log());
        let consumer = Arc::new(consumer);
        serve(queue, most, move |batch| {
            let consumer = Arc::clone(&consumer);
            async move { consumer.handle(batch).await }
        });
    }
    let deliveries = [DELIVERIES_QUEUE, SLOW_DELIVERIES_QUEUE, DELIVERIES_DLQ];
    for (queue, most) in sources(ports, "DeliveryFunction", &deliveries) {
        let url_policy = url_policy("DeliveryFunction");
        let config = delivery::config::Config { url_policy, ..configs::delivery() };
        let delivery = Arc::new(Delivery::new(ports, config, no_log()));
        serve(queue, most, move |batch| {
            let delivery = Arc::clone(&delivery);
            async move { delivery.handle(batch, deadline("DeliveryFunction")).await }
        });
    }
}

/// Returns the queue and the batch size of each instance of a function.
fn sources(ports: &Live, function: &str, names: &[&str]) -> Vec<(LiveQueue, usize)> {
    let sizes = settings(function, "BatchSize");
    let sources = names.iter().zip(sizes).map(|(name, size)| (ports.queues[*name].clone(), size));
    let sources: Vec<_> = sources.collect();
    assert_eq!(sources.len(), names.len(), "{function} has a batch size for each of its queues");
    (0..QUEUE_INSTANCES).flat_map(|_| sources.clone()).collect()
}

/// Passes one batch after another to an instance.
fn serve<F>(queue: LiveQueue, most: usize, handle: impl Fn(SqsEvent) -> F + 'static)
where
    F: Future<Output = SqsBatchResponse>,
{
    spawn_local(async move {
        loop {
            let batch = queue.receive(most).await;
            let response = handle(batch.clone()).await;
            queue.settle(&batch, &response);
        }
    });
}

/// Returns when an invocation that begins now must have ended.
fn deadline(function: &str) -> Timestamp {
    SystemClock.now().after(Duration::from_secs(setting(function, "Timeout")))
}

fn url_policy(function: &str) -> UrlPolicy {
    let is_allowed = setting::<String>(function, "LOOPBACK_ENDPOINTS") == "allowed";
    if is_allowed { UrlPolicy::LoopbackAllowed } else { UrlPolicy::Strict }
}

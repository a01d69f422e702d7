//! One tenant's events for an endpoint that hangs, beside tenants whose endpoints answer. Time is simulated: a hundred workers
//! run the real handler at once, over tables in memory and a queue that gives out messages as SQS' fair queues are
//! documented to: of the tenant that has the fewest under way.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use delivery::handler::{Delivery, Ports};
use futures_util::future::join_all;
use scheduler::handler::Scheduler;
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep};
use triggers::adapters::queues::delivery_body;
use triggers::api_key::Pepper;
use triggers::delivery::DeliveryMessage;
use triggers::endpoint::{DEFAULT_RATE_PER_SECOND, Endpoint, MAX_RATE_PER_SECOND, UrlPolicy};
use triggers::inbox::Head;
use triggers::ports::{
    Clock, Delayed, DeliveryQueue, Events, PortResult, SourceQueue, WebhookRequest, WebhookSender,
};
use triggers::signature::SigningSecrets;
use triggers::tenant::TenantId;
use triggers::testing::builders::{START, endpoint_of, event, tenant};
use triggers::testing::control::MemoryControl;
use triggers::testing::events::MemoryEvents;
use triggers::testing::limits::MemoryLimits;
use triggers::testing::queues::record;
use triggers::testing::schedule::MemorySchedule;
use triggers::testing::vault::MemoryVault;
use triggers::timestamp::Timestamp;
use triggers::verdict::{Answer, Failure};

/// The function's instances, as the template allows them.
const WORKERS: usize = 100;

/// What one receipt takes.
const POLL: Duration = Duration::from_millis(20);

/// How long a good receiver takes.
const GOOD: Duration = Duration::from_millis(50);

/// How long the client waits for one that hangs.
const HANGS: Duration = Duration::from_secs(13);

const NOISY_EVENTS: usize = 20_000;
const QUIET_TENANTS: usize = 20;
const QUIET_EVENTS: usize = 120;

/// Simulated time.
#[derive(Clone, Copy)]
struct SimulatedClock(Instant);

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        START.after(self.0.elapsed())
    }
}

/// Messages by their group.
#[derive(Clone)]
struct FairQueue {
    clock: SimulatedClock,
    state: Arc<Mutex<Queued>>,
    arrived: Arc<Notify>,
}

#[derive(Default)]
struct Queued {
    groups: BTreeMap<String, Group>,
    owners: BTreeMap<String, String>,
    sent: u64,
}

#[derive(Default)]
struct Group {
    waiting: VecDeque<(String, String)>,
    under_way: usize,
}

impl FairQueue {
    fn new(clock: SimulatedClock) -> Self {
        Self { clock, state: Arc::default(), arrived: Arc::new(Notify::new()) }
    }

    fn state(&self) -> MutexGuard<'_, Queued> {
        self.state.lock().unwrap()
    }

    fn arrive(&self, group: &str, body: String) {
        let mut state = self.state();
        state.sent += 1;
        let id = format!("message-{}", state.sent);
        state.owners.insert(id.clone(), group.to_owned());
        state.groups.entry(group.to_owned()).or_default().waiting.push_back((id, body));
        drop(state);
        self.arrived.notify_one();
    }

    /// Up to ten messages, as soon as there is one.
    async fn take(&self) -> SqsEvent {
        loop {
            let batch = self.try_take();
            if !batch.records.is_empty() {
                self.arrived.notify_one(); // there may be more
                return batch;
            }
            self.arrived.notified().await;
        }
    }

    fn try_take(&self) -> SqsEvent {
        let (mut batch, mut state) = (SqsEvent::default(), self.state());
        while batch.records.len() < 10 {
            let waiting = state.groups.values_mut().filter(|group| !group.waiting.is_empty());
            let Some(group) = waiting.min_by_key(|group| group.under_way) else { break };
            group.under_way += 1;
            batch.records.extend(group.waiting.pop_front().map(|(id, body)| record(&id, &body, 1)));
        }
        batch
    }

    fn settle(&self, batch: &SqsEvent, response: &SqsBatchResponse) {
        assert!(response.batch_item_failures.is_empty(), "nothing fails here");
        let mut state = self.state();
        for id in batch.records.iter().filter_map(|record| record.message_id.as_deref()) {
            let owner = state.owners.remove(id).unwrap();
            state.groups.get_mut(&owner).unwrap().under_way -= 1;
        }
    }
}

impl DeliveryQueue for FairQueue {
    async fn send(&self, messages: &[Delayed]) -> PortResult<()> {
        for Delayed { message, delay } in messages {
            let seconds = u64::try_from(delay.as_millis().div_ceil(1000)).unwrap(); // SQS knows whole seconds alone
            let (queue, delay, body) = (self.clone(), Duration::from_secs(seconds), delivery_body(message));
            let group = message.tenant.to_string();
            if delay.is_zero() {
                queue.arrive(&group, body);
                continue;
            }
            tokio::spawn(async move {
                sleep(delay).await;
                queue.arrive(&group, body);
            });
        }
        Ok(())
    }
}

impl SourceQueue for FairQueue {
    async fn delete(&self, _: &[String]) -> PortResult<()> {
        Ok(())
    }
}

/// Receivers, of which the first hangs.
#[derive(Clone)]
struct Receivers {
    /// For each event that came to a good one, how long after its acceptance.
    waited: Arc<Mutex<Vec<Duration>>>,
    hung: Arc<Mutex<usize>>,
}

impl WebhookSender for Receivers {
    async fn post(&self, request: &WebhookRequest, now: Timestamp) -> Answer {
        if request.url.host() == "receiver-0.example.com" {
            *self.hung.lock().unwrap() += 1;
            sleep(HANGS).await;
            return Answer::None(Failure::TimedOut);
        }
        let (_, id) = request.headers.iter().find(|(name, _)| name == "webhook-id").unwrap();
        let accepted_at = triggers::event::EventId::parse(id).unwrap().accepted_at();
        self.waited.lock().unwrap().push(now.since(accepted_at));
        sleep(GOOD).await;
        Answer::Status { code: 200, retry_after: None, excerpt: String::new() }
    }
}

struct Simulated;

impl Ports for Simulated {
    type Control = MemoryControl;
    type Events = MemoryEvents;
    type Limits = MemoryLimits;
    type Schedule = MemorySchedule;
    type Queue = FairQueue;
    type Vault = MemoryVault;
    type Webhooks = Receivers;
    type Clock = SimulatedClock;
}

/// A minute of the quiet tenants, with or without the noisy one, whose endpoint has this rate: what their events waited, sorted, and how many requests hung.
async fn minute(noisy_events: usize, noisy_rate: u32) -> (Vec<Duration>, usize) {
    let clock = SimulatedClock(Instant::now());
    let (control, events, limits, schedule) = (
        MemoryControl::default(),
        MemoryEvents::default(),
        MemoryLimits::default(),
        MemorySchedule::default(),
    );
    let queue = FairQueue::new(clock);
    let receivers = Receivers { waited: Arc::default(), hung: Arc::default() };
    let delivery = Arc::new(Delivery::<Simulated> {
        control: control.clone(),
        events: events.clone(),
        limits: limits.clone(),
        schedule: schedule.clone(),
        deliveries: queue.clone(),
        vault: MemoryVault::default(),
        webhooks: receivers.clone(),
        clock,
        signing: SigningSecrets::new(Pepper::new("signing").into()),
        url_policy: UrlPolicy::Strict,
        dead_letters_arn: "dead letters".to_owned(),
        log: Box::new(|_| ()),
    });
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (delivery, queue) = (Arc::clone(&delivery), queue.clone());
            spawn_local(async move {
                loop {
                    let batch = queue.take().await;
                    sleep(POLL).await;
                    let until = queue.clock.now().after(Duration::from_secs(60));
                    let response = delivery.handle(batch.clone(), until).await;
                    queue.settle(&batch, &response);
                }
            })
        })
        .collect();
    let scheduler = Scheduler {
        control: control.clone(),
        events: events.clone(),
        limits,
        schedule,
        deliveries: queue.clone(),
        clock,
        erasure_pause: Duration::from_mins(3),
        log: Box::new(|_| ()),
    };
    let visits = spawn_local(async move {
        loop {
            sleep(Duration::from_mins(1)).await;
            scheduler.handle(clock.now().after(Duration::from_secs(55))).await;
        }
    });

    let post = async |tenant: &TenantId, number: u8| {
        let event = event(tenant, "a", "1", clock.now());
        let head = Head::born(&event, [endpoint_of(tenant, number).id]);
        events.insert(&event, &head).await.unwrap();
        let (endpoint, entry) = head.deliveries.first_key_value().unwrap();
        let first = DeliveryMessage::first(tenant, event.id, endpoint, entry, true);
        queue.send(&[Delayed::not(first)]).await.unwrap();
    };
    let tenants: Vec<(TenantId, u8)> =
        (0..=QUIET_TENANTS).map(|n| (tenant(), u8::try_from(n).unwrap())).collect();
    for (tenant, number) in &tenants {
        let rate_per_second = if *number == 0 { noisy_rate } else { DEFAULT_RATE_PER_SECOND };
        control.put_endpoint(tenant, Endpoint { rate_per_second, ..endpoint_of(tenant, *number) });
    }
    let posts = tenants.iter().map(|(tenant, number)| {
        let is_noisy = *number == 0;
        let (count, pause) = if is_noisy { (noisy_events, 0) } else { (QUIET_EVENTS, 500) };
        let post = &post;
        async move {
            sleep(Duration::from_millis(u64::from(*number) * 7)).await;
            for _ in 0..count {
                post(tenant, *number).await;
                sleep(Duration::from_millis(pause)).await;
            }
        }
    });
    join_all(posts).await;
    sleep(Duration::from_mins(2)).await; // long after the last quiet event
    workers.iter().for_each(tokio::task::JoinHandle::abort);
    visits.abort();
    let mut waited = receivers.waited.lock().unwrap().clone();
    waited.sort_unstable();
    let hung = *receivers.hung.lock().unwrap();
    (waited, hung)
}

#[tokio::test(start_paused = true)]
async fn quiet_tenants_do_not_wait_for_one_whose_endpoint_hangs() {
    let p99 = |waited: &[Duration]| waited[waited.len() * 99 / 100];
    let (alone, _) = LocalSet::new().run_until(minute(0, DEFAULT_RATE_PER_SECOND)).await;
    println!("from acceptance to the first attempt, p99: {:?} alone", p99(&alone));
    for rate in [DEFAULT_RATE_PER_SECOND, MAX_RATE_PER_SECOND] {
        let (beside, hung) = LocalSet::new().run_until(minute(NOISY_EVENTS, rate)).await;
        println!(
            "{:?} beside {NOISY_EVENTS} events at {rate}/s, of which {hung} requests hung",
            p99(&beside)
        );
        assert_eq!((alone.len(), beside.len()), (QUIET_TENANTS * QUIET_EVENTS, QUIET_TENANTS * QUIET_EVENTS));
        assert!(p99(&beside) <= 2 * p99(&alone), "{:?} and {:?}", p99(&alone), p99(&beside));
    }
}

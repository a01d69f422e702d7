//! Simulated time: a hundred workers run the real delivery at once, over tables in memory and a queue that gives out messages
//! as SQS' fair queues are documented to: of the tenant that has the fewest under way.

use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use delivery::handler::{Delivery, Ports};
use domain::delivery::DeliveryMessage;
use domain::delivery::signature::SigningSecrets;
use domain::endpoint::url::UrlPolicy;
use domain::event::id::EventId;
use domain::inbox::Head;
use domain::tenant::api_key::Pepper;
use domain::tenant::id::TenantId;
use domain::testing::{START, endpoint_of, event};
use domain::timestamp::Timestamp;
use scheduler::handler::Scheduler;
use store::adapters::queues::envelope::delivery_body;
use store::ports::events::Events;
use store::ports::{Clock, Delayed, DeliveryQueue, SourceQueue, WebhookSender};
use store::testing::control::MemoryControl;
use store::testing::events::MemoryEvents;
use store::testing::limits::MemoryLimits;
use store::testing::queues::record;
use store::testing::schedule::MemorySchedule;
use store::testing::vault::MemoryVault;
use store::unavailable::PortResult;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep};

/// The function's instances, as the template allows them.
const WORKERS: usize = 100;

/// What one receipt takes.
const POLL: Duration = Duration::from_millis(20);

/// A scheduler that sends through this queue.
pub(crate) type SimulatedScheduler<Q> =
    Scheduler<MemoryControl, MemoryEvents, MemoryLimits, MemorySchedule, Q, SimulatedClock>;

/// Simulated time.
#[derive(Clone, Copy)]
pub(crate) struct SimulatedClock(Instant);

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        START.after(self.0.elapsed())
    }
}

/// Messages by their group.
#[derive(Clone)]
pub(crate) struct FairQueue {
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

struct Simulated<W>(PhantomData<W>);

impl<W: WebhookSender> Ports for Simulated<W> {
    type Control = MemoryControl;
    type Events = MemoryEvents;
    type Limits = MemoryLimits;
    type Schedule = MemorySchedule;
    type Queue = FairQueue;
    type Vault = MemoryVault;
    type Webhooks = W;
    type Clock = SimulatedClock;
}

/// A system whose deliverers work until it is dropped.
pub(crate) struct Simulation {
    pub(crate) clock: SimulatedClock,
    pub(crate) control: MemoryControl,
    pub(crate) events: MemoryEvents,
    pub(crate) schedule: MemorySchedule,
    pub(crate) queue: FairQueue,
    limits: MemoryLimits,
    workers: Vec<JoinHandle<()>>,
}

impl Simulation {
    /// A system whose webhooks are sent by this. Must run within a `LocalSet`, in paused time.
    pub(crate) fn start<W: WebhookSender + 'static>(webhooks: W) -> Self {
        let clock = SimulatedClock(Instant::now());
        let (control, events) = (MemoryControl::default(), MemoryEvents::default());
        let (limits, schedule) = (MemoryLimits::default(), MemorySchedule::default());
        let queue = FairQueue::new(clock);
        let delivery = Arc::new(Delivery::<Simulated<W>> {
            control: control.clone(),
            events: events.clone(),
            limits: limits.clone(),
            schedule: schedule.clone(),
            deliveries: queue.clone(),
            vault: MemoryVault::default(),
            webhooks,
            clock,
            signing: SigningSecrets::new(Pepper::new("signing").into()),
            url_policy: UrlPolicy::Strict,
            dead_letters_arn: "dead letters".to_owned(),
            log: Box::new(|_| ()),
        });
        let worker = |_| {
            let (delivery, queue) = (Arc::clone(&delivery), queue.clone());
            spawn_local(async move {
                loop {
                    let batch = queue.take().await;
                    sleep(POLL).await;
                    let until = queue.clock.now().after(Duration::from_mins(1));
                    let response = delivery.handle(batch.clone(), until).await;
                    queue.settle(&batch, &response);
                }
            })
        };
        let workers = (0..WORKERS).map(worker).collect();
        Self { clock, control, events, schedule, queue, limits, workers }
    }

    /// A scheduler of this system.
    pub(crate) fn scheduler<Q: DeliveryQueue>(&self, deliveries: Q) -> SimulatedScheduler<Q> {
        Scheduler {
            control: self.control.clone(),
            events: self.events.clone(),
            limits: self.limits.clone(),
            schedule: self.schedule.clone(),
            deliveries,
            clock: self.clock,
            erasure_pause: Duration::from_mins(3),
            log: Box::new(|_| ()),
        }
    }

    /// Stores an event for the endpoint of this number, and sends its first message.
    pub(crate) async fn post(&self, tenant: &TenantId, number: u8) -> EventId {
        let event = event(tenant, "a", "1", self.clock.now());
        let head = Head::new(&event, [endpoint_of(tenant, number).id]);
        self.events.insert(&event, &head).await.unwrap();
        let (endpoint, entry) = head.deliveries.first_key_value().unwrap();
        let first = DeliveryMessage::first(tenant, event.id, endpoint, entry, true);
        self.queue.send(&[Delayed::not(first)]).await.unwrap();
        event.id
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.workers.iter().for_each(JoinHandle::abort);
    }
}

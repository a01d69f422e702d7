//! A replay of ten thousand events whose scheduler is killed twice, beside the live events of the same endpoint, in simulated
//! time: each is sent again once, and the live ones do not wait for them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::queue::{Depth, Outgoing, Queue};

use domain::delivery::DeliveryMessage;
use domain::delivery::verdict::{Answer, Verdict};
use domain::delivery::webhook_request::WebhookRequest;
use domain::event::id::EventId;
use domain::inbox::{Head, Status};
use domain::job::id::JobId;
use domain::job::replay::{Filter, Progress, Replay};
use domain::job::{Job, Work};
use domain::tenant::id::TenantId;
use domain::testing::{START, attempted, endpoint_of, event, tenant};
use domain::timestamp::Timestamp;
use store::clock::Clock;
use store::unavailable::PortResult;
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use crate::support::answering::Answering;
use crate::support::fair_queue::FairQueue;
use crate::support::simulation::Simulation;

/// How many events are sent again.
const REPLAYED: u64 = 10_000;

/// One live event in so long: five a second.
const LIVE_EVERY: Duration = Duration::from_millis(200);

/// For so long.
const LIVE: Duration = Duration::from_mins(18);

/// The sends of the scheduler in which it is killed, half of the messages sent.
const DEADLY: [usize; 2] = [25, 60];

/// A receiver that takes everything.
#[derive(Clone, Default)]
struct Taker(Arc<Mutex<Vec<(EventId, Timestamp)>>>);

impl Answering for Taker {
    async fn answer(&self, request: &WebhookRequest, now: Timestamp) -> Answer {
        let (_, id) = request.headers.iter().find(|(name, _)| name == "webhook-id").unwrap();
        self.0.lock().unwrap().push((EventId::parse(id).unwrap(), now));
        sleep(Duration::from_millis(50)).await;
        Answer::Status { code: 200, retry_after: None, excerpt: String::new() }
    }
}

/// A queue in the middle of whose sends its sender is killed.
#[derive(Clone)]
struct DeadlyQueue {
    queue: FairQueue,
    sends: Arc<Mutex<usize>>,
    killed: Arc<Notify>,
}

impl Queue for DeadlyQueue {
    async fn send(&self, messages: &[Outgoing]) -> Vec<PortResult<()>> {
        let send = {
            let mut sends = self.sends.lock().unwrap();
            *sends += usize::from(!messages.is_empty());
            *sends
        };
        if messages.is_empty() || !DEADLY.contains(&send) {
            return self.queue.send(messages).await;
        }
        self.queue.send(&messages[..messages.len() / 2]).await;
        self.killed.notify_one();
        pending().await
    }

    async fn delete(&self, receipts: &[String]) -> PortResult<()> {
        self.queue.delete(receipts).await
    }

    async fn depth(&self) -> PortResult<Depth> {
        self.queue.depth().await
    }
}

/// What was seen.
struct Seen {
    /// What live events waited for their first attempt, sorted.
    waited: Vec<Duration>,
    /// How often each replayed event was sent.
    posts: BTreeMap<EventId, usize>,
    /// The replay at its end.
    job: Option<Job>,
    kills: usize,
}

/// Live events of one endpoint, and beside them a replay, if it is asked for.
async fn live(beside_a_replay: bool) -> Seen {
    let taker = Taker::default();
    let system = Simulation::start(taker.clone());
    let (tenant, clock) = (tenant(), system.clock);
    system.tables.put_endpoint(&tenant, &endpoint_of(&tenant, 1));
    let id = JobId::generate_replay(START, &mut rand::rng());
    if beside_a_replay {
        store(&system, &tenant).await;
        system.schedule.put_job(&job(&id, &tenant)).await.unwrap();
    }
    let killed = Arc::new(Notify::new());
    let sends = Arc::default();
    let deadly = system.queues().map(|queue| {
        let (sends, killed) = (Arc::clone(&sends), Arc::clone(&killed));
        DeadlyQueue { queue, sends, killed }
    });
    let (scheduler, kills) = (system.scheduler(deadly), Arc::new(Mutex::new(0)));
    let visits = spawn_local({
        let kills = Arc::clone(&kills);
        async move {
            loop {
                tokio::select! {
                    () = scheduler.handle(clock.now().after(Duration::from_secs(55))) => (),
                    () = killed.notified() => *kills.lock().unwrap() += 1,
                }
                sleep(Duration::from_mins(1)).await;
            }
        }
    });
    let mut live = BTreeSet::new();
    while clock.now() < START.after(LIVE) {
        live.insert(system.post(&tenant, 1).await);
        sleep(LIVE_EVERY).await;
    }
    sleep(Duration::from_mins(2)).await; // long after the last event
    visits.abort();
    let stuck = system.tables.all_heads().into_iter().filter(|(_, head)| head.status != Status::Delivered);
    assert_eq!(stuck.count(), 0, "delivered or failed, and in no queue");
    let job = system.schedule.replay(&tenant, &id).await.unwrap();
    let kills = *kills.lock().unwrap();
    let mut seen = Seen { waited: Vec::new(), posts: BTreeMap::new(), job, kills };
    for (event, at) in taker.0.lock().unwrap().iter() {
        if live.contains(event) {
            seen.waited.push(at.since(event.accepted_at()));
        } else {
            *seen.posts.entry(*event).or_default() += 1;
        }
    }
    assert_eq!(seen.waited.len(), live.len(), "each live event once");
    seen.waited.sort_unstable();
    seen
}

/// Events of the last hours that were delivered.
async fn store(system: &Simulation<Taker>, tenant: &TenantId) {
    let endpoint = endpoint_of(tenant, 1).id;
    for n in 0..REPLAYED {
        let event = event(tenant, "a", "1", START.before(Duration::from_secs(n + 1)));
        let head = Head::new(&event, [endpoint.clone()]);
        let first = DeliveryMessage::first(tenant, event.id, &endpoint, &head.deliveries[&endpoint], true);
        let taken = head.record(&first, &attempted(Verdict::Delivered, "200")).unwrap();
        system.events.insert(&event, &taken).await.unwrap();
    }
}

fn job(id: &JobId, tenant: &TenantId) -> Job {
    let since = START.before(Duration::from_secs(REPLAYED + 1));
    let replay = Replay {
        filter: Filter { shards: 1, since, until: START, event_type: None, status: None },
        endpoint: None,
        rate_per_second: None,
        count: REPLAYED,
        count_is_exact: true,
        progress: Progress::default(),
    };
    Job::new(id.clone(), tenant.clone(), Work::Replay(Box::new(replay)), START)
}

#[tokio::test(start_paused = true)]
async fn live_events_do_not_wait_for_a_replay_of_ten_thousand_whose_scheduler_is_killed_twice() {
    let alone = LocalSet::new().run_until(live(false)).await;
    let beside = LocalSet::new().run_until(live(true)).await;
    let of_hundred = |seen: &Seen, percent: usize| seen.waited[seen.waited.len() * percent / 100];
    let job = beside.job.as_ref().expect("a replay");
    let Work::Replay(replay) = &job.work else { panic!("no replay") };
    let (progress, took) = (&replay.progress, job.ended_at.expect("it has ended").since(job.created_at));
    let twice = beside.posts.values().filter(|posts| **posts > 1).count();
    println!(
        "from acceptance to the first attempt of {} live events: p50 {:?}, p99 {:?} alone; p50 {:?}, p99 {:?} beside a replay of {REPLAYED}",
        alone.waited.len(),
        of_hundred(&alone, 50),
        of_hundred(&alone, 99),
        of_hundred(&beside, 50),
        of_hundred(&beside, 99),
    );
    println!(
        "the replay took {took:?} with {} kills; {} events came, {twice} of them twice; {progress:?}",
        beside.kills,
        beside.posts.len()
    );
    assert_eq!((job.state(), beside.kills), ("done", DEADLY.len()));
    assert_eq!((progress.seen, progress.replayed, progress.deliveries), (REPLAYED, REPLAYED, REPLAYED));
    assert_eq!((beside.posts.len(), twice), (usize::try_from(REPLAYED).unwrap(), 0), "each once");
    assert!(of_hundred(&beside, 99).as_millis() * 100 <= of_hundred(&alone, 99).as_millis() * 120);
}

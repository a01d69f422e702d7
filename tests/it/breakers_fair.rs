//! What a circuit breaker makes of endpoints that fail now and then, of one event that is always refused, of a dead endpoint
//! and of one that answers 429, in simulated time.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::delivery::verdict::Answer;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::{Endpoint, EndpointState};
use domain::event::id::EventId;
use domain::tenant::id::TenantId;
use domain::testing::{START, endpoint_of, tenant};
use domain::timestamp::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::clock::Clock;
use store::testing::table::usage::Operation;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use crate::support::answering::Answering;
use crate::support::simulation::Simulation;

pub(crate) const HOUR: Duration = Duration::from_hours(1);
const VISITS: Duration = Duration::from_mins(10);
const SIX_DAYS: Duration = Duration::from_hours(6 * 24);

/// The answers of a receiver, by event and time.
type Rule = Box<dyn FnMut(EventId, Timestamp) -> u16 + Send>;

/// A receiver that answers by a rule, and remembers its answers.
#[derive(Clone)]
pub(crate) struct Ruled {
    /// How long it takes to answer.
    takes: Duration,
    rule: Arc<Mutex<Rule>>,
    pub(crate) answered: Arc<Mutex<Vec<(Timestamp, EventId, u16)>>>,
}

impl Ruled {
    pub(crate) fn by(rule: impl FnMut(EventId, Timestamp) -> u16 + Send + 'static) -> Self {
        let takes = Duration::from_millis(50);
        Self { takes, rule: Arc::new(Mutex::new(Box::new(rule))), answered: Arc::default() }
    }

    /// How many requests were answered with this status; with any for 0.
    pub(crate) fn count(&self, status: u16) -> usize {
        let answered = self.answered.lock().unwrap();
        answered.iter().filter(|(_, _, code)| status == 0 || *code == status).count()
    }
}

impl Answering for Ruled {
    async fn answer(&self, request: &WebhookRequest, now: Timestamp) -> Answer {
        let (_, id) = request.headers.iter().find(|(name, _)| name == "webhook-id").unwrap();
        let id = EventId::parse(id).unwrap();
        let code = (*self.rule.lock().unwrap())(id, now);
        self.answered.lock().unwrap().push((now, id, code));
        sleep(self.takes).await;
        Answer::Status { code, retry_after: None, excerpt: String::new() }
    }
}

/// A tenant with one endpoint, and the system that delivers to it.
pub(crate) struct Story {
    pub(crate) system: Simulation<Ruled>,
    tenant: TenantId,
    endpoint: Endpoint,
    pub(crate) receiver: Ruled,
}

impl Story {
    /// Starts the system, whose scheduler comes every minute.
    pub(crate) fn start(receiver: Ruled) -> Self {
        Self::start_with_visits(receiver, Duration::from_mins(1))
    }

    /// Starts the system, whose scheduler comes so often. Rare visits make long stories short.
    fn start_with_visits(receiver: Ruled, every: Duration) -> Self {
        let system = Simulation::start(receiver.clone());
        let tenant = tenant();
        let endpoint = endpoint_of(&tenant, 1);
        system.tables.put_endpoint(&tenant, &endpoint);
        let visits = system.visits();
        spawn_local(async move {
            loop {
                sleep(every).await;
                visits.come().await;
            }
        });
        Self { system, tenant, endpoint, receiver }
    }

    pub(crate) async fn post(&self) -> EventId {
        self.system.post(&self.tenant, 1).await
    }

    /// Posts as many events as are missing to this number of parked deliveries.
    async fn post_until_parked(&self, parked: usize) {
        for _ in self.system.tables.parked().len()..parked {
            self.post().await;
        }
    }

    /// The number of events by status.
    pub(crate) fn statuses(&self) -> BTreeMap<&'static str, usize> {
        let mut counted = BTreeMap::new();
        for (_, head) in self.system.tables.all_heads().iter().filter(|(_, head)| !head.deliveries.is_empty())
        {
            *counted.entry(head.status.as_str()).or_default() += 1;
        }
        counted
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.system.tables.endpoint(&self.tenant, &self.endpoint.id).unwrap()
    }

    pub(crate) fn opened(&self) -> usize {
        self.system.opened.load(Ordering::Relaxed)
    }
}

/// A receiver that refuses this percentage of the requests at random.
fn failing(percent: u32, seed: u64) -> Ruled {
    let mut rng = StdRng::seed_from_u64(seed);
    Ruled::by(move |_, _| if rng.random_range(0..100) < percent { 500 } else { 200 })
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_some_requests_at_random_is_never_silenced() {
    for percent in [20, 45] {
        LocalSet::new()
            .run_until(async {
                let story = Story::start_with_visits(failing(percent, 7), VISITS);
                for _ in 0..1000 {
                    story.post().await;
                }
                sleep(Duration::from_mins(1)).await;
                let within_a_minute = story.receiver.count(0);
                while story.statuses() != BTreeMap::from([("delivered", 1000)]) {
                    assert!(story.system.clock.now().since(START) < SIX_DAYS, "{:?}", story.statuses());
                    sleep(HOUR).await;
                }
                let (requests, statuses) = (story.receiver.count(0), story.statuses());
                println!(
                    "{percent} % failures: {within_a_minute} requests in the first minute, {requests} in all, {statuses:?}, opened {} times",
                    story.opened()
                );
                assert_eq!(story.opened(), 0);
                assert!(within_a_minute >= 1100, "1,000 first attempts at 30/s take 34 s, with their first retries");
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_event_that_is_always_refused_among_thousands_harms_nobody() {
    const EVENTS: u32 = 10_000;
    LocalSet::new()
        .run_until(async {
            let poison: Arc<Mutex<Option<EventId>>> = Arc::default();
            let refused = Arc::clone(&poison);
            let receiver = Ruled::by(move |id, _| if *refused.lock().unwrap() == Some(id) { 500 } else { 200 });
            let story = Story::start_with_visits(receiver, VISITS);
            for n in 0..=EVENTS {
                let id = story.post().await;
                if n == 10 {
                    *poison.lock().unwrap() = Some(id);
                }
                sleep(SIX_DAYS / EVENTS).await;
            }
            sleep(HOUR).await;
            let (statuses, endpoint) = (story.statuses(), story.endpoint());
            let writes = story.system.tables.control.usage().calls_of(Operation::Update);
            let of_health = endpoint.health.rev;
            assert!(of_health <= 2 * 14, "{of_health}: on a failure, and on the first success after one");
            let of_deliveries = writes - of_health;
            assert!(of_deliveries <= 6 * 24 * 4 + 1, "{of_deliveries}: one in a quarter of an hour");
            println!(
                "one poison event among {EVENTS} in six days: {statuses:?}, {} failed requests, opened {} times",
                story.receiver.count(500),
                story.opened()
            );
            assert_eq!(statuses["delivered"], 10_000);
            assert_eq!((statuses["failed"], story.receiver.count(500)), (1, 14));
            assert_eq!((story.opened(), endpoint.state), (0, EndpointState::Active));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_endpoint_gets_at_most_twenty_requests_in_six_hours() {
    LocalSet::new()
        .run_until(async {
            let story = Story::start(Ruled::by(|_, _| 503));
            for _ in 0..540 {
                story.post().await;
                sleep(Duration::from_secs(40)).await;
            }
            let requests = story.receiver.count(0);
            println!("dead for six hours, 540 events: {requests} requests, opened {} times", story.opened());
            assert!(requests <= 20, "{requests}");
            assert_eq!(story.statuses(), BTreeMap::from([("delivering", 540)]));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_endpoint_that_gets_a_burst_gets_at_most_twenty_requests_in_six_hours() {
    for (events, takes) in [(1000, 50), (5000, 50), (1000, 13_000)] {
        LocalSet::new()
            .run_until(async {
                let takes = Duration::from_millis(takes);
                let story = Story::start(Ruled { takes, ..Ruled::by(|_, _| 503) });
                for _ in 0..events {
                    story.post().await;
                }
                sleep(6 * HOUR).await;
                let answered = story.receiver.answered.lock().unwrap().clone();
                let (at_once, total) = (HOUR / 120, answered.len());
                let first = answered.iter().filter(|(at, ..)| at.since(START) < at_once).count();
                println!(
                    "dead for six hours, {events} events at once, answers after {takes:?}: {first} requests at first, {total} in all"
                );
                assert!(total <= 20, "{total}");
                assert_eq!(total - first, 9, "probes");
                assert_eq!(story.statuses(), BTreeMap::from([("delivering", events)]));
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_to_an_endpoint_that_works_is_sent_at_its_rate_however_long_its_answers_take() {
    for takes in [50, 1000] {
        LocalSet::new()
            .run_until(async {
                let takes = Duration::from_millis(takes);
                let story = Story::start(Ruled { takes, ..Ruled::by(|_, _| 200) });
                for _ in 0..3000 {
                    story.post().await;
                }
                sleep(HOUR).await;
                let last = story.receiver.answered.lock().unwrap().iter().map(|(at, ..)| *at).max().unwrap();
                println!("3,000 events at 30 per second, answers after {takes:?}: {:?}", last.since(START));
                assert!(last.since(START) <= Duration::from_secs(120), "100 s at its rate");
                assert_eq!(story.statuses(), BTreeMap::from([("delivered", 3000)]));
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn three_poison_events_that_silence_a_quiet_endpoint_end_and_hold_nobody() {
    LocalSet::new()
        .run_until(async {
            let poison: Arc<Mutex<Vec<EventId>>> = Arc::default();
            let refused = Arc::clone(&poison);
            let receiver =
                Ruled::by(move |id, _| if refused.lock().unwrap().contains(&id) { 500 } else { 200 });
            let story = Story::start(receiver);
            for _ in 0..4 {
                let id = story.post().await;
                poison.lock().unwrap().push(id);
            }
            sleep(Duration::from_mins(10)).await; // their retries open the breaker
            assert_eq!(story.opened(), 1);
            let begun = story.system.clock.now();
            let good = story.post().await;
            sleep(2 * HOUR).await;
            let answered = story.receiver.answered.lock().unwrap().clone();
            let (at, ..) = answered.iter().find(|(_, id, _)| *id == good).copied().unwrap();
            println!("a good event behind four poison events waited {:?}", at.since(begun));
            assert!(at.since(begun) <= 2 * HOUR, "every second probe is made with the newest event");
            assert_eq!(story.endpoint().health.open, None);
            for _ in 0..6 * 24 {
                story.post().await; // one good event per hour
                sleep(HOUR).await;
            }
            println!("six days later: {:?}, opened {} times", story.statuses(), story.opened());
            assert_eq!(story.statuses(), BTreeMap::from([("delivered", 145), ("failed", 4)]));
            assert_eq!(story.endpoint().state, EndpointState::Active);
        })
        .await;
}

/// A receiver that accepts this many requests in each span of time, and answers 429 to the others.
pub(crate) fn allowing(most: usize, span: Duration) -> Ruled {
    let (mut current, mut taken) = (0, 0);
    Ruled::by(move |_, now| {
        let window = now.millis() / u64::try_from(span.as_millis()).unwrap();
        if window != current {
            (current, taken) = (window, 0);
        }
        taken += 1;
        if taken > most { 429 } else { 200 }
    })
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_answers_429_for_six_days_gets_what_it_allows_and_is_never_disabled() {
    LocalSet::new()
        .run_until(async {
            let story = Story::start(allowing(2, Duration::from_mins(1)));
            for _ in 0..6 {
                for _ in 0..4 * 12 {
                    story.post_until_parked(50).await; // more always waits than the receiver allows
                    sleep(Duration::from_mins(5)).await;
                }
                sleep(20 * HOUR).await; // the rest of the day; what waits goes out in the first half hour
            }
            let answered = story.receiver.answered.lock().unwrap().clone();
            let is_loaded = |at: Timestamp| at.since(START).as_secs() % (24 * 3600) < 4 * 3600;
            let of = |status| answered.iter().filter(|(at, _, code)| *code == status && is_loaded(*at)).count();
            let (taken, refused) = (of(200), of(429));
            let percent = taken * 100 / (6 * 4 * 60 * 2);
            println!(
                "429 for four hours of each of six days: {taken} taken, {refused} refused, {percent} % of what the receiver allows, {:?}, opened {} times",
                story.statuses(),
                story.opened()
            );
            assert!(percent >= 80);
            let endpoint = story.endpoint();
            assert_eq!((story.opened(), endpoint.state), (0, EndpointState::Active));
            assert_eq!((endpoint.health.failures, endpoint.health.failing_since), (0, None));
            assert_eq!(story.statuses().get("failed"), None);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_allows_two_requests_per_second_of_thirty_gets_them() {
    LocalSet::new()
        .run_until(async {
            let story = Story::start(allowing(2, Duration::from_secs(1)));
            for _ in 0..2000 {
                story.post().await; // their times are reserved at 30 per second
            }
            for minute in 1..=30 {
                story.post_until_parked(200).await;
                sleep(Duration::from_mins(1)).await;
                if minute % 5 == 0 {
                    let (taken, refused) = (story.receiver.count(200), story.receiver.count(429));
                    println!("after {minute} min: {taken} taken, {refused} refused");
                }
            }
            let percent = story.receiver.count(200) * 100 / 3600;
            println!("{percent} % of what the receiver allows in half an hour, {:?}", story.statuses());
            assert!(percent >= 80);
            assert_eq!(story.opened(), 0);
        })
        .await;
}

//! One tenant's events for an endpoint that hangs, beside tenants whose endpoints answer, in simulated time.

use domain::event::id::EventId;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::delivery::verdict::Answer;
use domain::delivery::verdict::failure::Failure;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::{DEFAULT_RATE_PER_SECOND, Endpoint, MAX_RATE_PER_SECOND};
use domain::tenant::id::TenantId;
use domain::testing::{START, endpoint_of, tenant};
use domain::timestamp::Timestamp;
use futures_util::future::join_all;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::sleep;

use crate::support::answering::Answering;
use crate::support::simulation::Simulation;
use crate::support::template::{setting, settings};

/// How long a good receiver takes.
const GOOD: Duration = Duration::from_millis(50);

/// How long the client waits for one that hangs.
const HANGS: Duration = Duration::from_secs(13);

const NOISY_EVENTS: usize = 20_000;
const QUIET_TENANTS: usize = 20;
const QUIET_EVENTS: usize = 120;

/// Receivers, of which the first hangs.
#[derive(Clone)]
struct Receivers {
    /// For each event that came to a good one, how long after its acceptance.
    waited: Arc<Mutex<Vec<Duration>>>,
    hung: Arc<Mutex<usize>>,
}

impl Answering for Receivers {
    async fn answer(&self, request: &WebhookRequest, now: Timestamp) -> Answer {
        if request.url.host() == "receiver-0.example.com" {
            *self.hung.lock().unwrap() += 1;
            sleep(HANGS).await;
            return Answer::None(Failure::TimedOut);
        }
        self.waited.lock().unwrap().push(waited(request, now));
        sleep(GOOD).await;
        Answer::Status { code: 200, retry_after: None, excerpt: String::new() }
    }
}

/// Returns how long the event of a request waited for it.
fn waited(request: &WebhookRequest, now: Timestamp) -> Duration {
    let (_, id) = request.headers.iter().find(|(name, _)| name == "webhook-id").unwrap();
    now.since(EventId::parse(id).unwrap().accepted_at())
}

/// Lets the scheduler visit in each minute until it is aborted.
fn visit_every_minute<A: Answering>(system: &Simulation<A>) -> JoinHandle<()> {
    let visits = system.visits();
    spawn_local(async move {
        loop {
            sleep(Duration::from_mins(1)).await;
            visits.come().await;
        }
    })
}

/// A minute of the quiet tenants, with or without the noisy one, whose endpoint has this rate: what their events waited, sorted, and how many requests hung.
async fn minute(noisy_events: usize, noisy_rate: u32) -> (Vec<Duration>, usize) {
    let receivers = Receivers { waited: Arc::default(), hung: Arc::default() };
    let system = Simulation::start(receivers.clone());
    let visits = visit_every_minute(&system);
    let tenants: Vec<(TenantId, u8)> =
        (0..=QUIET_TENANTS).map(|n| (tenant(), u8::try_from(n).unwrap())).collect();
    for (tenant, number) in &tenants {
        let rate_per_second = if *number == 0 { noisy_rate } else { DEFAULT_RATE_PER_SECOND };
        system.tables.put_endpoint(tenant, &Endpoint { rate_per_second, ..endpoint_of(tenant, *number) });
    }
    let posts = tenants.iter().map(|(tenant, number)| {
        let is_noisy = *number == 0;
        let (count, pause) = if is_noisy { (noisy_events, 0) } else { (QUIET_EVENTS, 500) };
        let system = &system;
        async move {
            sleep(Duration::from_millis(u64::from(*number) * 7)).await;
            for _ in 0..count {
                system.post(tenant, *number).await;
                sleep(Duration::from_millis(pause)).await;
            }
        }
    });
    join_all(posts).await;
    sleep(Duration::from_mins(2)).await; // long after the last quiet event
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

/// How long a slow receiver takes to answer 200.
const SLOW: Duration = Duration::from_secs(12);

/// The numbers of the slow endpoints of one tenant.
const SLOW_ENDPOINTS: std::ops::Range<u8> = 100..150;

/// Receivers, of which some answer 200 after twelve seconds from `slow_after` on.
#[derive(Clone)]
struct SlowReceivers {
    waited: Arc<Mutex<Vec<Duration>>>,
    slow_after: Timestamp,
    in_flight: Arc<Mutex<(usize, usize)>>,
}

impl Answering for SlowReceivers {
    async fn answer(&self, request: &WebhookRequest, now: Timestamp) -> Answer {
        let host = request.url.host();
        let number: u8 = host.trim_start_matches("receiver-").split('.').next().unwrap().parse().unwrap();
        if SLOW_ENDPOINTS.contains(&number) {
            {
                let mut in_flight = self.in_flight.lock().unwrap();
                in_flight.0 += 1;
                in_flight.1 = in_flight.1.max(in_flight.0);
            }
            sleep(if now >= self.slow_after { SLOW } else { GOOD }).await;
            self.in_flight.lock().unwrap().0 -= 1;
        } else {
            self.waited.lock().unwrap().push(waited(request, now));
            sleep(GOOD).await;
        }
        Answer::Status { code: 200, retry_after: None, excerpt: String::new() }
    }
}

/// Returns what the events of a quiet tenant waited during some minutes, sorted, and the largest number of requests of the slow
/// tenant in flight.
async fn beside_slow(events_a_minute: usize, slow_after: Duration) -> (Vec<Duration>, usize) {
    const MINUTES: usize = 2;
    let receivers = SlowReceivers {
        waited: Arc::default(),
        slow_after: START.after(slow_after),
        in_flight: Arc::default(),
    };
    let system = Simulation::start(receivers.clone());
    let (quiet, slow) = (tenant(), tenant());
    system.tables.put_endpoint(&quiet, &endpoint_of(&quiet, 1));
    for number in SLOW_ENDPOINTS {
        system.tables.put_endpoint(&slow, &endpoint_of(&slow, number));
    }
    let visits = visit_every_minute(&system);
    let quiet_posts = async {
        for _ in 0..MINUTES * 120 {
            sleep(Duration::from_millis(500)).await;
            system.post(&quiet, 1).await;
        }
    };
    let slow_posts = async {
        for _ in 0..MINUTES {
            // All events of a minute at once is the worst that the rate limit allows.
            for _ in 0..events_a_minute {
                system.post_to_all(&slow, SLOW_ENDPOINTS).await;
            }
            sleep(Duration::from_mins(1)).await;
        }
    };
    futures_util::future::join(quiet_posts, slow_posts).await;
    sleep(Duration::from_secs(20)).await;
    visits.abort();
    let mut waited = receivers.waited.lock().unwrap().clone();
    waited.sort_unstable();
    let most = receivers.in_flight.lock().unwrap().1;
    (waited, most)
}

#[test]
fn delivery_knows_how_many_instances_the_template_allows_for_each_lane() {
    let instances: String = setting("DeliveryFunction", "MAX_INSTANCES");
    let each: Vec<String> = settings("DeliveryFunction", "MaximumConcurrency"); // of each lane, then of the dead letters
    assert_eq!([&each[0], &each[1]], [instances.trim_matches('\''); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_tenant_does_not_wait_for_one_whose_fifty_endpoints_are_slow() {
    let p99 = |waited: &[Duration]| waited[waited.len() * 99 / 100];
    let (alone, _) = LocalSet::new().run_until(beside_slow(0, Duration::ZERO)).await;
    println!("p99 alone {:?}", p99(&alone));
    for (events, slow_after) in [(100, 0), (100, 60)] {
        let (beside, most) =
            LocalSet::new().run_until(beside_slow(events, Duration::from_secs(slow_after))).await;
        println!(
            "{events} events a minute to 50 endpoints, slow after {slow_after} s: p99 {:?}, longest {:?}, at most {most} requests in flight",
            p99(&beside),
            beside.last()
        );
        assert_eq!(alone.len(), beside.len());
        assert!(p99(&beside) <= 2 * p99(&alone), "{:?} and {:?}", p99(&alone), p99(&beside));
    }
}

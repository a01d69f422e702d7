//! Three of a hundred endpoints answer 200 after twelve seconds: what the others get, in simulated time, with all instances that
//! the template allows. A batch of quick requests takes a quarter of a second, so a hundred instances make 4,000 a second.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::delivery::verdict::Answer;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::slowness::Slowness;
use domain::endpoint::{Endpoint, MAX_RATE_PER_SECOND};
use domain::event::id::EventId;
use domain::tenant::id::TenantId;
use domain::testing::{START, endpoint_of, tenant};
use domain::timestamp::Timestamp;
use store::clock::Clock;
use tokio::task::LocalSet;
use tokio::time::sleep;

use crate::support::answering::Answering;
use crate::support::simulation::Simulation;

/// How long a quick receiver takes.
const QUICK: Duration = Duration::from_millis(230);

/// How long a slow receiver takes.
const SLOW: Duration = Duration::from_secs(12);

/// The number of the endpoint of a tenant, which is slow or quick.
const SLOW_ENDPOINT: u8 = 0;
const QUICK_ENDPOINT: u8 = 1;

/// The tenants with a quick endpoint, and those with a slow one.
const QUICK_TENANTS: usize = 194;
const SLOW_TENANTS: usize = 6;

/// The receivers, and what each request to a quick one waited.
#[derive(Clone, Default)]
struct Receivers {
    quick: Arc<Mutex<Vec<(Timestamp, Duration)>>>,
    slow: Arc<Mutex<usize>>,
}

impl Answering for Receivers {
    async fn answer(&self, request: &WebhookRequest, now: Timestamp) -> Answer {
        if request.url.host() == "receiver-0.example.com" {
            *self.slow.lock().unwrap() += 1;
            sleep(SLOW).await;
        } else {
            let (_, id) = request.headers.iter().find(|(name, _)| name == "webhook-id").unwrap();
            let waited = now.since(EventId::parse(id).unwrap().accepted_at());
            self.quick.lock().unwrap().push((now, waited));
            sleep(QUICK).await;
        }
        Answer::Status { code: 200, retry_after: None, excerpt: String::new() }
    }
}

/// What was seen of the quick endpoints.
struct Seen {
    /// Requests a second, from the first post to the last request.
    per_second: u64,
    /// The wait from acceptance to the request, of which 99 % are shorter.
    p99: Duration,
    /// The requests to slow endpoints.
    slow: usize,
}

/// The tenants whose endpoint answers slowly.
#[derive(Clone, Copy)]
enum Slow {
    /// None.
    None,
    /// This many, and it is recorded that their endpoints are slow.
    Known(usize),
    /// This many, whose endpoints were quick until now.
    New(usize),
}

/// Posts an event for each tenant in each round, and waits until the quick endpoints have theirs.
async fn post(rounds: usize, pause: Duration, slow: Slow) -> Seen {
    let receivers = Receivers::default();
    let system = Simulation::start(receivers.clone());
    let quick = (0..QUICK_TENANTS).map(|_| (tenant(), QUICK_ENDPOINT));
    let (slow_tenants, is_known) = match slow {
        Slow::None => (0, false),
        Slow::Known(count) => (count, true),
        Slow::New(count) => (count, false),
    };
    let slow = (0..slow_tenants).map(|_| (tenant(), SLOW_ENDPOINT));
    let tenants: Vec<(TenantId, u8)> = quick.chain(slow).collect();
    for (tenant, number) in &tenants {
        let slowness = (is_known && *number == SLOW_ENDPOINT).then_some(Slowness { seconds: 12, at: START });
        let rate_per_second = MAX_RATE_PER_SECOND;
        let endpoint = Endpoint { slowness, rate_per_second, ..endpoint_of(tenant, *number) };
        system.tables.put_endpoint(tenant, &endpoint);
    }
    for _ in 0..rounds {
        for (tenant, number) in &tenants {
            system.post(tenant, *number).await;
        }
        sleep(pause).await;
    }
    while receivers.quick.lock().unwrap().len() < rounds * QUICK_TENANTS {
        assert!(system.clock.now() < START.after(Duration::from_mins(10)), "all are delivered in time");
        sleep(Duration::from_millis(10)).await;
    }
    let mut quick = receivers.quick.lock().unwrap().clone();
    let last = quick.iter().map(|(at, _)| *at).max().unwrap();
    quick.sort_unstable_by_key(|(_, waited)| *waited);
    let took = last.after(QUICK).millis_since(START);
    Seen {
        per_second: quick.len() as u64 * 1000 / took,
        p99: quick[quick.len() * 99 / 100].1,
        slow: *receivers.slow.lock().unwrap(),
    }
}

/// Posts this load with and without the slow tenants.
async fn alone_and_beside(rounds: usize, pause: Duration) -> [Seen; 2] {
    let alone = LocalSet::new().run_until(post(rounds, pause, Slow::None)).await;
    [alone, LocalSet::new().run_until(post(rounds, pause, Slow::Known(SLOW_TENANTS))).await]
}

#[tokio::test(start_paused = true)]
async fn three_slow_endpoints_of_a_hundred_leave_the_others_nine_tenths_of_their_throughput() {
    let [alone, beside] = alone_and_beside(60, Duration::ZERO).await;
    println!(
        "all at once: {} a second to quick endpoints alone, {} beside {} slow requests",
        alone.per_second, beside.per_second, beside.slow
    );
    assert!(beside.per_second * 10 >= alone.per_second * 9);
}

#[tokio::test(start_paused = true)]
async fn three_slow_endpoints_of_a_hundred_do_not_double_what_the_others_wait() {
    let [alone, beside] = alone_and_beside(45, Duration::from_micros(62_500)).await;
    println!(
        "3,200 events a second: p99 {:?} alone, {:?} beside {} slow requests",
        alone.p99, beside.p99, beside.slow
    );
    assert!(beside.p99 <= 2 * alone.p99);
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_turn_slow_hold_the_quick_lane_for_one_answer_at_most() {
    for (count, longest) in [(1, 2 * (QUICK + Duration::from_millis(40))), (SLOW_TENANTS, SLOW)] {
        let seen = LocalSet::new().run_until(post(90, Duration::from_micros(62_500), Slow::New(count))).await;
        println!(
            "{count} of 200 endpoints turn slow at once: p99 {:?} in the 6 s around it, {} slow requests",
            seen.p99, seen.slow
        );
        assert!(seen.p99 <= longest);
    }
}

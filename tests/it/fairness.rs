//! One tenant's events for an endpoint that hangs, beside tenants whose endpoints answer, in simulated time.

use domain::endpoint::url::EndpointUrl;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::delivery::verdict::Answer;
use domain::delivery::verdict::failure::Failure;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::{DEFAULT_RATE_PER_SECOND, Endpoint, MAX_RATE_PER_SECOND};
use domain::tenant::id::TenantId;
use domain::testing::{endpoint_of, tenant};
use domain::timestamp::Timestamp;
use futures_util::future::join_all;
use store::clock::Clock;
use store::webhook_sender::WebhookSender;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use crate::support::simulation::Simulation;

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

impl WebhookSender for Receivers {
    async fn post(&self, request: &WebhookRequest, now: Timestamp) -> Answer {
        if request.url.host() == "receiver-0.example.com" {
            *self.hung.lock().unwrap() += 1;
            sleep(HANGS).await;
            return Answer::None(Failure::TimedOut);
        }
        let (_, id) = request.headers.iter().find(|(name, _)| name == "webhook-id").unwrap();
        let accepted_at = domain::event::id::EventId::parse(id).unwrap().accepted_at();
        self.waited.lock().unwrap().push(now.since(accepted_at));
        sleep(GOOD).await;
        Answer::Status { code: 200, retry_after: None, excerpt: String::new() }
    }

    async fn check(&self, _: &EndpointUrl) -> Result<(), Failure> {
        Ok(())
    }
}

/// A minute of the quiet tenants, with or without the noisy one, whose endpoint has this rate: what their events waited, sorted, and how many requests hung.
async fn minute(noisy_events: usize, noisy_rate: u32) -> (Vec<Duration>, usize) {
    let receivers = Receivers { waited: Arc::default(), hung: Arc::default() };
    let system = Simulation::start(receivers.clone());
    let (scheduler, clock) = (system.scheduler(system.queue.clone()), system.clock);
    let visits = spawn_local(async move {
        loop {
            sleep(Duration::from_mins(1)).await;
            scheduler.handle(clock.now().after(Duration::from_secs(55))).await;
        }
    });
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

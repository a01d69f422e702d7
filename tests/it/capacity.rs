//! What binds first: the whole system at full load, in simulated time, over tables whose partitions are throttled as those of
//! `DynamoDB` ([`crate::support::loaded`]). Rates are real. The time is cut short: a story that would last an hour is seconds long,
//! because what throttles depends on the rate.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cost::latency::WEBHOOK;
use domain::delivery::verdict::Answer;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::pattern::Pattern;
use domain::endpoint::{Endpoint, MAX_RATE_PER_SECOND};
use domain::event::id::EventId;
use domain::tenant::tier::Tier;
use domain::testing::START;
use domain::timestamp::Timestamp;
use store::clock::Clock;
use store::testing::table::throttle::Load;
use tokio::task::LocalSet;
use tokio::time::sleep;

use crate::support::answering::Answering;
use crate::support::loaded::{Loaded, Pollers, Sender};
use crate::support::template::setting;

/// The number of the endpoint of an ordinary tenant.
const ORDINARY: u8 = 1;

/// The number of the endpoint that is paused.
const PAUSED: u8 = 0;

/// How long each story runs before it measures: the first events find empty caches.
const WARM_UP: Duration = Duration::from_secs(3);

/// Receivers that answer 200, and keep when each request came and how long its event had waited, by the number of the endpoint.
#[derive(Clone, Default)]
struct Receivers(Arc<Mutex<BTreeMap<u8, Vec<Request>>>>);

#[derive(Clone, Copy)]
struct Request {
    accepted_at: Timestamp,
    at: Timestamp,
}

impl Answering for Receivers {
    async fn answer(&self, request: &WebhookRequest, now: Timestamp) -> Answer {
        let number = request.url.host().trim_start_matches("receiver-").split('.').next().unwrap();
        let (_, id) = request.headers.iter().find(|(name, _)| name == "webhook-id").unwrap();
        let request = Request { accepted_at: EventId::parse(id).unwrap().accepted_at(), at: now };
        self.0.lock().unwrap().entry(number.parse().unwrap()).or_default().push(request);
        sleep(WEBHOOK).await;
        Answer::Status { code: 200, retry_after: None, excerpt: String::new() }
    }
}

impl Receivers {
    /// Returns the requests to an endpoint whose events were accepted in this time.
    fn requests(&self, number: u8, from: Timestamp, until: Timestamp) -> Vec<Request> {
        let all = self.0.lock().unwrap();
        let of_endpoint = all.get(&number).into_iter().flatten();
        of_endpoint.filter(|it| it.accepted_at >= from && it.accepted_at < until).copied().collect()
    }

    /// Returns how many requests came, and the wait from acceptance to the request of which 99 % are shorter.
    fn p99(&self, number: u8, from: Timestamp, until: Timestamp) -> (usize, Duration) {
        let requests = self.requests(number, from, until).into_iter();
        let mut waited: Vec<Duration> = requests.map(|it| it.at.since(it.accepted_at)).collect();
        waited.sort_unstable();
        (waited.len(), waited[waited.len() * 99 / 100])
    }
}

/// All instances of consumer, and of each lane of delivery, that the template allows, all of them started.
fn all_instances() -> [Pollers; 2] {
    ["ConsumerFunction", "DeliveryFunction"].map(|name| Pollers::all(setting(name, "MaximumConcurrency")))
}

/// Adds tenants with one endpoint each.
fn ordinary_tenants(system: &Loaded<Receivers>, count: usize) -> Vec<Sender> {
    let add = |_| system.add_tenant(Tier::Business, [ORDINARY], |endpoint| endpoint, 1);
    (0..count).map(add).collect()
}

/// Prints the hottest partitions of each table, in units a second.
fn print_hottest(hottest: &[(&str, Vec<Load>)], time: Duration) {
    let per_second = |units: u64| units * 1000 / u64::try_from(time.as_millis()).unwrap();
    for (table, loads) in hottest {
        for Load { index, partition, half_reads, writes, refused } in loads.iter().take(4) {
            let place = index.map_or(*table, |index| index.name());
            let (reads, writes) = (per_second(*half_reads) / 2, per_second(*writes));
            println!("{place:9} {partition:60} {reads:5} reads, {writes:5} writes a second, {refused} refused");
        }
    }
}

/// The events a second that a tenant of the largest tier may post.
fn largest_rate() -> u64 {
    u64::from(Tier::Enterprise.limits().events_per_minute) / 60
}

async fn paused(rate: u32) {
    const OTHERS_PER_SECOND: u64 = 400;
    const TIME: Duration = Duration::from_secs(3);
    let receivers = Receivers::default();
    let [_, deliverers] = all_instances();
    let system = Loaded::start(receivers.clone(), Pollers::all(40), deliverers);
    let others = ordinary_tenants(&system, 10);
    let paused = |endpoint| Endpoint { is_paused: true, rate_per_second: rate, ..endpoint };
    let large = [system.add_tenant(Tier::Enterprise, [PAUSED], paused, 1)];

    // 1. The others alone, then beside the tenant whose endpoint is paused.
    system.post(&others, 1, OTHERS_PER_SECOND, WARM_UP + TIME).await;
    let [alone, beside] = [START.after(WARM_UP), system.clock.now()];
    system.reset_loads();
    tokio::join!(
        system.post(&others, 1, OTHERS_PER_SECOND, TIME),
        system.post(&large, 25, largest_rate(), TIME)
    );
    let ended = system.clock.now();
    print_hottest(&system.hottest(), TIME);
    let (count_alone, p99_alone) = receivers.p99(ORDINARY, alone, beside);
    sleep(Duration::from_secs(2)).await;
    let (count_beside, p99_beside) = receivers.p99(ORDINARY, beside, ended);
    println!("{count_alone} p99 {p99_alone:?} alone; {count_beside} p99 {p99_beside:?} beside");
    println!("failed {:?}", system.failed());
    println!("parked {}", system.tables.parked().len());

    // 2. The endpoint is resumed.
    system.tables.change_endpoint(&large[0].tenant, &domain::testing::endpoint(PAUSED).id, |it| {
        it.is_paused = false;
    });
    for _ in 0..30 {
        sleep(Duration::from_secs(10)).await;
    }
    let delivered = receivers.requests(PAUSED, beside, ended);
    let first = delivered.iter().map(|it| it.at).min().unwrap();
    let last = delivered.iter().map(|it| it.at).max().unwrap();
    println!("rate {rate} {} delivered in {:?}, {:?} after the pause", delivered.len(), last.since(first), first.since(ended));
    let mut by_second = BTreeMap::new();
    for it in delivered { *by_second.entry(it.at.since(first).as_secs()).or_insert(0) += 1; }
    println!("{by_second:?}");
}

#[tokio::test(start_paused = true)]
async fn a_paused_endpoint_of_a_tenant_at_its_full_rate_delays_no_one_else() {
    for rate in [30, 100, 300, 1000] {
        LocalSet::new().run_until(paused(rate)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_mixed_tenant_with_fifty_endpoints_costs_no_batch() {
    LocalSet::new()
        .run_until(async {
            const OTHERS_PER_SECOND: u64 = 1_400;
            const WARM_UP: Duration = Duration::from_secs(1);
            const TIME: Duration = Duration::from_secs(2);
            let receivers = Receivers::default();
            let [_, deliverers] = all_instances();
            let system = Loaded::start(receivers.clone(), Pollers::all(100), deliverers);
            let others = ordinary_tenants(&system, 100);
            let of_its_own_type = |endpoint: Endpoint| {
                let event_types = vec![Pattern::from_stored(endpoint.id.as_str())];
                Endpoint { event_types, rate_per_second: MAX_RATE_PER_SECOND, ..endpoint }
            };
            let mut large = system.add_tenant(Tier::Enterprise, 100..150, of_its_own_type, 40);
            large.types =
                (100..150).map(|number| domain::testing::endpoint(number).id.as_str().to_owned()).collect();
            let large = [large];
            tokio::join!(
                system.post(&others, 1, OTHERS_PER_SECOND, WARM_UP + TIME),
                system.post(&large, 10, largest_rate(), WARM_UP + TIME)
            );
            sleep(Duration::from_secs(5)).await;
            print_hottest(&system.hottest(), WARM_UP + TIME);
            println!("failed {:?}", system.failed());
            println!("p99 {:?}", receivers.p99(ORDINARY, START.after(WARM_UP), START.after(WARM_UP + TIME)));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn four_thousand_webhooks_a_second() {
    LocalSet::new()
        .run_until(async {
            const PER_SECOND: u64 = 4_000;
            const WARM_UP: Duration = Duration::from_secs(1);
            const TIME: Duration = Duration::from_secs(2);
            let receivers = Receivers::default();
            let [consumers, deliverers] = all_instances();
            let system = Loaded::start(receivers.clone(), consumers, deliverers);
            let senders = ordinary_tenants(&system, 200);
            system.post(&senders, 1, PER_SECOND, WARM_UP).await;
            system.reset_loads();
            let from = system.clock.now();
            system.post(&senders, 1, PER_SECOND, TIME).await;
            print_hottest(&system.hottest(), TIME);
            let until = system.clock.now();
            let all = receivers.requests(ORDINARY, START, until);
            println!("{} in {:?}", all.iter().filter(|it| it.at >= from && it.at < until).count(), until.since(from));
            sleep(Duration::from_secs(5)).await;
            println!("p99 {:?}", receivers.p99(ORDINARY, from, from.after(TIME)));
            println!("failed {:?}", system.failed());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_jump_of_the_load() {
    LocalSet::new()
        .run_until(async {
            const TIME: Duration = Duration::from_secs(20);
            let receivers = Receivers::default();
            let pollers = |most| Pollers { at_start: 1, added_each_second: 1, most };
            let system = Loaded::start(receivers.clone(), pollers(40), pollers(20));
            let senders = ordinary_tenants(&system, 40);
            system.post(&senders, 1, 2, Duration::from_secs(10)).await;
            let from = system.clock.now();
            system.post(&senders, 1, 640, TIME).await;
            sleep(Duration::from_secs(60)).await;
            for second in 0..TIME.as_secs() {
                let from = from.after(Duration::from_secs(second));
                println!("{second} {:?}", receivers.p99(ORDINARY, from, from.after(Duration::from_secs(1))));
            }
            println!("failed {:?}", system.failed());
        })
        .await;
}

//! What binds first: the whole system at full load, in simulated time, over tables whose partitions are throttled as those of
//! `DynamoDB` ([`crate::support::loaded`]). Rates are real. The time is cut short: a story that would last an hour is seconds long,
//! because what throttles depends on the rate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cost::item_kind::kind_of;
use cost::latency::WEBHOOK;
use domain::delivery::verdict::Answer;
use domain::delivery::verdict::failure::Failure;
use domain::delivery::webhook_request::WebhookRequest;
use domain::endpoint::pattern::Pattern;
use domain::endpoint::{DEFAULT_RATE_PER_SECOND, Endpoint, MAX_RATE_PER_SECOND};
use domain::event::id::EventId;
use domain::tenant::tier::Tier;
use domain::testing::{START, endpoint};
use domain::timestamp::Timestamp;
use store::clock::Clock;
use store::item::Key;
use store::testing::table::throttle::Load;
use tokio::task::LocalSet;
use tokio::time::sleep;

use crate::support::answering::Answering;
use crate::support::loaded::{Loaded, Pollers, Sender};
use crate::support::size;
use crate::support::template::setting;

/// How long the client waits for an endpoint that hangs.
const HANGS: Duration = Duration::from_secs(13);

/// The number of the endpoint of an ordinary tenant.
const ORDINARY: u8 = 1;

/// The number of the endpoint of the largest tenant, where it has one.
const LARGE: u8 = 0;

/// The instances of consumer where one tenant posts: as many as its load needs.
const CONSUMERS: Pollers = Pollers::all(40);

/// Receivers that answer 200. They keep each request, by the number of the endpoint.
#[derive(Clone, Default)]
struct Receivers {
    requests: Arc<Mutex<BTreeMap<u8, Vec<Request>>>>,
    /// Whether the endpoint of the largest tenant gives no answer.
    hangs: Arc<AtomicBool>,
}

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
        let number = number.parse().unwrap();
        self.requests.lock().unwrap().entry(number).or_default().push(request);
        if number == LARGE && self.hangs.load(Ordering::SeqCst) {
            sleep(HANGS).await;
            return Answer::None(Failure::TimedOut);
        }
        sleep(WEBHOOK).await;
        Answer::Status { code: 200, retry_after: None, excerpt: String::new() }
    }
}

impl Receivers {
    /// Returns the requests to an endpoint whose events were accepted in this time.
    fn requests(&self, number: u8, from: Timestamp, until: Timestamp) -> Vec<Request> {
        let all = self.requests.lock().unwrap();
        let of_endpoint = all.get(&number).into_iter().flatten();
        of_endpoint.filter(|it| it.accepted_at >= from && it.accepted_at < until).copied().collect()
    }

    /// Returns the wait from acceptance to the request of which 99 % are shorter.
    fn p99(&self, number: u8, from: Timestamp, until: Timestamp) -> Duration {
        let requests = self.requests(number, from, until).into_iter();
        let mut waited: Vec<Duration> = requests.map(|it| it.at.since(it.accepted_at)).collect();
        waited.sort_unstable();
        waited[waited.len() * 99 / 100]
    }

    /// Waits until an endpoint got this many requests; returns the time from the first to the last.
    async fn wait_for(&self, number: u8, count: usize, system: &Loaded<Self>) -> Duration {
        let at_half_the_rate = 2 * count as u64 / u64::from(DEFAULT_RATE_PER_SECOND);
        let until = system.clock.now().after(Duration::from_secs(at_half_the_rate + 120));
        loop {
            let requests = self.requests(number, START, until);
            if requests.len() >= count {
                let times = requests.iter().map(|request| request.at);
                return times.clone().max().unwrap().since(times.min().unwrap());
            }
            assert!(system.clock.now() < until, "all are delivered in time");
            sleep(Duration::from_secs(1)).await;
        }
    }
}

/// The instances of consumer that the template allows.
fn consumers() -> usize {
    setting("ConsumerFunction", "MaximumConcurrency")
}

/// The instances of each lane of delivery that the template allows.
fn deliverers() -> usize {
    setting("DeliveryFunction", "MaximumConcurrency")
}

/// Starts a system with these instances of consumer, and with all of delivery.
fn start(consumers: Pollers) -> (Receivers, Loaded<Receivers>) {
    let receivers = Receivers::default();
    let system = Loaded::start(receivers.clone(), consumers, Pollers::all(deliverers()));
    (receivers, system)
}

/// The events a second that a tenant of the largest tier may post.
fn largest_rate() -> u64 {
    u64::from(Tier::Enterprise.limits().events_per_minute) / 60
}

/// Adds tenants with one endpoint each.
fn ordinary_tenants(system: &Loaded<Receivers>, count: usize) -> Vec<Sender> {
    let add = |_| system.add_tenant(Tier::Business, [ORDINARY], |endpoint| endpoint, 1);
    (0..count).map(add).collect()
}

/// Returns the calls that partitions refused.
fn count_refused(system: &Loaded<Receivers>) -> u64 {
    system.loads().into_iter().flat_map(|(_, loads)| loads).map(|load| load.refused).sum()
}

/// Prints the hottest partition of each kind, in units a second.
fn print_hottest(system: &Loaded<Receivers>, time: Duration) {
    let per_second = |units: u64| units * 1000 / u64::try_from(time.as_millis()).unwrap();
    for (table, loads) in system.loads() {
        let mut kinds = BTreeSet::new();
        for Load { index, partition, half_reads, writes, refused } in loads {
            let kind = kind_of(table, &Key::without_sort(partition));
            if kinds.insert((index, kind)) && kinds.len() <= 3 {
                let place = index.map_or(table, |index| index.name());
                let (reads, writes) = (per_second(half_reads) / 2, per_second(writes));
                println!(
                    "  {place:8} {kind:20} {reads:4} reads, {writes:4} writes a second, {refused} refused"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_endpoint_of_the_largest_tenant_at_its_full_rate_delays_no_other_tenant() {
    LocalSet::new().run_until(beside_a_paused_endpoint()).await;
}

/// A pause of an hour, cut short to three seconds, or to `PAUSE_SECONDS`: each second parks as many deliveries as any other.
async fn beside_a_paused_endpoint() {
    const OTHERS_PER_SECOND: u64 = 400;
    const WARM_UP: Duration = Duration::from_secs(3);
    let time = Duration::from_secs(size("PAUSE_SECONDS", 3));
    let (receivers, system) = start(CONSUMERS);
    let others = ordinary_tenants(&system, 20);
    let paused = |endpoint| Endpoint { is_paused: true, ..endpoint };
    let large = [system.add_tenant(Tier::Enterprise, [LARGE], paused, 1)];

    // 1. The others alone, then beside the tenant whose endpoint is paused.
    system.post(&others, 1, OTHERS_PER_SECOND, WARM_UP + time).await;
    let [alone, beside] = [START.after(WARM_UP), system.clock.now()];
    system.reset_loads();
    let (_, posted) = tokio::join!(
        system.post(&others, 1, OTHERS_PER_SECOND, time),
        system.post(&large, 25, largest_rate(), time)
    );
    print_hottest(&system, time);
    let ended = system.clock.now();
    sleep(Duration::from_secs(2)).await;
    let [alone, beside] =
        [(alone, beside), (beside, ended)].map(|(from, until)| receivers.p99(ORDINARY, from, until));
    println!("p99 of the others: {alone:?} alone, {beside:?} beside {posted} events for a paused endpoint");
    assert!(beside * 10 <= alone * 11);
    assert_eq!(system.tables.parked().len(), posted);

    // 2. The endpoint is resumed.
    system.resume(&large[0], LARGE);
    let took = receivers.wait_for(LARGE, posted, &system).await;
    println!("{posted} parked deliveries are delivered within {took:?}");
    assert!(
        took.as_secs() * u64::from(DEFAULT_RATE_PER_SECOND) * 9 <= posted as u64 * 10,
        "at nine tenths of its rate"
    );
    assert_eq!(system.failed(), BTreeMap::new(), "messages that came back");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_with_the_highest_rate_gets_it() {
    let steady = LocalSet::new().run_until(at_the_highest_rate(false)).await;
    let after_a_pause = LocalSet::new().run_until(at_the_highest_rate(true)).await;
    println!("to one endpoint: {steady} webhooks a second; {after_a_pause} a second after a pause");
    assert!(steady >= 900 && after_a_pause >= 500);
}

/// Returns the requests a second to one endpoint with the highest rate: for the events of some seconds, or for those that were
/// parked meanwhile.
async fn at_the_highest_rate(is_paused: bool) -> u64 {
    let time = Duration::from_secs(size("PAUSE_SECONDS", 5));
    let (receivers, system) = start(CONSUMERS);
    let large = [add_largest(&system, is_paused)];
    let posted = system.post(&large, 10, MAX_RATE_PER_SECOND.into(), time).await;
    sleep(Duration::from_secs(2)).await;
    system.resume(&large[0], LARGE);
    let took = receivers.wait_for(LARGE, posted, &system).await;
    print_hottest(&system, took);
    posted as u64 * 1000 / u64::try_from(took.as_millis()).unwrap()
}

/// Adds the largest tenant with one endpoint that has the highest rate.
fn add_largest(system: &Loaded<Receivers>, is_paused: bool) -> Sender {
    let quickest = |endpoint| Endpoint { is_paused, rate_per_second: MAX_RATE_PER_SECOND, ..endpoint };
    system.add_tenant(Tier::Enterprise, [LARGE], quickest, 1)
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_with_the_highest_rate_that_hangs_does_not_delay_the_others() {
    LocalSet::new().run_until(beside_one_that_hangs()).await;
}

async fn beside_one_that_hangs() {
    const OTHERS_PER_SECOND: u64 = 1_200;
    const TIME: Duration = Duration::from_secs(3);
    let (receivers, system) = start(CONSUMERS);
    let others = ordinary_tenants(&system, 60);
    let large = [add_largest(&system, false)];
    let (mut waits, mut refused) = (Vec::new(), 0);
    for (hangs, rate) in [(false, 0), (false, 1_000), (true, 1_000)] {
        system.reset_loads();
        receivers.hangs.store(hangs, Ordering::SeqCst);
        let from = system.clock.now();
        tokio::join!(system.post(&others, 1, OTHERS_PER_SECOND, TIME), system.post(&large, 10, rate, TIME));
        let until = system.clock.now();
        print_hottest(&system, TIME);
        refused += count_refused(&system);
        sleep(HANGS).await;
        waits.push((receivers.p99(ORDINARY, from, until), receivers.requests(LARGE, from, until).len()));
    }
    let [(alone, _), (beside, sent), (hanging, held)] = waits[..] else { unreachable!() };
    println!(
        "p99 of the others: {alone:?} alone, {beside:?} beside {sent} requests, {hanging:?} beside {held} that hang"
    );
    assert!(hanging <= 2 * alone && refused == 0);
    assert_eq!(system.failed(), BTreeMap::new(), "messages that came back");
}

#[tokio::test(start_paused = true)]
async fn a_large_tenant_with_fifty_endpoints_in_every_batch_makes_no_message_come_back() {
    LocalSet::new().run_until(fifty_endpoints_in_every_batch()).await;
}

async fn fifty_endpoints_in_every_batch() {
    const OTHERS_PER_SECOND: u64 = 1_400;
    const TIME: Duration = Duration::from_secs(3);
    const KEYS: usize = 40;
    const ENDPOINTS: std::ops::Range<u8> = 100..150;
    let (receivers, system) = start(Pollers::all(consumers()));
    let others = ordinary_tenants(&system, 100);
    let of_its_own_type = |endpoint: Endpoint| Endpoint {
        event_types: vec![Pattern::from_stored(endpoint.id.as_str())],
        rate_per_second: MAX_RATE_PER_SECOND,
        ..endpoint
    };
    let mut large = [system.add_tenant(Tier::Enterprise, ENDPOINTS, of_its_own_type, KEYS)];
    large[0].types = ENDPOINTS.map(|number| endpoint(number).id.to_string()).collect();
    tokio::join!(
        system.post(&others, 1, OTHERS_PER_SECOND, TIME),
        system.post(&large, 10, largest_rate(), TIME)
    );
    print_hottest(&system, TIME);
    sleep(Duration::from_secs(5)).await;
    println!("p99 of the others: {:?}", receivers.p99(ORDINARY, START, system.clock.now()));
    assert_eq!(system.failed(), BTreeMap::new(), "messages that came back");
}

#[tokio::test(start_paused = true)]
async fn at_full_load_the_instances_of_delivery_bind_before_any_partition() {
    LocalSet::new().run_until(full_load()).await;
}

async fn full_load() {
    const PER_SECOND: u64 = 4_000;
    const WARM_UP: Duration = Duration::from_millis(1_500);
    const TIME: Duration = Duration::from_secs(2);
    let (receivers, system) = start(Pollers::all(consumers()));
    let tenants = ordinary_tenants(&system, 200);
    system.post(&tenants, 1, PER_SECOND, WARM_UP).await;
    system.reset_loads();
    let from = system.clock.now();
    system.post(&tenants, 1, PER_SECOND, TIME).await;
    let until = system.clock.now();
    let all = receivers.requests(ORDINARY, START, until);
    let sent = all.iter().filter(|request| request.at >= from).count() as u64;
    let per_second = sent * 1000 / until.millis_since(from);
    println!("{PER_SECOND} events a second: {per_second} webhooks a second by {} instances", deliverers());
    print_hottest(&system, until.since(from));
    assert!(count_refused(&system) == 0 && per_second >= 3_000);
    assert_eq!(system.failed(), BTreeMap::new(), "messages that came back");
}

#[tokio::test(start_paused = true)]
async fn after_a_jump_of_the_load_events_wait_for_the_pollers_to_grow_and_no_longer() {
    LocalSet::new().run_until(jump()).await;
}

/// From 10 to 2,000 events a second, two thirds of what all instances carry. Everything is a fifth of what it would be: the
/// load, the pollers at the start (five), those that are added (300 a minute), and the most of them. So waits are the same
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>).
async fn jump() {
    const FIFTH: u64 = 5;
    const BEFORE: Duration = Duration::from_secs(10);
    const TIME: u64 = 25;
    let receivers = Receivers::default();
    let pollers = |most| Pollers { at_start: 1, added_each_second: 1, most: most / 5 };
    let system = Loaded::start(receivers.clone(), pollers(consumers()), pollers(deliverers()));
    let tenants = ordinary_tenants(&system, 40);
    system.post(&tenants, 1, 10 / FIFTH, BEFORE).await;
    let jump = system.clock.now();
    system.post(&tenants, 1, 2_000 / FIFTH, Duration::from_secs(TIME)).await;
    sleep(Duration::from_secs(10)).await;
    let second = |number| jump.after(Duration::from_secs(number));
    let waits: Vec<Duration> =
        (0..TIME).map(|number| receivers.p99(ORDINARY, second(number), second(number + 1))).collect();
    println!("p99 of the events of each second after the jump: {waits:?}");
    assert!(waits.iter().max() < Some(&Duration::from_secs(10)));
    assert!(waits.last() < Some(&Duration::from_secs(2)), "what waited is handled");
    assert_eq!(system.failed(), BTreeMap::new(), "messages that came back");
}

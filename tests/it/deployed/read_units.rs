//! What listing and leasing cost depends on what is pending, not on what is stored: counted in read units, on the way of
//! one process of api.

use aws::system_clock::SystemClock;
use domain::event::id::EventId;
use domain::timestamp::Timestamp;
use runtime::config::required;
use serde_json::{Value, json};
use store::clock::Clock;

use crate::deployed::support::desk::Desk;
use crate::deployed::support::stack::LazyStack;
use crate::queue::fill;
use crate::support::aws::dynamodb;
use crate::support::client::Tenant;
use crate::support::place::Place;
use crate::support::read_units::size;
use crate::support::receiver::Receiver;
use crate::support::tables;

/// A stack of its own: so many items would be in everybody's way.
static STACK: LazyStack = LazyStack::new("tests-read-units");

const PENDING: usize = 100;

/// The most items that one `BatchWriteItem` takes.
const ITEMS_PER_WRITE: usize = 25;

const TEN_DAYS_MS: u64 = 10 * 24 * 3600 * 1000;

/// How many events are stored besides: by default so many, in full 1000,100000,1000000.
fn stored() -> Vec<usize> {
    let list = required("TRIGGERS_STORED_EVENTS").unwrap_or_else(|_| "1000,20000".to_owned());
    list.split(',').map(|digits| digits.trim().parse().expect("a number")).collect()
}

/// Two events that have left the inbox, as they are stored: one acknowledged, one delivered.
fn taken(tenant: &Tenant) -> [Value; 2] {
    let receiver = Receiver::answering(200);
    let endpoint = json!({"url": receiver.url(), "event_types": ["order.shipped"]});
    tenant.post("/api/endpoints", endpoint.to_string()).expect(201);
    let (acked, delivered) = (tenant.accepted("order.created"), tenant.accepted("order.shipped"));
    tenant.shown_as("pending", &acked);
    tenant.acknowledge(&acked).expect(200);
    tenant.stored_as("delivered", &delivered);
    [acked, delivered].map(|id| tables::item(tenant, &id))
}

/// Puts so many copies of these items among the tenant's events, accepted within ten days before and after now.
fn store(_tenant: &Tenant, samples: &[Value], count: usize) {
    let summary = STACK.get().summary();
    let (now, mut rng) = (SystemClock.now().millis(), rand::rng());
    let step = 2 * TEN_DAYS_MS / u64::try_from(count).unwrap();
    let mut at = now - TEN_DAYS_MS;
    let mut put = |sample: &Value| {
        at += step;
        let mut item = sample.clone();
        item["sk"]["S"] = EventId::generate(Timestamp::from_millis(at), 1, &mut rng).to_string().into();
        json!({"PutRequest": {"Item": item}})
    };
    let mut left = samples.iter().cycle().take(count);
    for _ in 0..count.div_ceil(ITEMS_PER_WRITE) {
        let puts: Vec<Value> = left.by_ref().take(ITEMS_PER_WRITE).map(&mut put).collect();
        let input = json!({"RequestItems": {&summary.tables["Events"]: puts}});
        let answer = dynamodb(&summary.emulator, "BatchWriteItem", &input).expect(200).json();
        assert_eq!(answer["UnprocessedItems"], json!({}));
    }
}

/// What a page of all that is pending costs, and a lease of it, in half read units.
fn cost(tenant: &Tenant) -> [usize; 2] {
    let desk = Desk::open(STACK.get(), tenant, 1);
    let clerk = &desk.clerks[0];
    let page = clerk.ask(tenant, "GET", "/api/inbox", "").expect(200).json();
    let listing = desk.proxy.take_half_units();
    let lease = clerk.act(tenant, "lease", &json!({"lease_limit": PENDING}));
    let leasing = desk.proxy.take_half_units();
    assert_eq!(page["events"].as_array().map(Vec::len), Some(PENDING));
    assert_eq!(lease["results"].as_array().map(Vec::len), Some(PENDING));
    clerk.act(tenant, "release", &json!({"lease_id": lease["lease_id"]}));
    [listing, leasing]
}

fn per_cent_more(than: usize, this: usize) -> usize {
    100 * this.abs_diff(than) / than
}

#[test]
fn listing_and_leasing_a_hundred_cost_the_same_however_much_is_stored() {
    let _story = STACK.story();
    let tenant = Tenant::at(Place::Deployed(STACK.get()), "pro");
    let samples = taken(&tenant);
    fill(&tenant, PENDING, &["order.created"]);
    let sizes = samples.each_ref().map(size);
    println!("{PENDING} pending among heads of {sizes:?} bytes\n    stored   listing   leasing");
    let (mut already, mut first) = (0, None);
    for count in stored() {
        store(&tenant, &samples, count - already);
        already = count;
        let costs = cost(&tenant);
        let than = *first.get_or_insert(costs);
        let [listing, leasing] = costs.map(|halves| format!("{}.{}", halves / 2, halves % 2 * 5));
        let more = [0, 1].map(|what| per_cent_more(than[what], costs[what]));
        println!("{count:>10}{listing:>10}{leasing:>10}   {} % and {} % more", more[0], more[1]);
        assert!(more.iter().all(|per_cent| *per_cent < 5), "{costs:?} instead of {than:?}");
    }
}

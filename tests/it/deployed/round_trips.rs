//! What accepting costs: the calls to AWS of a warm process of ingest, counted on their way.

use serde_json::Value;

use crate::deployed::support::front_door::{FrontDoor, named, plain};
use crate::deployed::support::proxy::Calls;
use crate::support::client::{Reply, Tenant};
use crate::support::within_one_minute;

/// Tier business leases up to 100 tokens at once: few enough to see the lease, more than one event needs.
const TIER: &str = "business";

/// The calls of what a warm process is asked to do, told by their operations.
fn calls_of(what: &str, ask: impl Fn(&FrontDoor, &Tenant) -> Reply) -> Calls {
    let calls = within_one_minute(|| {
        let (tenant, door) = (Tenant::deployed_of_tier(TIER), FrontDoor::open());
        door.warm(&tenant);
        ask(&door, &tenant).expect(202);
        door.proxy.take_calls()
    });
    println!("{what}: {} calls {calls:?}", calls.values().sum::<usize>());
    calls
}

#[track_caller]
fn check(calls: &Calls, expected: &[(&str, usize)]) {
    let calls: Vec<_> = calls.iter().map(|(operation, count)| (operation.as_str(), *count)).collect();
    assert_eq!(calls, expected);
}

fn hundred(event: impl Fn(usize) -> Value) -> Vec<Value> {
    (0..100).map(event).collect()
}

#[test]
fn the_first_event_of_a_process_costs_the_key_its_use_a_lease_and_two_looks_besides() {
    let (tenant, door) = (Tenant::deployed_of_tier(TIER), FrontDoor::open());
    door.post(&tenant, &plain()).expect(202);
    let calls = door.proxy.take_calls();
    println!("a process's first event: {calls:?}");
    check(&calls, &[("GetItem", 1), ("Query", 2), ("SendMessageBatch", 1), ("UpdateItem", 2)]);
}

#[test]
fn an_event_without_a_name_costs_one_call() {
    let calls = calls_of("an event without a name", |door, tenant| door.post(tenant, &plain()));
    check(&calls, &[("SendMessageBatch", 1)]);
}

#[test]
fn an_event_with_a_name_costs_two_calls_and_so_does_its_repeat() {
    let calls = calls_of("an event with a name", |door, tenant| door.post(tenant, &named("once")));
    check(&calls, &[("PutItem", 1), ("SendMessageBatch", 1)]);

    let calls = within_one_minute(|| {
        let (tenant, door) = (Tenant::deployed_of_tier(TIER), FrontDoor::open());
        door.warm(&tenant);
        door.post(&tenant, &named("twice")).expect(202);
        door.proxy.take_calls();
        door.post(&tenant, &named("twice")).expect(409);
        door.proxy.take_calls()
    });
    check(&calls, &[("PutItem", 1), ("SendMessageBatch", 1)]);
}

/// Ten messages in each call, and one lease: the warm process holds a token less than a hundred.
#[test]
fn a_batch_of_a_hundred_events_costs_eleven_calls() {
    let calls =
        calls_of("100 events without names", |door, tenant| door.post_batch(tenant, &hundred(|_| plain())));
    check(&calls, &[("SendMessageBatch", 10), ("UpdateItem", 1)]);
}

#[test]
fn the_names_of_a_batch_cost_one_call_each_besides() {
    let batch = || hundred(|number| named(&format!("name {number}")));
    let calls = calls_of("100 events with names", |door, tenant| door.post_batch(tenant, &batch()));
    check(&calls, &[("PutItem", 100), ("SendMessageBatch", 10), ("UpdateItem", 1)]);
}

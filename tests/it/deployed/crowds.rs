//! Many events for one endpoint: how few calls of the function they take.

use std::fs;

use dev::stack::Stack;
use serde_json::{Value, json};

use crate::deployed::support::stack::LazyStack;
use crate::support::client::Tenant;
use crate::support::eventually;
use crate::support::place::Place;
use crate::support::receiver::Receiver;

/// A stack of its own: the calls of its functions are counted. Two processes of delivery have always work, as instances
/// under load have; more would take batches before they are full.
static STACK: LazyStack = LazyStack::new("tests-crowds").with_delivery_processes(2);

const EVENTS: usize = 1000;

/// One tenth is what batches of ten make; the rest is for batches that were not full. The scheduler sends 200 at a time, and
/// delivery may be ready before the next 200 have come.
const MAX_CALLS: usize = 130;

/// The lines that delivery has written, one for each call.
fn calls(stack: &Stack) -> Vec<Value> {
    let log = fs::read_to_string(stack.function_log("delivery")).unwrap_or_default();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["function"] == "triggers-delivery" && line["messages"].is_u64()).collect()
}

/// Parks a thousand events, lets them go, and returns what each call of delivery did.
fn sent(stack: &'static Stack) -> Vec<Value> {
    let (tenant, receiver) = (Tenant::at(Place::Deployed(stack), "business"), Receiver::answering(200));
    let endpoint = json!({"url": receiver.url(), "rate_per_second": 1000, "paused": true});
    let endpoint = tenant.post("/api/endpoints", endpoint.to_string()).expect(201).json();
    let path = format!("/api/endpoints/{}", endpoint["id"].as_str().unwrap());
    let batch = json!({"events": vec![json!({"type": "a", "payload": {"n": 1}}); EVENTS / 2]}).to_string();
    for _ in 0..2 {
        tenant.post("/api/events/batch", batch.clone()).expect(202);
    }
    eventually("all are parked", || (tenant.get(&path).json()["pending"] == EVENTS).then_some(()));

    let before = calls(stack).len();
    let resume = json!({"paused": false}).to_string();
    tenant.call("PATCH", &path, &[("content-type", "application/json")], resume).expect(200);
    stack.call_function("scheduler", &json!({})).unwrap();
    receiver.wait_for(EVENTS);
    let lines = eventually("every delivery is counted", || {
        let lines = calls(stack).split_off(before);
        let delivered: u64 = lines.iter().filter_map(|line| line["delivered"].as_u64()).sum();
        (delivered == EVENTS as u64).then_some(lines)
    });
    assert_eq!(receiver.received().len(), EVENTS, "each once");
    eventually("all have left the inbox", || tenant.inbox_ids("").is_empty().then_some(()));
    lines
}

#[test]
fn a_thousand_events_for_a_fast_endpoint_take_hardly_more_calls_than_full_batches() {
    let _story = STACK.story();
    let lines = sent(STACK.get());
    println!("{EVENTS} events in {} calls", lines.len());
    assert!(lines.len() <= MAX_CALLS, "{} calls", lines.len());
}

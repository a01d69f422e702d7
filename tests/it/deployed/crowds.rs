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

/// One tenth is what batches of ten make. The rest is for batches that were not full, and for the batches that arrive before
/// the first answer: at most ten requests are in flight until then, so what exceeds them comes again.
const MAX_CALLS: usize = 135;

/// The lines that delivery has written, one for each call.
fn calls(stack: &Stack) -> Vec<Value> {
    let log = fs::read_to_string(stack.function_log("delivery")).unwrap_or_default();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["function"] == "delivery" && line["messages"].is_u64()).collect()
}

/// Parks a thousand events and lets them go: what delivery did, and how many requests came before the first was answered. None
/// where the first batches were so small that the held requests in them ran out of time, and were made again.
fn sent(stack: &'static Stack) -> Option<(Vec<Value>, usize)> {
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
    receiver.hold();
    let resume = json!({"paused": false}).to_string();
    tenant.call("PATCH", &path, &[("content-type", "application/json")], resume).expect(200);
    stack.call_function("scheduler", &json!({})).unwrap();
    let at_once = receiver.wait_for(10).len(); // none of them is answered yet
    receiver.release();
    receiver.wait_for(EVENTS);
    let lines = eventually("every delivery is counted", || {
        let lines = calls(stack).split_off(before);
        let delivered: u64 = lines.iter().filter_map(|line| line["delivered"].as_u64()).sum();
        (delivered == EVENTS as u64).then_some(lines)
    });
    if lines.iter().any(|line| line["attempts_retry"].is_u64()) {
        return None;
    }
    assert_eq!(receiver.received().len(), EVENTS, "each once");
    eventually("all have left the inbox", || tenant.inbox_ids("").is_empty().then_some(()));
    Some((lines, at_once))
}

#[test]
fn a_thousand_events_for_a_fast_endpoint_take_hardly_more_calls_than_full_batches() {
    let (lines, at_once) = eventually("no held request runs out of time", || sent(STACK.get()));
    println!("{EVENTS} events in {} calls, {at_once} requests before the first answer", lines.len());
    assert!(lines.len() <= MAX_CALLS, "{} calls", lines.len());
}

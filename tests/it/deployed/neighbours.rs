//! A quiet tenant beside one whose fifty endpoints answer with success, but slowly.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::deployed::support::busy::apart_from_busy_stories;
use crate::deployed::support::stack::LazyStack;
use crate::support::client::Tenant;
use crate::support::place::Place;
use crate::support::receiver::Receiver;

/// A stack of its own: its 16 processes of delivery are what is tested.
static STACK: LazyStack = LazyStack::new("tests-neighbours");

/// The endpoints that a tenant may have.
const ENDPOINTS: usize = 50;

/// How long the slow endpoints take for an answer.
const SLOW: Duration = Duration::from_secs(12);

/// The events of the quiet tenant.
const EVENTS: usize = 40;

/// How long a delivery beside the slow ones may take. On two busy cores an event alone takes up to a second too.
const PATIENCE: Duration = Duration::from_secs(5);

/// The events that may take longer: those that meet the first wave, before any endpoint is known to be slow. 16 processes are
/// few; with 100 instances there is no such event (`fairness.rs`).
const FIRST_WAVE: usize = 2;

fn tenant(tier: &str) -> Tenant {
    Tenant::at(Place::Deployed(STACK.get()), tier)
}

/// Posts events one after the other; returns how long each took from before its post until it was received, shortest first.
fn measure(tenant: &Tenant, receiver: &Receiver, pause: Duration) -> Vec<Duration> {
    let mut took = Vec::new();
    for _ in 0..EVENTS {
        let before = receiver.received().len();
        let posted_at = Instant::now();
        tenant.accepted("a");
        took.push(receiver.wait_for(before + 1)[before].at - posted_at);
        thread::sleep(pause); // spreads the events over the minute in which the slow ones are sent
    }
    took.sort_unstable();
    took
}

#[test]
fn a_quiet_tenant_is_served_at_once_beside_fifty_slow_endpoints_that_are_known_to_be_slow() {
    let _guard = apart_from_busy_stories();
    let _story = STACK.story();
    let (quick, slow) = (Receiver::answering(200), Receiver::answering(200));
    slow.answer_after(SLOW);
    let quiet = tenant("pro");
    quiet.post("/api/endpoints", json!({"url": quick.url()}).to_string()).expect(201);
    let alone = measure(&quiet, &quick, Duration::ZERO);

    let busy = tenant("free");
    for n in 0..ENDPOINTS {
        let url = slow.url_of(&format!("/hook/{n}"));
        busy.post("/api/endpoints", json!({"url": url}).to_string()).expect(201);
    }
    for _ in 0..20 {
        busy.accepted("a");
    }
    let beside = measure(&quiet, &quick, Duration::from_secs(1));
    let in_flight = slow.received().len();
    slow.release();

    let median_and_longest = |took: &[Duration]| (took[EVENTS / 2], took[EVENTS - 1]);
    println!(
        "alone {:?}, beside {in_flight} requests to slow endpoints {:?} (median and longest)",
        median_and_longest(&alone),
        median_and_longest(&beside)
    );
    assert!(in_flight >= 20, "the slow endpoints were asked: {in_flight}");
    assert!(beside[EVENTS - 1 - FIRST_WAVE] < PATIENCE, "alone {alone:?}, beside {beside:?}");
}

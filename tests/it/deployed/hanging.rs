//! Receivers that do not answer hold their processes until the timeout. No other delivery waits for them.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::deployed::support::stack::LazyStack;
use crate::support::client::Tenant;
use crate::support::place::Place;
use crate::support::receiver::Receiver;

/// A stack of its own: its processes are what is tested.
static STACK: LazyStack = LazyStack::new("tests-hanging");

/// How long a delivery beside the hanging ones may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes a tenant with an endpoint at this receiver.
fn subscribed(receiver: &Receiver) -> Tenant {
    let tenant = Tenant::at(Place::Deployed(STACK.get()), "pro");
    tenant.post("/api/endpoints", json!({"url": receiver.url()}).to_string()).expect(201);
    tenant
}

#[test]
fn six_receivers_that_hang_delay_nobody_else_by_five_seconds() {
    let _story = STACK.story();
    let hanging: Vec<Receiver> = (0..6).map(|_| Receiver::answering(200)).collect();
    let answering = Receiver::answering(200);
    let tenants: Vec<Tenant> = hanging.iter().map(subscribed).collect();
    let neighbour = subscribed(&answering);
    hanging.iter().for_each(Receiver::hold);
    for round in 1..=2 {
        for (tenant, receiver) in tenants.iter().zip(&hanging) {
            tenant.accepted("a");
            receiver.wait_for(round); // so each event hangs in a batch of its own
        }
    }
    for n in 1..=10 {
        let posted_at = Instant::now();
        neighbour.accepted("a");
        answering.wait_for(n);
        assert!(posted_at.elapsed() < PATIENCE, "{:?}", posted_at.elapsed());
    }
    for receiver in &hanging {
        assert!(receiver.received().len() >= 2);
        receiver.release();
    }
}

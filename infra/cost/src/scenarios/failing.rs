//! Events whose endpoint fails at first.

use std::time::Duration;

use domain::endpoint::health::window::Window;
use domain::testing::{endpoint, failed};
use tokio::time::sleep;

use super::delivering::{self, Stream};
use crate::measured::{Measured, Measurement};
use crate::ports::queue::BATCH_SIZE;
use crate::system::System;

/// Measures events whose first attempt fails and whose second one succeeds. Ten fail together, and succeed before the next ten
/// fail: the circuit breaker stays closed.
pub(super) async fn measure_retry() -> Measured {
    const STREAM: Stream = Stream { at_least: 1, ..Stream::FULL };
    const WARM_ROUNDS: u64 = 4;
    const ROUNDS: u64 = 10;
    let system = System::start(1, 1);
    delivering::run(&system, STREAM, 0..WARM_ROUNDS).await;
    system.ports.webhooks.script.answer_by(|request, _| {
        let is_first = |(name, value): &(String, String)| name == "webhook-attempt" && value == "1";
        request.headers.iter().any(is_first).then_some(500)
    });
    let measurement = Measurement::begin(&system);
    delivering::run(&system, STREAM, WARM_ROUNDS..WARM_ROUNDS + ROUNDS).await;
    let events = ROUNDS * BATCH_SIZE as u64;
    let measured = measurement.end(&system, events);
    assert_eq!(measured.counts.webhooks, 2 * events, "two attempts, none parked");
    measured
}

/// Measures events that are parked because the circuit breaker is open, and sent when the endpoint takes deliveries again.
pub(super) async fn measure_parked() -> Measured {
    const ROUNDS: u64 = 10;
    let system = System::start(1, 1);
    delivering::run(&system, Stream::FULL, 0..4).await;
    open_circuit_breaker(&system);
    let measurement = Measurement::begin(&system);
    delivering::run(&system, Stream::FULL, 4..4 + ROUNDS).await;
    while !system.ports.tables.endpoint_rows().is_empty() {
        sleep(Duration::from_secs(60 - system.now().seconds() % 60)).await;
        system.visit().await;
        system.run_until_quiet().await;
    }
    let events = ROUNDS * BATCH_SIZE as u64;
    let measured = measurement.end(&system, events);
    assert_eq!(measured.counts.webhooks, events, "each event is delivered by its first attempt");
    measured
}

fn open_circuit_breaker(system: &System) {
    let now = system.now();
    system.ports.tables.change_endpoint(&system.clients[0].tenant, &endpoint(1).id, |endpoint| {
        for _ in 0..10 {
            let change = endpoint.health.after_failure(&failed(false), &Window::default(), now);
            endpoint.health = change.expect("a failure changes the health").health;
        }
    });
}

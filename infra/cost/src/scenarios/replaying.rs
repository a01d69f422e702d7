//! Events that are sent again.

use std::time::Duration;

use domain::testing::START;
use serde_json::json;
use tokio::time::sleep;

use super::delivering::{self, Stream};
use crate::measured::{Measured, Measurement};
use crate::ports::queue::BATCH_SIZE;
use crate::system::System;

const ROUNDS: u64 = 10;

/// Measures the replay of delivered events: the request, the job, and the deliveries. Not the events themselves.
pub(super) async fn measure() -> Measured {
    let system = System::start(1, 1);
    delivering::run(&system, Stream::FULL, 0..ROUNDS).await;
    let measurement = Measurement::begin(&system);
    let since = START.to_string();
    system.call(0, "POST", "/api/replays", &json!({"since": since})).await;
    while system.ports.tables.jobs().iter().any(|job| job.ended_at.is_none()) {
        sleep(Duration::from_secs(60 - system.now().seconds() % 60)).await;
        system.visit().await;
        system.run_until_quiet().await;
    }
    let events = ROUNDS * BATCH_SIZE as u64;
    let measured = measurement.end(&system, events);
    assert_eq!(measured.counts.webhooks, events, "each event is sent again once");
    measured
}

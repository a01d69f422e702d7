//! Events that a client takes from the inbox.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::delivering::{self, Stream};
use crate::measured::{Measured, Measurement};
use crate::ports::queue::BATCH_SIZE;
use crate::system::System;

const WARM_ROUNDS: u64 = 3;
const ROUNDS: u64 = 12;

/// Measures events of a tenant without endpoints: leased ten at a time, and acknowledged together.
pub(super) async fn measure() -> Measured {
    let system = System::start(1, 0);
    for round in 0..WARM_ROUNDS {
        lease_round(&system, round).await;
    }
    let measurement = Measurement::begin(&system);
    for round in WARM_ROUNDS..WARM_ROUNDS + ROUNDS {
        lease_round(&system, round).await;
    }
    measurement.end(&system, ROUNDS * BATCH_SIZE as u64)
}

async fn lease_round(system: &System, round: u64) {
    delivering::run(system, Stream::FULL, round..=round).await;
    let lease = system.call(0, "POST", "/api/inbox/lease", &json!({"lease_limit": BATCH_SIZE})).await;
    assert_eq!(lease["results"].as_array().map(Vec::len), Some(BATCH_SIZE));
    let ack = system.call(0, "POST", "/api/inbox/ack", &json!({"lease_id": lease["lease_id"]})).await;
    assert_eq!(ack["acked"].as_array().map(Vec::len), Some(BATCH_SIZE));
    sleep(Duration::from_secs(1)).await;
}

//! Many tenants on many instances: the caches of each instance know a tenant only if it saw it in the last minutes.
//!
//! What an instance knows of a tenant depends on how many events of that tenant it handles while its cache holds. So 100
//! tenants with 10 events a second stand for 10,000 with 1,000: the same rate of each tenant, on the same instances.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::sleep;

use super::delivering::{self, Stream};
use super::payload::payload;
use crate::counts::Counts;
use crate::measured::{Measured, Measurement};
use crate::ports::queue::BATCH_SIZE;
use crate::recorded::Function;
use crate::system::System;

const TENANTS: usize = 100;

/// The batches per second of 1,000 events per second.
const BATCHES_PER_SECOND: u64 = 100;

/// The seconds of the warm-up, longer than any cache holds, and of the measurement.
const SECONDS: [u64; 2] = [400, 600];

/// Measures the events of all tenants in turn, ten in each second and batch, on instances that are chosen at random.
pub(super) async fn measure() -> Measured {
    let instances = instances_for(&delivering::measure(Stream::MIXED).await.counts);
    let system = System::with_instances(TENANTS, 1, instances);
    let mut rng = StdRng::seed_from_u64(1); // each run measures the same
    let mut run = async |seconds: u64, first: u64| {
        for second in first..first + seconds {
            for place in 0..BATCH_SIZE as u64 {
                let number = second * BATCH_SIZE as u64 + place;
                let client = usize::try_from(number).unwrap_or_default() % TENANTS;
                let body = format!(r#"{{"type":"order.created","payload":{}}}"#, payload(number, 1_000));
                system.post(client, "/api/events", &body).await;
            }
            system.consume(rng.random_range(0..instances[0])).await;
            system.deliver(rng.random_range(0..instances[1])).await;
            sleep(Duration::from_millis(1000 - system.now().millis() % 1000)).await;
        }
    };
    run(SECONDS[0], 0).await;
    let measurement = Measurement::begin(&system);
    run(SECONDS[1], SECONDS[0]).await;
    measurement.end(&system, SECONDS[1] * BATCH_SIZE as u64)
}

/// Returns the instances of consumer and delivery that are busy at this rate: the batches per second times the seconds of a
/// batch.
fn instances_for(mixed: &Counts) -> [usize; 2] {
    [Function::Consumer, Function::Delivery].map(|function| {
        let ms = mixed.billed_ms[&function] / mixed.invocations[&function];
        usize::try_from((BATCHES_PER_SECOND * ms).div_ceil(1000)).unwrap_or(1)
    })
}

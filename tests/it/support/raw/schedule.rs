//! Raw events of `EventBridge`.

use std::time::Duration;

use ::scheduler::handler::Scheduler;
use domain::testing::START;
use serde_json::Value;

use super::super::configs;
use super::world::{FIXED, log, world};

/// Sends the event to scheduler, which reads the time and not the event.
pub(crate) fn scheduler(input: &[u8]) {
    if serde_json::from_slice::<Value>(input).is_err() {
        return; // the runtime of Lambda answers
    }
    let scheduler = Scheduler::new(&world(), &configs::scheduler(), log());
    FIXED.runtime.block_on(scheduler.handle(START.after(Duration::from_secs(55))));
}

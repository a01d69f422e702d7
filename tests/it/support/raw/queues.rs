//! Raw events of SQS.

use std::time::Duration;

use ::consumer::handler::Consumer;
use ::delivery::handler::Delivery;
use ::drain::handler::Drain;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use domain::testing::START;

use super::super::configs;
use super::world::{FIXED, log, world};

/// Sends the event to consumer.
pub(crate) fn consumer(input: &[u8]) {
    let Some(event) = read(input) else { return };
    let consumer = Consumer::new(&world(), configs::consumer(), log());
    check(&event, &FIXED.runtime.block_on(consumer.handle(event.clone())));
}

/// Sends the event to delivery.
pub(crate) fn delivery(input: &[u8]) {
    let Some(event) = read(input) else { return };
    let delivery = Delivery::new(&world(), configs::delivery(), log());
    let until = START.after(Duration::from_secs(60));
    check(&event, &FIXED.runtime.block_on(delivery.handle(event.clone(), until)));
}

/// Sends the event to drain.
pub(crate) fn drain(input: &[u8]) {
    let Some(event) = read(input) else { return };
    let drain = Drain::new(&world(), &configs::drain(), log());
    FIXED.runtime.block_on(drain.handle(event, START.after(Duration::from_secs(60))));
}

/// Reads the event as the runtime of Lambda does, which answers for an event that it cannot read.
fn read(input: &[u8]) -> Option<SqsEvent> {
    serde_json::from_slice(input).ok()
}

/// Checks that only messages of the event return to the queue.
fn check(event: &SqsEvent, response: &SqsBatchResponse) {
    for failure in &response.batch_item_failures {
        let is_its = |id: &Option<String>| id.as_deref().unwrap_or_default() == failure.item_identifier;
        assert!(event.records.iter().any(|record| is_its(&record.message_id)));
    }
}

//! What the targets do: the code of the stories, and mutations that keep an input JSON.

#[path = "../../tests/it/support/configs.rs"]
mod configs;
pub mod mutation;
#[path = "../../tests/it/support/raw/mod.rs"]
mod raw;

/// Sends a raw event of API Gateway to ingest.
pub fn gateway_ingest(input: &[u8]) {
    raw::gateway::ingest(input);
}

/// Sends a raw event of API Gateway to api.
pub fn gateway_api(input: &[u8]) {
    raw::gateway::api(input);
}

/// Sends a raw event of SQS to consumer.
pub fn consumer(input: &[u8]) {
    raw::queues::consumer(input);
}

/// Sends a raw event of SQS to delivery.
pub fn delivery(input: &[u8]) {
    raw::queues::delivery(input);
}

/// Sends a raw event of SQS to drain.
pub fn drain(input: &[u8]) {
    raw::queues::drain(input);
}

/// Sends a raw event of EventBridge to scheduler.
pub fn scheduler(input: &[u8]) {
    raw::schedule::scheduler(input);
}

//! The queues of the emulator.

use serde_json::{Value, json};

use super::stack::shared;
use crate::support::aws::service;
use crate::support::client::{Reply, Tenant};

/// One action of SQS on the shared stack.
pub(crate) fn sqs(action: &str, input: &Value) -> Reply {
    service(&shared().summary().emulator, "sqs", &format!("AmazonSQS.{action}"), input)
}

/// A new queue with these attributes; its URL.
pub(crate) fn queue(attributes: &Value) -> String {
    let name = format!("story-{}", Tenant::deployed().id);
    let made = sqs("CreateQueue", &json!({"QueueName": name, "Attributes": attributes})).expect(200).json();
    made["QueueUrl"].as_str().expect("a URL").to_owned()
}

/// Takes the messages that are visible now.
pub(crate) fn receive(queue: &str) -> Vec<Value> {
    let input = json!({"QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0,
        "MessageSystemAttributeNames": ["ApproximateReceiveCount"]});
    let mut answer = sqs("ReceiveMessage", &input).expect(200).json();
    answer["Messages"].as_array_mut().map(std::mem::take).unwrap_or_default()
}

//! The emulator's own services, spoken to as the SDK does (AWS JSON 1.0), each answer with its status.

use serde_json::{Value, json};

use super::client::{Reply, Tenant, call};
use super::stack::shared;

/// One action of `DynamoDB`.
pub(crate) fn dynamodb(emulator: &str, action: &str, input: &Value) -> Reply {
    service(emulator, "dynamodb", &format!("DynamoDB_20120810.{action}"), input)
}

/// One action of SQS on the shared stack.
pub(crate) fn sqs(action: &str, input: &Value) -> Reply {
    service(&shared().summary().emulator, "sqs", &format!("AmazonSQS.{action}"), input)
}

/// A new queue with these attributes; its URL.
pub(crate) fn queue(attributes: &Value) -> String {
    let name = format!("story-{}", Tenant::new().id);
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

/// The header `Authorization` by which the emulator takes a call to a service from whoever may do everything.
pub(crate) fn signature(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=test/20250101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

fn service(emulator: &str, name: &str, target: &str, input: &Value) -> Reply {
    let signature = signature(name);
    let headers = [
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", target),
        ("authorization", signature.as_str()),
    ];
    call("POST", emulator, &headers, input.to_string())
}

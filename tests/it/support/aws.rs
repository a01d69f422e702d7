//! The emulator's own services, spoken to as the SDK does (AWS JSON 1.0), each answer with its status.

use serde_json::Value;

use super::client::{Reply, call};

/// One action of `DynamoDB`.
pub(crate) fn dynamodb(emulator: &str, action: &str, input: &Value) -> Reply {
    service(emulator, "dynamodb", &format!("DynamoDB_20120810.{action}"), input)
}

/// The header `Authorization` by which the emulator takes a call to a service from whoever may do everything.
pub(crate) fn signature(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=test/20250101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

/// One action of a service.
pub(crate) fn service(emulator: &str, name: &str, target: &str, input: &Value) -> Reply {
    let signature = signature(name);
    let headers = [
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", target),
        ("authorization", signature.as_str()),
    ];
    call("POST", emulator, &headers, input.to_string())
}

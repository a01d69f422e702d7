//! Looks for texts in everything that the shared stack stores: every attribute of every item of every table, and every message
//! that waits in a queue; as they are, and within base64, zstd and JSON, however they are nested.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::stack::shared;
use crate::deployed::support::sqs::sqs;
use crate::support::aws::dynamodb;

/// How deep something may be wrapped: JSON of base64 of zstd of JSON is four.
const DEPTH: usize = 6;

/// A queue gives out some of its messages: it is asked again until it has told nothing new so often.
const NOTHING_NEW: usize = 3;

/// The first bytes of a zstd frame.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Every place where this text is: a table with the item's key, or a queue.
pub(crate) fn places(text: &str) -> Vec<String> {
    let mut found: Vec<String> =
        shared().summary().tables.iter().flat_map(|(name, table)| in_table(name, table, text)).collect();
    let queues = shared().summary().queues.iter().filter(|(_, url)| in_queue(url, text));
    found.extend(queues.map(|(name, _)| name.clone()));
    found
}

fn in_table(name: &str, table: &str, text: &str) -> Vec<String> {
    let (mut found, mut start) = (Vec::new(), Value::Null);
    loop {
        let mut input = json!({"TableName": table, "ConsistentRead": true});
        if !start.is_null() {
            input["ExclusiveStartKey"] = start;
        }
        let mut page = dynamodb(&shared().summary().emulator, "Scan", &input).expect(200).json();
        for item in page["Items"].as_array().expect("items").iter().filter(|item| within(item, text, DEPTH)) {
            found.push(format!("{name} {} {}", item["pk"]["S"], item["sk"]["S"]));
        }
        start = page["LastEvaluatedKey"].take();
        if start.is_null() {
            return found;
        }
    }
}

fn in_queue(queue: &str, text: &str) -> bool {
    let (mut seen, mut nothing_new) = (HashSet::new(), 0);
    while nothing_new < NOTHING_NEW {
        let input = json!({"QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0,
            "VisibilityTimeout": 0});
        let answer = sqs("ReceiveMessage", &input).expect(200).json();
        nothing_new += 1;
        for message in answer["Messages"].as_array().into_iter().flatten() {
            if within(&message["Body"], text, DEPTH) {
                return true;
            }
            if seen.insert(message["MessageId"].to_string()) {
                nothing_new = 0;
            }
        }
    }
    false
}

/// Whether the text is in any name or value of this, in any form.
fn within(value: &Value, text: &str, depth: usize) -> bool {
    match value {
        Value::String(string) => within_bytes(string.as_bytes(), text, depth),
        Value::Array(values) => values.iter().any(|value| within(value, text, depth)),
        Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains(text) || within(value, text, depth))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn within_bytes(bytes: &[u8], text: &str, depth: usize) -> bool {
    if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
        return true;
    }
    if depth == 0 {
        return false;
    }
    let unpacked = if bytes.starts_with(&ZSTD) { zstd::decode_all(bytes).ok() } else { None };
    let decoded = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD];
    let decoded = decoded.iter().filter_map(|engine| engine.decode(bytes).ok());
    let mut inner = unpacked.into_iter().chain(decoded).filter(|inner| inner.len() >= text.len());
    let read = || serde_json::from_slice::<Value>(bytes).ok();
    inner.any(|inner| within_bytes(&inner, text, depth - 1))
        || read().is_some_and(|value| within(&value, text, depth - 1))
}

//! What the tables really hold, read past the API.

use domain::timestamp::Timestamp;
use serde_json::{Value, json};

use super::aws::dynamodb;
use super::client::Tenant;

/// An event's head as it is stored.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) id: String,
    pub(crate) status: String,
    /// When the table deletes it, in seconds since the epoch.
    pub(crate) ttl: u64,
    /// Attempts, and the state of each delivery.
    pub(crate) deliveries: Vec<(u64, String)>,
}

/// The head of an event, if it is stored.
pub(crate) fn stored(tenant: &Tenant, id: &str) -> Option<Stored> {
    let item = item(tenant, id);
    (!item.is_null()).then(|| head(&item))
}

/// The item of an event's head; null if it is not stored.
pub(crate) fn item(tenant: &Tenant, id: &str) -> Value {
    let input = json!({"TableName": events(tenant), "Key": key(tenant, id), "ConsistentRead": true});
    dynamodb(&tenant.stack.summary().emulator, "GetItem", &input).expect(200).json()["Item"].take()
}

/// The heads of every event that a tenant has, oldest first in each shard.
pub(crate) fn all_stored(tenant: &Tenant, shards: u8) -> Vec<Stored> {
    let of_shard = |shard| {
        let values = json!({":pk": {"S": format!("t#{}#{shard}", tenant.id)}});
        let input = json!({"TableName": events(tenant), "ConsistentRead": true,
            "KeyConditionExpression": "pk = :pk", "FilterExpression": "attribute_exists(deliveries)",
            "ExpressionAttributeValues": values});
        let answer = dynamodb(&tenant.stack.summary().emulator, "Query", &input).expect(200).json();
        assert!(answer.get("LastEvaluatedKey").is_none(), "more than one page");
        answer["Items"].as_array().expect("items").iter().map(head).collect::<Vec<_>>()
    };
    (0..shards).flat_map(of_shard).collect()
}

/// Every item that the table holds of an event: its head, its attempts, and its payload where that is one.
pub(crate) fn all_of(tenant: &Tenant, id: &str) -> Vec<Value> {
    let shard = u8::from_str_radix(&id[id.len() - 2..], 16).expect("an id ends in its shard");
    let values = json!({":pk": {"S": format!("t#{}#{shard}", tenant.id)}, ":id": {"S": id}});
    let input = json!({"TableName": events(tenant), "ConsistentRead": true,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :id)", "ExpressionAttributeValues": values});
    let emulator = &tenant.stack.summary().emulator;
    let mut answer = dynamodb(emulator, "Query", &input).expect(200).json();
    let mut items = answer["Items"].as_array_mut().map(std::mem::take).expect("items");
    let key = json!({"pk": {"S": format!("t#{}#payload#{id}", tenant.id)}, "sk": {"S": "-"}});
    let input = json!({"TableName": events(tenant), "Key": key, "ConsistentRead": true});
    let payload = dynamodb(emulator, "GetItem", &input).expect(200).json()["Item"].take();
    items.extend((!payload.is_null()).then_some(payload));
    items
}

/// Those of these events that are stored, with their types.
pub(crate) fn types_of(tenant: &Tenant, ids: &[String]) -> Vec<(String, String)> {
    let text = |value: &Value| value["S"].as_str().expect("a text").to_owned();
    let found = |ids: &[String]| {
        let keys: Vec<Value> = ids.iter().map(|id| key(tenant, id)).collect();
        let request = json!({"RequestItems": {events(tenant): {"Keys": keys, "ConsistentRead": true}}});
        let answer = dynamodb(&tenant.stack.summary().emulator, "BatchGetItem", &request).expect(200).json();
        let items = answer["Responses"][events(tenant)].as_array().expect("items");
        items.iter().map(|item| (text(&item["sk"]), text(&item["type"]))).collect::<Vec<_>>()
    };
    ids.chunks(100).flat_map(found).collect()
}

/// The rows of messages of an event that are due later.
pub(crate) fn due_rows(tenant: &Tenant, event: &str) -> Vec<Value> {
    let summary = tenant.stack.summary();
    let input = json!({"TableName": summary.tables["Schedule"], "ConsistentRead": true,
        "FilterExpression": "attribute_exists(due_at) AND contains(message, :event)",
        "ExpressionAttributeValues": {":event": {"S": event}}});
    let mut answer = dynamodb(&summary.emulator, "Scan", &input).expect(200).json();
    answer["Items"].as_array_mut().map(std::mem::take).expect("items")
}

/// The rows of a tenant's events that will expire.
pub(crate) fn expiring_rows(tenant: &Tenant) -> Vec<Value> {
    let summary = tenant.stack.summary();
    let input = json!({"TableName": summary.tables["Schedule"], "ConsistentRead": true,
        "KeyConditionExpression": "pk = :pk", "FilterExpression": "tenant = :tenant",
        "ExpressionAttributeValues": {":pk": {"S": "expiring"}, ":tenant": {"S": tenant.id}}});
    let mut answer = dynamodb(&summary.emulator, "Query", &input).expect(200).json();
    answer["Items"].as_array_mut().map(std::mem::take).expect("items")
}

/// Puts a row into the schedule, as it is.
pub(crate) fn put_row(tenant: &Tenant, row: &Value) {
    put(tenant, "Schedule", row);
}

/// Puts an item into a table, as it is.
pub(crate) fn put(tenant: &Tenant, table: &str, item: &Value) {
    let summary = tenant.stack.summary();
    let input = json!({"TableName": summary.tables[table], "Item": item});
    dynamodb(&summary.emulator, "PutItem", &input).expect(200);
}

fn key(tenant: &Tenant, id: &str) -> Value {
    let shard = u8::from_str_radix(&id[id.len() - 2..], 16).expect("an id ends in its shard");
    json!({"pk": {"S": format!("t#{}#{shard}", tenant.id)}, "sk": {"S": id}})
}

/// Until when it is written down what a lease holds.
pub(crate) fn lease_is_kept_until(tenant: &Tenant, lease: &str) -> Timestamp {
    let key = json!({"pk": {"S": format!("t#{}#lease#{lease}", tenant.id)}, "sk": {"S": "-"}});
    let input = json!({"TableName": events(tenant), "Key": key, "ConsistentRead": true});
    let item = dynamodb(&tenant.stack.summary().emulator, "GetItem", &input).expect(200).json();
    let seconds = item["Item"]["ttl"]["N"].as_str().and_then(|digits| digits.parse().ok());
    Timestamp::from_seconds(seconds.expect("a lease is written down"))
}

fn events(tenant: &Tenant) -> &str {
    &tenant.stack.summary().tables["Events"]
}

fn head(item: &Value) -> Stored {
    let text = |value: &Value| value["S"].as_str().expect("a text").to_owned();
    let delivery = |entry: &Value| {
        let attempts = entry["M"]["n"]["N"].as_str().and_then(|digits| digits.parse().ok());
        (attempts.expect("a number"), text(&entry["M"]["s"]))
    };
    let deliveries = item["deliveries"]["M"].as_object().expect("a map");
    Stored {
        id: text(&item["sk"]),
        status: text(&item["status"]),
        ttl: item["ttl"]["N"].as_str().and_then(|digits| digits.parse().ok()).expect("a number"),
        deliveries: deliveries.values().map(delivery).collect(),
    }
}

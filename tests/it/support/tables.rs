//! What the tables really hold, read past the API.

use serde_json::{Value, json};

use super::aws::dynamodb;
use super::client::Tenant;

/// An event's head as it is stored.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) id: String,
    pub(crate) status: String,
    /// Attempts, and the state of each delivery.
    pub(crate) deliveries: Vec<(u64, String)>,
}

/// The head of an event, if it is stored.
pub(crate) fn stored(tenant: &Tenant, id: &str) -> Option<Stored> {
    let shard = u8::from_str_radix(&id[id.len() - 2..], 16).expect("an id ends in its shard");
    let key = json!({"pk": {"S": format!("t#{}#{shard}", tenant.id)}, "sk": {"S": id}});
    let input = json!({"TableName": events(tenant), "Key": key, "ConsistentRead": true});
    let answer = dynamodb(&tenant.stack.summary().emulator, "GetItem", &input).expect(200).json();
    answer.get("Item").map(head)
}

/// The heads of every event that a tenant has, oldest first in each shard.
pub(crate) fn all_stored(tenant: &Tenant, shards: u8) -> Vec<Stored> {
    let of_shard = |shard| {
        let values = json!({":pk": {"S": format!("t#{}#{shard}", tenant.id)}});
        let input = json!({"TableName": events(tenant), "ConsistentRead": true,
            "KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": values});
        let answer = dynamodb(&tenant.stack.summary().emulator, "Query", &input).expect(200).json();
        assert!(answer.get("LastEvaluatedKey").is_none(), "more than one page");
        answer["Items"].as_array().expect("items").iter().map(head).collect::<Vec<_>>()
    };
    (0..shards).flat_map(of_shard).collect()
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
        deliveries: deliveries.values().map(delivery).collect(),
    }
}

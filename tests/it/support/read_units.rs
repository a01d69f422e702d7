//! What reading costs in `DynamoDB`'s read units: one for each 4 KB begun of what was looked at, half of that where an older
//! state will do. A query pays for its entries together, also for those that a filter leaves out; anything else for each
//! item by itself.
//!
//! The emulator says half a unit or a whole one for every call, whatever was read; so it is counted here, from the items.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

const UNIT_BYTES: usize = 4096;

/// The half units of one call to the table. `ask` sends a query again, where its answer does not show all that it read.
pub(crate) fn half_units(
    operation: &str,
    input: &Value,
    output: &Value,
    ask: impl Fn(&Value) -> Value,
) -> usize {
    match operation {
        "GetItem" => units(size(&output["Item"])) * halves(input),
        "BatchGetItem" => {
            let tables = input["RequestItems"].as_object().expect("tables");
            tables.iter().map(|(table, request)| of_batch(request, &output["Responses"][table])).sum()
        }
        "Query" if input["FilterExpression"].is_null() => of_query(input, output),
        "Query" => of_query(input, &ask(&without_filter(input))),
        _ => 0,
    }
}

fn of_batch(request: &Value, found: &Value) -> usize {
    let (keys, found) =
        (request["Keys"].as_array().expect("keys"), found.as_array().map_or(&[][..], Vec::as_slice));
    let units: usize = found.iter().map(|item| units(size(item))).sum();
    (units + keys.len() - found.len()) * halves(request)
}

fn of_query(input: &Value, output: &Value) -> usize {
    let items = output["Items"].as_array().expect("items");
    assert_eq!(output["ScannedCount"], items.len(), "these are all that it looked at");
    units(items.iter().map(size).sum()) * halves(input)
}

/// The same query, by its key alone.
fn without_filter(input: &Value) -> Value {
    let condition = input["KeyConditionExpression"].as_str().expect("a condition");
    let mut query = input.clone();
    let members = query.as_object_mut().expect("an object");
    members.remove("FilterExpression");
    for placeholders in ["ExpressionAttributeNames", "ExpressionAttributeValues"] {
        let Some(Value::Object(used)) = members.get_mut(placeholders) else { continue };
        used.retain(|name, _| condition.split([' ', ',', '(', ')']).any(|word| word == name));
        if used.is_empty() {
            members.remove(placeholders);
        }
    }
    query
}

fn halves(request: &Value) -> usize {
    if request["ConsistentRead"] == true { 2 } else { 1 }
}

/// Reading nothing costs as much as the smallest item.
fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT_BYTES).max(1)
}

/// The size of an item, as `DynamoDB` documents it.
pub(crate) fn size(item: &Value) -> usize {
    item.as_object().map_or(0, size_of_attributes)
}

fn size_of_attributes(attributes: &Map<String, Value>) -> usize {
    attributes.iter().map(|(name, value)| name.len() + size_of_value(value)).sum()
}

fn size_of_value(value: &Value) -> usize {
    let (kind, value) = value.as_object().and_then(|typed| typed.iter().next()).expect("a typed value");
    let text = || value.as_str().expect("a text");
    match kind.as_str() {
        "S" => text().len(),
        "N" => text().len().div_ceil(2) + 1,
        "B" => BASE64.decode(text()).expect("Base64").len(),
        "L" => {
            let values = value.as_array().expect("a list");
            3 + values.len() + values.iter().map(size_of_value).sum::<usize>()
        }
        "M" => {
            let entries = value.as_object().expect("a map");
            3 + entries.len() + size_of_attributes(entries)
        }
        kind => panic!("no attribute of ours is of type {kind}"),
    }
}

#[test]
fn an_item_is_as_large_as_dynamodb_says() {
    let item = serde_json::json!({"pk": {"S": "t#1"}, "rev": {"N": "12"}, "payload": {"B": "AAAA"},
        "deliveries": {"M": {"ep_1": {"M": {"s": {"S": "open"}}}}}});
    assert_eq!(size(&item), (2 + 3) + (3 + 2) + (7 + 3) + (10 + 3 + 1 + 4 + 3 + 1 + 1 + 4));
    assert_eq!([0, 1, 4096, 4097].map(units), [1, 1, 1, 2]);
}

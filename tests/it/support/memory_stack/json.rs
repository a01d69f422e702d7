//! Items of the tables in memory as `DynamoDB` JSON, and back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value as Json, json};
use store::item::{Item, Name, Value};

/// Returns an item as `DynamoDB` JSON.
pub(crate) fn item_to_json(item: &Item) -> Json {
    let attributes = item.iter().map(|(name, value)| (name.to_owned(), value_to_json(value)));
    Json::Object(attributes.collect::<Map<_, _>>())
}

/// Reads an item from `DynamoDB` JSON.
///
/// # Panics
/// For an attribute of a kind that the stores do not write.
pub(crate) fn item_from_json(json: &Json) -> Item {
    let attributes = json.as_object().expect("an item").iter();
    attributes.map(|(name, value)| (Name::Owned(name.clone()), value_from_json(value))).collect()
}

fn value_to_json(value: &Value) -> Json {
    match value {
        Value::S(text) => json!({"S": text}),
        Value::N(number) => json!({"N": number.to_string()}),
        Value::B(bytes) => json!({"B": BASE64.encode(bytes)}),
        Value::Bool(flag) => json!({"BOOL": flag}),
        Value::L(list) => json!({"L": list.iter().map(value_to_json).collect::<Vec<_>>()}),
        Value::M(map) => json!({"M": item_to_json(map)}),
    }
}

fn value_from_json(json: &Json) -> Value {
    let (kind, value) = json.as_object().and_then(|object| object.iter().next()).expect("a typed value");
    let text = || value.as_str().expect("a text");
    match kind.as_str() {
        "S" => Value::S(text().to_owned()),
        "N" => Value::N(text().parse().expect("a whole number")),
        "B" => Value::B(BASE64.decode(text()).expect("base64")),
        "BOOL" => Value::Bool(value.as_bool().expect("a boolean")),
        "L" => Value::L(value.as_array().expect("a list").iter().map(value_from_json).collect()),
        "M" => Value::M(item_from_json(value)),
        other => panic!("no store writes the kind {other}"),
    }
}

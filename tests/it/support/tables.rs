//! What the tables really hold, read past the API.

use domain::timestamp::Timestamp;
use serde_json::Value;

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
    tenant.place.item("Events", &partition(tenant, id), id).unwrap_or_default()
}

/// The heads of every event that a tenant has, oldest first in each shard.
pub(crate) fn all_stored(tenant: &Tenant, shards: u8) -> Vec<Stored> {
    let of_shard = |shard| {
        let items = tenant.place.partition("Events", &format!("t#{}#{shard}", tenant.id));
        items.iter().filter(|item| item["deliveries"].is_object()).map(head).collect::<Vec<_>>()
    };
    (0..shards).flat_map(of_shard).collect()
}

/// Every item that the table holds of an event: its head, its attempts, and its payload where that is one.
pub(crate) fn all_of(tenant: &Tenant, id: &str) -> Vec<Value> {
    let mut items = tenant.place.partition("Events", &partition(tenant, id));
    items.retain(|item| item["sk"]["S"].as_str().expect("a sort key").starts_with(id));
    items.extend(tenant.place.item("Events", &format!("t#{}#payload#{id}", tenant.id), "-"));
    items
}

/// Those of these events that are stored, with their types.
pub(crate) fn types_of(tenant: &Tenant, ids: &[String]) -> Vec<(String, String)> {
    let found = ids.iter().map(|id| item(tenant, id)).filter(|item| !item.is_null());
    found.map(|item| (text(&item["sk"]), text(&item["type"]))).collect()
}

/// The rows of messages of an event that are due later.
pub(crate) fn due_rows(tenant: &Tenant, event: &str) -> Vec<Value> {
    let mut rows = tenant.place.items("Schedule");
    rows.retain(|row| {
        let is_of_event = row["message"]["S"].as_str().is_some_and(|message| message.contains(event));
        row["due_at"].is_object() && is_of_event
    });
    rows
}

/// The rows of a tenant's events that will expire.
pub(crate) fn expiring_rows(tenant: &Tenant) -> Vec<Value> {
    let mut rows = tenant.place.partition("Schedule", "expiring");
    rows.retain(|row| row["tenant"]["S"] == *tenant.id);
    rows
}

/// Puts a row into the schedule, as it is.
pub(crate) fn put_row(tenant: &Tenant, row: &Value) {
    put(tenant, "Schedule", row);
}

/// Puts an item into a table, as it is.
pub(crate) fn put(tenant: &Tenant, table: &str, item: &Value) {
    tenant.place.put(table, item);
}

/// Until when it is written down what a lease holds.
pub(crate) fn lease_is_kept_until(tenant: &Tenant, lease: &str) -> Timestamp {
    let item =
        tenant.place.item("Events", &format!("t#{}#lease#{lease}", tenant.id), "-").unwrap_or_default();
    let seconds = item["ttl"]["N"].as_str().and_then(|digits| digits.parse().ok());
    Timestamp::from_seconds(seconds.expect("a lease is written down"))
}

/// The partition that an event's head and attempts are in.
fn partition(tenant: &Tenant, id: &str) -> String {
    let shard = u8::from_str_radix(&id[id.len() - 2..], 16).expect("an id ends in its shard");
    format!("t#{}#{shard}", tenant.id)
}

fn head(item: &Value) -> Stored {
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

fn text(value: &Value) -> String {
    value["S"].as_str().expect("a text").to_owned()
}

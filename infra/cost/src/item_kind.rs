//! What an item of a table is, by its key, for the table of where units go. Only a report depends on these names.

use store::item::Key;
use store::testing::memory::{CLAIMS, CONTROL, EVENTS, LIMITS};

/// Returns the kind of the items with this key; for a query, of its partition.
#[must_use]
pub fn kind_of(table: &str, key: &Key) -> &'static str {
    let has = |part: &str| key.pk.contains(part);
    match table {
        CONTROL if key.pk.starts_with("key#") => "API key",
        CONTROL if key.pk == "root_key" => "root key",
        CONTROL => match key.sk.split('#').next().unwrap_or_default() {
            "tenant" => "tenant",
            "data_key" => "data key",
            "endpoint" => "endpoint",
            "key" => "API key",
            _ => "settings",
        },
        LIMITS if has("#requests#minute#") => "request tokens",
        LIMITS if has("#minute#") => "event tokens",
        LIMITS if has("#backlog") => "backlog",
        LIMITS if has("#stats") => "stats",
        LIMITS if has("#pace#") => "reserved time",
        LIMITS if has("#under_way#burst#") => "bursts in flight",
        LIMITS if has("#under_way#") => "requests in flight",
        LIMITS => "counters",
        CLAIMS => "claim",
        EVENTS if has("#lease#") => "list of a lease",
        EVENTS if has("#payload#") => "payload",
        EVENTS if has("#attempts#") || key.sk.contains('#') => "attempt",
        EVENTS => "head",
        _ => of_schedule(&key.pk),
    }
}

fn of_schedule(partition: &str) -> &'static str {
    match partition.split('#').next().unwrap_or_default() {
        "due" => "message due later",
        "parking" => "endpoint row",
        "expiring" => "expiry row",
        "notices" => "notice request",
        _ if partition.contains("#parked#") => "parked delivery",
        _ => "job",
    }
}

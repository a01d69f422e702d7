//! The table of what a request without a valid key costs: the calls of AWS, for every operation and every kind of credential.

use std::collections::BTreeMap;

use domain::tenant::api_key::ApiKey;
use http::{HeaderMap, HeaderName, HeaderValue};
use ingest::handler::Ingest;

use crate::invented::Instance;
use crate::support::belongings::never;
use crate::support::configs;
use crate::support::lines::no_log;
use crate::support::openapi::{Kind, operations};

/// The kinds of credentials, in the order of the columns.
const KINDS: [&str; 6] = ["none", "malformed", "bad checksum", "unknown", "same again", "admin token"];

/// What an operation costs with each of them.
type Costs = [usize; 6];

/// Nothing, or one read of a key whose checksum is right. The cache knows an unknown key for 5 s.
const USUAL: Costs = [0, 0, 0, 1, 0, 0];

/// A path outside of `/api/` reads no key.
const NO_KEY_READ: Costs = [0; 6];

/// The operations that cost something else.
const OTHERS: [(&str, Costs); 10] = [
    // The key may have begun an erasure, and the client asks again because it lost the answer.
    ("DELETE /api/tenant", [0, 0, 0, 2, 1, 0]),
    // Both tables, at most once in 5 s for all clients of an instance.
    ("GET /health/ready", [2, 0, 0, 0, 0, 0]),
    // Ids of the version before, one in a second for all clients of an instance: the row and the receipt.
    ("GET /api/erasures/(id without a tag)", [2, 0, 0, 1, 0, 0]),
    ("GET /.well-known/webhook-keys", NO_KEY_READ),
    ("GET /health", NO_KEY_READ),
    ("GET /health/live", NO_KEY_READ),
    ("GET /metrics", NO_KEY_READ),
    ("GET /openapi.json", NO_KEY_READ),
    ("GET /nothing", NO_KEY_READ),
    ("GET //api/inbox", NO_KEY_READ),
];

/// Returns the header of each kind.
fn credentials() -> [Vec<(&'static str, String)>; 6] {
    let unknown = ApiKey::generate(&mut rand::rng()).expose().to_owned();
    let mut bad_checksum = ApiKey::generate(&mut rand::rng()).expose().to_owned();
    let last = if bad_checksum.pop() == Some('0') { '1' } else { '0' };
    bad_checksum.push(last);
    let key = |key: &str| vec![("x-api-key", key.to_owned())];
    let again = key(&unknown);
    let token = vec![("x-admin-token", "no admin token".to_owned())];
    [vec![], key("trg_live_nonsense"), key(&bad_checksum), key(&unknown), again, token]
}

/// Sends the request to api with each kind; returns the calls.
async fn api_costs(method: &str, path: &str) -> Costs {
    let instance = Instance::new();
    let mut costs = Costs::default();
    for (cost, headers) in costs.iter_mut().zip(credentials()) {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (reply, calls) = instance.call(method, path, &headers).await;
        assert!(reply.header("ratelimit").is_none(), "{method} {path} {headers:?}: the key is valid");
        *cost = calls;
    }
    costs
}

/// Sends the request to ingest with each kind; returns the calls.
async fn ingest_costs(path: &str) -> Costs {
    let instance = Instance::new();
    let ingest = Ingest::new(&instance.ports, configs::ingest(), no_log());
    let mut costs = Costs::default();
    for (cost, headers) in costs.iter_mut().zip(credentials()) {
        let header = |(name, value): &(&'static str, String)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let headers: HeaderMap = headers.iter().map(header).collect();
        let before = instance.faults.calls();
        let answer = ingest.handle(path, &headers, br#"{"type":"a.b","payload":{}}"#, "request").await;
        assert_eq!(answer.status(), 401, "{path}");
        *cost = instance.faults.calls() - before;
    }
    costs
}

#[tokio::test]
async fn the_calls_of_every_request_without_a_valid_key_are_those_of_the_table() {
    let mut table: BTreeMap<String, Costs> = BTreeMap::new();
    for operation in operations() {
        let name = operation.name();
        let costs = match name.as_str() {
            "POST /api/events" | "POST /api/events/batch" => ingest_costs(operation.path).await,
            _ => {
                let ids = operation.slots().iter().map(|slot| (slot.name, never(slot.kind))).collect();
                let target = operation.request(&ids).target;
                api_costs(operation.method, target.split('?').next().unwrap()).await
            }
        };
        table.insert(name, costs);
    }
    let erasure = |text: &str| format!("/api/erasures/{text}");
    let untagged = &never(Kind::Erasure)[..36];
    for (name, path) in [
        ("GET /nothing", "/nothing".to_owned()),
        ("GET //api/inbox", "//api/inbox".to_owned()),
        ("GET /api/nothing", "/api/nothing".to_owned()),
        ("GET /api/erasures/(no id)", erasure("nonsense")),
        ("GET /api/erasures/(id without a tag)", erasure(untagged)),
        ("PUT /api/inbox", "/api/inbox".to_owned()),
    ] {
        let (method, _) = name.split_once(' ').unwrap();
        table.insert(name.to_owned(), api_costs(method, &path).await);
    }

    println!("{:44} {}", "request", KINDS.map(|kind| format!("{kind:>12}")).concat());
    for (name, costs) in &table {
        println!("{name:44} {}", costs.map(|cost| format!("{cost:>12}")).concat());
    }
    for (name, _) in &OTHERS {
        assert!(table.contains_key(*name), "{name}");
    }
    for (name, costs) in table {
        let other = OTHERS.iter().find(|(other, _)| *other == name);
        assert_eq!(costs, other.map_or(USUAL, |(_, costs)| *costs), "{name}");
    }
}

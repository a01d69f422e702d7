//! Sends arbitrary requests to ingest. Checks two promises: the response is one that the API contract allows, and the
//! accepted payload equals the sent payload byte for byte.
//!
//! The first byte of the input selects the path, the second the content type, the third the other headers. The values of
//! these headers follow, up to the first line feed. The rest is the body, so the fuzzer mutates the JSON text directly.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use ingest::backpressure::Backpressure;
use ingest::handler::Ingest;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::runtime::{Builder, Runtime};
use store::adapters::queues::envelope::read_event;
use runtime::answer::Answer;
use domain::tenant::api_key::{ApiKey, KeyRecord, Pepper};
use store::authentication::Authenticator;
use domain::event::Event;
use store::limiter::Limiter;
use domain::tenant::tier::Tier;
use domain::testing::{START, key_of, tenant};
use store::testing::claims::MemoryClaims;
use store::testing::clock::FixedClock;
use store::testing::control::MemoryControl;
use store::testing::faults::Faults;
use store::testing::limits::MemoryLimits;
use store::testing::queues::MemoryQueue;

const PATHS: [&str; 4] = ["/api/events", "/api/events/batch", "/api/events/", "/api/events/batch/"];

const CONTENT_TYPES: [&str; 8] = [
    "application/json",
    "application/json; charset=utf-8",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "text/plain",
    "image/png",
    "application/cloudevents+avro",
    "",
];

/// The statuses that the API contract allows on these paths.
const STATUSES: [u16; 9] = [202, 207, 400, 401, 409, 413, 415, 422, 429];

struct World {
    key: ApiKey,
    record: KeyRecord,
    runtime: Runtime,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (key, record) = key_of(&tenant(), Tier::Pro);
    World { key, record, runtime: Builder::new_current_thread().build().expect("a runtime") }
});

fuzz_target!(|input: &[u8]| {
    let Some((&[path, content_type, further], rest)) = input.split_first_chunk() else { return };
    let path = PATHS[usize::from(path) % PATHS.len()];
    let (values, body) = rest.split_at(rest.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    let headers = headers(content_type, further, values);
    let queue = MemoryQueue::new(Faults::default(), FixedClock::at(START));
    let ingest = front_door(&queue);
    let post = || WORLD.runtime.block_on(ingest.handle(path, &headers, body, "fuzz"));

    let first = post();
    let sent = take(&queue);
    check(&first, &sent);
    let is_json = headers["content-type"].as_bytes().starts_with(b"application/json");
    let is_batch = path.starts_with(PATHS[1]);
    if is_json && (is_batch || !headers.contains_key("ce-specversion")) {
        check_payloads(body, &first, &sent);
    } else {
        for event in &sent {
            let members: BTreeMap<String, &RawValue> =
                serde_json::from_str(&event.payload).expect("an object");
            let text = |name| serde_json::from_str::<String>(members[name].get()).expect("a text");
            assert_eq!(
                (text("specversion"), text("type")),
                ("1.0".to_owned(), event.event_type.as_str().to_owned())
            );
        }
    }
    let second = post();
    let again = take(&queue);
    check(&second, &again);
    if !headers.contains_key("idempotency-key") {
        return;
    }
    let ids = |events: &[Event]| events.iter().map(|event| event.id).collect::<Vec<_>>();
    assert_eq!(ids(&sent), ids(&again), "a repeat is the same event again");
});

/// Returns a new instance of ingest. Its tables hold only the API key.
fn front_door(
    queue: &MemoryQueue,
) -> Ingest<MemoryControl, MemoryLimits, MemoryClaims, MemoryQueue, FixedClock> {
    let pepper = || Pepper::new("pepper");
    let (control, limits) = (MemoryControl::default(), MemoryLimits::default());
    control.put_key(WORLD.key.hash(&pepper()), WORLD.record.clone());
    Ingest {
        authenticator: Authenticator::new(control, pepper()),
        limiter: Limiter::new(limits.clone()),
        claims: MemoryClaims::default(),
        queue: queue.clone(),
        backpressure: Backpressure::new(limits, Some(Duration::from_secs(600))),
        clock: FixedClock::at(START),
        log: Box::new(|line| assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}")),
    }
}

fn headers(content_type: u8, further: u8, values: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut values = values.split(|byte| *byte == 0x1f).map(|value| HeaderValue::from_bytes(value).ok());
    let mut put = |name: &'static str, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.append(HeaderName::from_static(name), value);
        }
    };
    let bit = |place: u8| further >> place & 1 == 1;
    let content_type = CONTENT_TYPES[usize::from(content_type) % CONTENT_TYPES.len()];
    put("content-type", Some(HeaderValue::from_static(content_type)));
    let key = HeaderValue::from_str(WORLD.key.expose()).ok();
    put("x-api-key", if bit(7) && bit(6) { values.next().flatten() } else { key });
    if bit(0) {
        put("idempotency-key", values.next().flatten());
    }
    if bit(1) {
        for name in ["ce-specversion", "ce-type"] {
            put(name, Some(HeaderValue::from_static("1.0")));
        }
        for name in ["ce-id", "ce-source"] {
            put(name, values.next().flatten());
        }
    }
    if bit(2) {
        for name in ["ce-time", "ce-subject", "ce-extension1"] {
            put(name, values.next().flatten());
        }
    }
    if bit(3) && bit(4) {
        put("content-encoding", values.next().flatten());
    }
    if bit(5) && bit(4) {
        put("ce-id", values.next().flatten());
    }
    headers
}

/// Removes all events from the queue and returns them.
fn take(queue: &MemoryQueue) -> Vec<Event> {
    let bodies = queue.bodies();
    while !queue.bodies().is_empty() {
        let batch = queue.take();
        queue.settle(&batch, &Default::default());
    }
    bodies.iter().map(|body| read_event(body).expect("our own form")).collect()
}

/// Checks that the contract allows the response, and that the queue holds exactly the events it reports.
fn check(answer: &Answer, sent: &[Event]) {
    let status = answer.status().as_u16();
    assert!(STATUSES.contains(&status), "{status} {}", answer.body());
    let body: Value = serde_json::from_str(answer.body()).expect("JSON");
    if let Some(results) = body["results"].as_array() {
        let promised: Vec<&Value> = results.iter().filter(|result| !result["id"].is_null()).collect();
        assert!(results.iter().enumerate().all(|(place, result)| result["index"] == place));
        assert_eq!(status == 202, promised.len() == results.len() && body["duplicate"] == 0);
        let ids: Vec<&str> = promised.iter().map(|result| result["id"].as_str().expect("a text")).collect();
        assert_eq!(ids, sent.iter().map(|event| event.id.to_string()).collect::<Vec<_>>());
    } else if status == 202 || status == 409 {
        assert_eq!(sent.len(), 1, "{}", answer.body());
        assert_eq!(body["id"], sent[0].id.to_string());
    } else {
        assert!(sent.is_empty(), "{}", answer.body());
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        for member in ["type", "title", "status", "detail", "instance", "error"] {
            assert!(!body[member].is_null(), "{member} {body}");
        }
    }
    for event in sent {
        assert!(serde_json::from_str::<&RawValue>(&event.payload).is_ok(), "{}", event.payload);
    }
}

/// Checks that each payload equals the text that another JSON parser finds in the body, for one event or for each
/// accepted item of a batch.
fn check_payloads(body: &[u8], answer: &Answer, sent: &[Event]) {
    if sent.is_empty() {
        return;
    }
    let members: BTreeMap<String, &RawValue> = serde_json::from_slice(body).expect("an object");
    let answer: Value = serde_json::from_str(answer.body()).expect("JSON");
    let Some(results) = answer["results"].as_array() else {
        return check_payload(&members, &sent[0]);
    };
    let items: Vec<&RawValue> = serde_json::from_str(members["events"].get()).expect("an array");
    assert_eq!((items.len(), members.len()), (results.len(), 1));
    let accepted = items.iter().zip(results).filter(|(_, result)| !result["id"].is_null());
    for ((item, _), event) in accepted.zip(sent) {
        check_payload(&serde_json::from_str(item.get()).expect("an object"), event);
    }
}

fn check_payload(members: &BTreeMap<String, &RawValue>, event: &Event) {
    assert!(members.keys().all(|name| ["type", "payload", "dedup_id"].contains(&name.as_str())));
    assert_eq!(members["payload"].get(), event.payload);
    let event_type: String = serde_json::from_str(members["type"].get()).expect("a text");
    assert_eq!(event_type, event.event_type.as_str());
}

//! Sends arbitrary requests to ingest. Checks two promises: the response is one that the API contract allows, and the
//! accepted payload equals the sent payload byte for byte.
//!
//! The first byte of the input selects the path, the second the content type, the third the other headers. The values of
//! these headers follow, up to the first line feed. The rest is the body, so the fuzzer mutates the JSON text directly.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use domain::event::Event;
use domain::tenant::api_key::{ApiKey, KeyRecord, Pepper};
use domain::tenant::tier::Tier;
use domain::testing::{START, key_of, tenant};
use http::{HeaderMap, HeaderName, HeaderValue};
use ingest::config::Config;
use ingest::handler::Ingest;
use libfuzzer_sys::fuzz_target;
use runtime::answer::Answer;
use runtime::telemetry::Log;
use serde_json::Value;
use serde_json::value::RawValue;
use store::envelope::read_event;
use store::ports::Ports;
use store::testing::clock::FixedClock;
use store::testing::faults::Faults;
use store::testing::memory::{CLAIMS, CONTROL, EVENTS_QUEUE, LIMITS, Memory};
use store::testing::queue::MemoryQueue;
use tokio::runtime::{Builder, Runtime};

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
    let Some((&[path, content_type, header_bits], rest)) = input.split_first_chunk() else { return };
    let path = PATHS[usize::from(path) % PATHS.len()];
    let (values, body) = rest.split_at(rest.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    let headers = headers(content_type, header_bits, values);
    let ports = Memory::new(&Faults::default(), &FixedClock::at(START));
    let queue = ports.queue(EVENTS_QUEUE);
    let ingest = ingest_over(&ports);
    let post = || WORLD.runtime.block_on(ingest.handle(path, &headers, body, "fuzz"));

    let first = post();
    let sent = take(&queue);
    check(&first, &sent);
    let content_type = headers["content-type"].as_bytes();
    let is_json = content_type.is_empty() || content_type.starts_with(b"application/json");
    let is_batch = path.starts_with(PATHS[1]);
    if is_json && (is_batch || !headers.contains_key("ce-specversion")) {
        if !headers.contains_key("content-encoding") {
            check_payloads(body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body), &first, &sent);
        }
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
    assert_eq!(ids(&sent), ids(&again), "a repeated request gives the same events");
});

/// Returns a new instance of ingest over these ports. Its tables hold only the API key.
fn ingest_over(ports: &Memory) -> Ingest<Memory> {
    let pepper = Pepper::new("pepper");
    ports.tables.put_key(&WORLD.key.hash(&pepper), &WORLD.record);
    let config = Config {
        control_table: CONTROL.to_owned(),
        limits_table: LIMITS.to_owned(),
        claims_table: CLAIMS.to_owned(),
        events_queue: EVENTS_QUEUE.to_owned(),
        peppers: pepper.into(),
        shed_after: Some(Duration::from_secs(600)),
    };
    let check_line = |line: &str| assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    Ingest::new(ports, config, Log::new("triggers", check_line))
}

fn headers(content_type: u8, header_bits: u8, values: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut values = values.split(|byte| *byte == 0x1f).map(|value| HeaderValue::from_bytes(value).ok());
    let mut append = |name: &'static str, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.append(HeaderName::from_static(name), value);
        }
    };
    let bit = |place: u8| header_bits >> place & 1 == 1;
    let content_type = CONTENT_TYPES[usize::from(content_type) % CONTENT_TYPES.len()];
    append("content-type", Some(HeaderValue::from_static(content_type)));
    let key = HeaderValue::from_str(WORLD.key.expose()).ok();
    append("x-api-key", if bit(7) && bit(6) { values.next().flatten() } else { key });
    if bit(0) {
        append("idempotency-key", values.next().flatten());
    }
    if bit(1) {
        for name in ["ce-specversion", "ce-type"] {
            append(name, Some(HeaderValue::from_static("1.0")));
        }
        for name in ["ce-id", "ce-source"] {
            append(name, values.next().flatten());
        }
    }
    if bit(2) {
        for name in ["ce-time", "ce-subject", "ce-extension1"] {
            append(name, values.next().flatten());
        }
    }
    if bit(3) && bit(4) {
        append("content-encoding", values.next().flatten());
    }
    if bit(5) && bit(4) {
        append("ce-id", values.next().flatten());
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
        let with_id: Vec<&Value> = results.iter().filter(|result| !result["id"].is_null()).collect();
        assert!(results.iter().enumerate().all(|(place, result)| result["index"] == place));
        assert_eq!(status == 202, with_id.len() == results.len() && body["duplicate"] == 0);
        let mut ids: Vec<&str> =
            with_id.iter().map(|result| result["id"].as_str().expect("a text")).collect();
        let mut known = BTreeSet::new();
        ids.retain(|id| known.insert(*id)); // an id is sent once
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
    let Ok(members) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(body) else {
        return assert!(answer.body().contains("results"), "only an item of a batch can be no JSON");
    };
    let answer: Value = serde_json::from_str(answer.body()).expect("JSON");
    let Some(results) = answer["results"].as_array() else {
        return check_payload(&members, &sent[0]);
    };
    let items: Vec<&RawValue> = serde_json::from_str(members["events"].get()).expect("an array");
    assert_eq!((items.len(), members.len()), (results.len(), 1));
    let mut known = BTreeSet::new();
    let accepted = items
        .iter()
        .zip(results)
        .filter(|(_, result)| result["id"].as_str().is_some_and(|id| known.insert(id)));
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

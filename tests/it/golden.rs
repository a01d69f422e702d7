//! Golden files: every kind of message, row and item as an earlier version wrote it. This version reads them all, because during a
//! rollout, and after it, it meets what the version before wrote.
//!
//! `stored.json` holds the items, the messages, and the answers to requests that read them. A story fails when a key of
//! `shared/store/src/keys.rs` has no item there. To add a kind, extend `world.rs`, and run
//! `cargo test -p tests --test it -- golden::write_the_golden_file --ignored`. Never replace a file that a released version wrote.

mod world;

use std::collections::BTreeSet;
use std::fs;

use domain::timestamp::Timestamp;
use http::StatusCode;
use serde_json::{Map, Value, json};
use store::clock::Clock;
use store::envelope::{delivery_body, event_body, read_delivery, read_event};
use store::testing::memory::{CLAIMS, CONTROL, EVENTS, LIMITS, SCHEDULE, table_named};

use crate::pipeline::Pipeline;
use crate::support::memory_stack::json::{item_from_json, item_to_json};

/// The golden file.
const STORED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/it/golden/stored.json");

const TABLES: [&str; 5] = [CONTROL, LIMITS, CLAIMS, EVENTS, SCHEDULE];

/// Formats of `keys.rs` that no item has: bounds and beginnings of keys, and the partition that a health check reads.
const NOT_STORED: [&str; 10] = ["evt_*", "*$", "*~", "t#*#", "*#", "key#", "endpoint#", "**", "ping", "rpl_"];

fn golden() -> Value {
    serde_json::from_str(&fs::read_to_string(STORED).expect(STORED)).expect("JSON")
}

/// Returns the requests whose answers are in the file: each reads something that is stored.
fn requests(file: &Value) -> impl Iterator<Item = (&String, &Value)> {
    file["answers"].as_object().expect("answers").iter()
}

/// A system that has what the file holds, at the time at which it was written.
fn restored(file: &Value) -> Pipeline {
    let pipeline = Pipeline::with_endpoints(0);
    for (table, items) in file["tables"].as_object().expect("tables") {
        for item in items.as_array().expect("items") {
            table_named(&pipeline.tables, table).put_item(item_from_json(item));
        }
    }
    pipeline.clock.set(Timestamp::from_millis(file["now_ms"].as_u64().expect("a time")));
    pipeline
}

async fn read(pipeline: &Pipeline, key: &str, path: &str) -> Value {
    let answer =
        pipeline.call_with(&pipeline.start_api(), ("x-api-key", key), "GET", path, &Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    answer.body
}

#[tokio::test]
async fn what_the_version_before_stored_is_shown_as_it_showed_it() {
    let file = golden();
    let (pipeline, key) = (restored(&file), file["key"].as_str().expect("a key"));
    assert!(requests(&file).count() > 15);
    for (path, before) in requests(&file) {
        assert_eq!(&read(&pipeline, key, path).await, before, "{path}");
    }
}

#[tokio::test]
async fn what_the_version_before_left_undone_is_done() {
    let file = golden();
    let pipeline = restored(&file);
    let parked = pipeline.tables.parked().len();
    let running = pipeline.tables.jobs().iter().filter(|job| job.ended_at.is_none()).count();
    assert!(parked > 0 && running > 0 && pipeline.tables.next_due().is_some());
    for body in texts(&file["messages"]["events"]) {
        pipeline.events_queue.push(body, std::time::Duration::ZERO);
    }
    for body in texts(&file["messages"]["deliveries"]) {
        pipeline.deliveries.push(body, std::time::Duration::ZERO);
    }
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.tables.parked().len(), 0, "the parked deliveries are sent");
    assert_eq!(pipeline.tables.next_due(), None, "what was due later is sent");
    assert!(pipeline.tables.jobs().iter().all(|job| job.ended_at.is_some()), "the jobs have ended");
    assert!(pipeline.tables.notice_requests().is_empty(), "the notices are stored");
    assert!(!pipeline.webhooks.received().is_empty());
    let lines = pipeline.lines.lock().expect("no holder panics");
    let warnings: Vec<_> = lines.iter().filter(|line| line.contains("unreadable")).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn each_kind_of_message_is_read_and_written_as_before() {
    let file = golden();
    let (events, deliveries) = (texts(&file["messages"]["events"]), texts(&file["messages"]["deliveries"]));
    assert!(events.len() >= 3 && deliveries.len() >= 6, "one with each member, and one without");
    for body in events {
        assert_eq!(event_body(&read_event(&body).expect(&body)).expect("a body"), body);
    }
    for body in deliveries {
        assert_eq!(delivery_body(&read_delivery(&body).expect(&body)), body);
    }
}

#[test]
fn each_key_that_the_stores_form_has_an_item_in_the_golden_file() {
    let file = golden();
    let mut keys = BTreeSet::new();
    for (_, items) in file["tables"].as_object().expect("tables") {
        for item in items.as_array().expect("items") {
            keys.extend(["pk", "sk", "attempts_pk"].iter().filter_map(|name| item[*name]["S"].as_str()));
        }
    }
    let formats = formats();
    assert!(formats.len() > 35, "{formats:?}");
    let missing: Vec<_> = formats
        .iter()
        .filter(|format| !NOT_STORED.contains(&format.as_str()))
        .filter(|format| !keys.iter().any(|key| matches(format, key)))
        .collect();
    assert!(missing.is_empty(), "no item has these keys: {missing:?}");
}

/// Returns the formats of the keys in `keys.rs`, with `*` for what varies.
fn formats() -> BTreeSet<String> {
    let source = include_str!("../../shared/store/src/keys.rs");
    let quoted = |line: &str| Some(line.split_once('"')?.1.split_once('"')?.0.to_owned());
    let is_key =
        |line: &&str| line.contains("format!(\"") || (line.contains("const ") && line.contains("&str"));
    source.lines().filter(is_key).filter_map(quoted).map(|text| blank(&text)).collect()
}

/// Replaces each `{...}` by `*`.
fn blank(format: &str) -> String {
    let mut parts = format.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "*" + part.split_once('}').map_or("", |(_, rest)| rest))
}

/// Returns whether a key has a format.
fn matches(format: &str, key: &str) -> bool {
    let (mut parts, mut own) = (format.split('#'), key.split('#'));
    loop {
        match (parts.next(), own.next()) {
            (None, None) => return true,
            (Some("*"), Some(part)) if !part.is_empty() => {}
            (Some(expected), Some(part)) if expected == part => {}
            _ => return false,
        }
    }
}

fn texts(list: &Value) -> Vec<String> {
    let texts = list.as_array().expect("a list").iter();
    texts.map(|text| text.as_str().expect("a text").to_owned()).collect()
}

#[tokio::test]
#[ignore = "writes the golden file; run it when a kind is added"]
async fn write_the_golden_file() {
    let world = world::make().await;
    let pipeline = &world.pipeline;
    let mut tables = Map::new();
    for name in TABLES {
        let items = table_named(&pipeline.tables, name).items().iter().map(item_to_json).collect();
        tables.insert(name.to_owned(), Value::Array(items));
    }
    let mut file = json!({"now_ms": pipeline.clock.now().millis(), "key": pipeline.key.expose(), "tables": tables,
        "messages": {"events": world.events, "deliveries": world.deliveries}});
    let fresh = restored(&file);
    let mut answers = Map::new();
    for path in world.paths {
        let answer = read(&fresh, pipeline.key.expose(), &path).await;
        answers.insert(path, answer);
    }
    file["answers"] = Value::Object(answers);
    fs::write(STORED, format!("{file:#}\n")).expect("the file is written");
}

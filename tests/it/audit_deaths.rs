//! No change is without a record, wherever api dies: at every call of a change, before its effect and after it.

use std::time::Duration;

use domain::tenant::api_key::{KeyRecord, Pepper};
use domain::tenant::audit::{AuditRecord, Outcome};
use domain::tenant::tier::Tier;
use domain::testing::key_of;
use domain::timestamp::Timestamp;
use http::StatusCode;
use serde_json::{Value, json};
use store::clock::Clock;
use store::control::audit::AuditQuery;
use store::item::Item;
use store::testing::faults::Fault;
use store::testing::table::usage::{Operation, Usage};

use crate::pipeline::Pipeline;
use crate::revocations::{configured, lasting_changes};

/// More calls than any of these changes makes.
const MANY: usize = 200;

/// The records of the tenant, newest first.
async fn records(pipeline: &Pipeline) -> Vec<AuditRecord> {
    let all = AuditQuery { since: None, until: None, after: None, limit: 100 };
    pipeline.control.audit(&pipeline.tenant, &all).await.unwrap().records
}

/// All that a change may change: configuration, jobs, events and webhooks.
fn state(pipeline: &Pipeline) -> (Vec<Item>, usize) {
    let events = pipeline.tables.events.items();
    let [control, schedule] = configured(pipeline);
    ([control, schedule, events].concat(), pipeline.webhooks.received().len())
}

/// A system with a delivered event, and an instance that knows the key.
async fn prepared() -> (Pipeline, Vec<(&'static str, String, Value)>) {
    let (pipeline, event) = Pipeline::stored_event(1).await;
    pipeline.run_until_quiet().await;
    pipeline.call("GET", "/api/tenant", &Value::Null).await;
    let mut changes = lasting_changes(Pipeline::endpoint(1).id.as_str(), &event.to_string());
    changes.push(("DELETE", "/api/tenant".to_owned(), json!({"confirm": "A tenant"})));
    (pipeline, changes)
}

#[tokio::test]
async fn where_the_effect_is_there_the_record_is_there() {
    let (mut deaths, mut lost, mut unknown) = (0, 0, 0);
    let (_, changes) = prepared().await;
    for number in 0..changes.len() {
        for fault in Fault::ALL {
            for call in 0..MANY {
                let (pipeline, changes) = prepared().await;
                let (method, path, body) = &changes[number];
                let context = format!("{method} {path}: {fault:?} at {call}");
                let before = state(&pipeline);
                pipeline.faults.die_at(call, fault);
                let answer = pipeline.call(method, path, body).await;
                let died = pipeline.faults.recover();
                let (left, is_changed) = (records(&pipeline).await, state(&pipeline) != before);
                assert!(left.len() <= 1, "{context}: {left:?}");
                assert!(!is_changed || left.len() == 1, "{context}: a change without a record");
                if answer.status.is_success() {
                    assert_eq!(left.len(), 1, "{context}");
                } else {
                    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{context}: {answer:?}");
                }
                let outcome = left.first().map(AuditRecord::outcome);
                let is_done = outcome == Some(Outcome::Done);
                assert!(!is_done || answer.status.is_success(), "{context}: {left:?}");
                lost += usize::from(!left.is_empty() && !is_changed && fault == Fault::AnswerLost);
                unknown += usize::from(is_changed && outcome == Some(Outcome::Unknown));
                if !died {
                    assert_eq!(outcome, Some(Outcome::Done), "{context}");
                    break; // the change made no more calls
                }
                deaths += 1;
            }
        }
    }
    println!(
        "{deaths} deaths in changes: {unknown} changes of unknown outcome, {lost} records without a change"
    );
    assert!(deaths > 2 * 14 * 4 && unknown > 14 && lost >= 14, "{deaths} {unknown} {lost}");
}

#[tokio::test]
async fn a_change_whose_record_has_lost_its_answer_is_not_made_and_can_be_sent_again() {
    let body = json!({"url": "https://hooks.example.com/new", "event_types": ["b"]});
    for call in 0..MANY {
        let (pipeline, _) = prepared().await;
        let before = state(&pipeline);
        pipeline.faults.die_at(call, Fault::AnswerLost);
        let first = pipeline.post_json("/api/endpoints", body.clone()).await;
        assert!(pipeline.faults.recover(), "the change is made before its record");
        let left = records(&pipeline).await;
        if left.is_empty() {
            continue; // it died before
        }
        assert_eq!((first.status, state(&pipeline)), (StatusCode::SERVICE_UNAVAILABLE, before));
        assert_eq!((left[0].status, left[0].outcome()), (None, Outcome::Unknown));
        pipeline.clock.advance(Duration::from_secs(1));
        let second = pipeline.post_json("/api/endpoints", body.clone()).await;
        assert_eq!(second.status, StatusCode::CREATED);
        let outcomes: Vec<Outcome> = records(&pipeline).await.iter().map(AuditRecord::outcome).collect();
        assert_eq!(outcomes, [Outcome::Done, Outcome::Unknown]);
        return;
    }
    panic!("no record was put");
}

#[tokio::test]
async fn an_erasure_with_a_key_that_was_not_valid_when_it_was_admitted_is_refused() {
    // 1. An instance knows a key that has ended.
    let pipeline = Pipeline::with_endpoints(0);
    let (key, record) = key_of(&pipeline.tenant, Tier::Pro);
    let hash = key.hash(&Pepper::new("pepper"));
    let ending = KeyRecord { expires_at: Some(pipeline_time(&pipeline, 10)), ..record.clone() };
    pipeline.tables.put_key(&hash, &ending);
    let (instance, credential) = (pipeline.start_api(), ("x-api-key", key.expose()));
    let known = pipeline.call_with(&instance, credential, "GET", "/api/tenant", &Value::Null).await;
    assert_eq!(known.status, StatusCode::OK);
    pipeline.clock.advance(Duration::from_secs(10));

    // 2. The table has a key without an end, which only a fresh read finds.
    pipeline.tables.put_key(&hash, &record);
    let body = json!({"confirm": "A tenant"});
    let refused = pipeline.call_with(&instance, credential, "DELETE", "/api/tenant", &body).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused:?}");
    assert!(records(&pipeline).await.is_empty());
    assert!(!pipeline.control.settings(&pipeline.tenant).await.unwrap().is_erased);
    let accepted = pipeline.call_with(&instance, credential, "DELETE", "/api/tenant", &body).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "the fresh read is in the cache now");
    assert_eq!(records(&pipeline).await.len(), 1);
}

fn pipeline_time(pipeline: &Pipeline, seconds: u64) -> Timestamp {
    pipeline.clock.now().after(Duration::from_secs(seconds))
}

#[tokio::test]
async fn a_change_costs_one_put_and_one_update_more() {
    let (pipeline, _) = prepared().await;
    let usage = async |method: &str, path: &str, body: &Value| {
        pipeline.tables.control.reset_usage();
        let answer = pipeline.call(method, path, body).await;
        assert!(answer.status.is_success(), "{answer:?}");
        pipeline.tables.control.usage()
    };
    // A change that changes nothing writes its record alone.
    let unchanged = usage("PATCH", "/api/tenant", &json!({})).await;
    let calls = |usage: &Usage, operation| usage.calls_of(operation);
    assert_eq!((calls(&unchanged, Operation::Put), calls(&unchanged, Operation::Update)), (1, 1));
    assert_eq!(unchanged.writes, 2);
    let url = json!({"url": "https://hooks.example.com/new", "event_types": ["b"]});
    for (name, usage) in [
        ("a setting that stays", unchanged),
        ("a setting", usage("PATCH", "/api/tenant", &json!({"retention_days": 1})).await),
        ("a new endpoint", usage("POST", "/api/endpoints", &url).await),
        ("a new key", usage("POST", "/api/keys", &json!({"name": "a", "scopes": ["inbox:read"]})).await),
    ] {
        println!("{name}: {} write units, {:?}", usage.writes, usage.calls);
    }
    let read = usage("GET", "/api/tenant", &Value::Null).await;
    assert_eq!(read.writes, 0);
    let page = usage("GET", "/api/audit", &Value::Null).await;
    println!("a page of the trail: {} read units", page.half_reads / 2);
    assert_eq!((calls(&page, Operation::Query), page.half_reads), (1, 2));
}

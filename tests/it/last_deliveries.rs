//! When an endpoint last took a delivery: how exact it is, and what it costs.

use std::time::Duration;

use domain::testing::START;
use domain::timestamp::Timestamp;
use serde_json::{Value, json};
use store::clock::Clock;
use store::testing::faults::Fault;
use store::testing::table::usage::Operation;

use crate::pipeline::Pipeline;

fn path() -> String {
    format!("/api/endpoints/{}", Pipeline::endpoint(1).id.as_str())
}

/// Delivers some events, in one batch; returns the number of updates of `Control`.
async fn deliver(pipeline: &Pipeline, count: usize) -> u64 {
    for n in 0..count {
        pipeline.post_event(&format!("{} {n}", pipeline.clock.now())).await;
    }
    pipeline.consume().await;
    pipeline.tables.control.reset_usage();
    pipeline.deliver().await;
    pipeline.tables.control.usage().calls_of(Operation::Update)
}

async fn shown(pipeline: &Pipeline) -> Value {
    let one = pipeline.call("GET", &path(), &Value::Null).await.body["last_delivered_at"].clone();
    let list = pipeline.call("GET", "/api/endpoints", &Value::Null).await.body;
    assert_eq!(list["endpoints"][0]["last_delivered_at"], one);
    one
}

fn minutes(minutes: u64) -> Timestamp {
    START.after(Duration::from_mins(minutes))
}

#[tokio::test]
async fn the_last_delivery_is_shown_to_a_quarter_of_an_hour_for_one_write_in_that_time() {
    let pipeline = Pipeline::with_endpoints(1);
    assert_eq!(shown(&pipeline).await, Value::Null);
    assert_eq!(deliver(&pipeline, 5).await, 1, "one write for a batch");
    assert_eq!(shown(&pipeline).await, START.to_string());
    for now in [1, 7, 14] {
        pipeline.clock.set(minutes(now));
        assert_eq!(
            deliver(&pipeline, 5).await,
            0,
            "an ordinary delivery writes nothing, after {now} minutes"
        );
    }
    assert_eq!(shown(&pipeline).await, START.to_string());
    pipeline.clock.set(minutes(15));
    assert_eq!(deliver(&pipeline, 5).await, 1);
    assert_eq!(shown(&pipeline).await, minutes(15).to_string());
    assert_eq!(pipeline.webhooks.received().len(), 25);
}

#[tokio::test]
async fn a_failed_attempt_is_no_delivery_and_another_url_has_none() {
    let pipeline = Pipeline::with_endpoints(1);
    pipeline.webhooks.answer(500);
    deliver(&pipeline, 1).await;
    assert_eq!(shown(&pipeline).await, Value::Null);
    pipeline.run_until_quiet().await;
    let at = pipeline.webhooks.received_at()[1];
    assert_eq!(shown(&pipeline).await, at.to_string());
    let changed = pipeline.call("PATCH", &path(), &json!({"description": "the same URL"})).await;
    assert_eq!(changed.body["last_delivered_at"], at.to_string());
    let moved = pipeline.call("PATCH", &path(), &json!({"url": "https://other.example.com/"})).await;
    assert_eq!((moved.status.as_u16(), &moved.body["last_delivered_at"]), (200, &Value::Null));
}

#[tokio::test]
async fn an_answer_of_the_old_url_is_not_the_last_delivery_of_the_new_one() {
    let (pipeline, _) = Pipeline::stored_event(1).await;
    let (tables, tenant, id) = (pipeline.tables.clone(), pipeline.tenant.clone(), Pipeline::endpoint(1).id);
    pipeline.webhooks.during_next(move || {
        tables
            .change_endpoint(&tenant, &id, |endpoint| endpoint.url = "https://other.example.com/".to_owned());
    });
    pipeline.deliver().await;
    assert_eq!(shown(&pipeline).await, Value::Null);
}

#[tokio::test]
async fn a_delivery_that_could_not_be_recorded_counts_and_the_next_minute_records_another() {
    let mut spoiled = 0;
    for call in 0..20 {
        let pipeline = Pipeline::with_endpoints(1);
        pipeline.post_event("one").await;
        pipeline.consume().await;
        pipeline.faults.fail_at(call, Fault::Refused);
        pipeline.deliver().await;
        spoiled += usize::from(pipeline.faults.recover());
        pipeline.run_until_quiet().await;
        assert_eq!(pipeline.tables.all_heads().len(), 1);
        pipeline.clock.advance(Duration::from_mins(1));
        deliver(&pipeline, 1).await;
        assert_ne!(shown(&pipeline).await, Value::Null, "{call}");
    }
    assert!((6..20).contains(&spoiled), "every call of a delivery failed once: {spoiled}");
}

//! When nothing more is accepted: an inbox that is full, and events that nobody stores.

use std::time::Duration;

use aws::system_clock::SystemClock;
use domain::tenant::api_key::Pepper;
use domain::tenant::backlog::Backlog;
use domain::tenant::tier::Tier;
use domain::testing::{START, key_of, tenant};
use http::StatusCode;
use serde_json::{Value, json};
use store::clock::Clock;

use crate::pipeline::Pipeline;
use crate::support::client::Tenant;
use crate::support::{eventually, tables};

/// What is counted of a tenant's events of today.
fn waiting(tenant: &Tenant) -> Option<i64> {
    let item = tenant.place.item("Limits", &format!("t#{}#backlog", tenant.id), &today())?;
    item["waiting"]["N"].as_str().map(|digits| digits.parse().unwrap())
}

fn today() -> String {
    SystemClock.now().days().to_string()
}

#[test]
fn an_event_waits_from_its_storing_until_somebody_takes_it() {
    let tenant = Tenant::new();
    let ids: Vec<String> = (0..3).map(|_| tenant.accepted("a")).collect();
    tenant.all_shown_as("pending", &ids);
    eventually("three wait", || (waiting(&tenant) == Some(3)).then_some(()));
    tenant.acknowledge(&ids[0]).expect(200);
    tenant.acknowledge(&ids[0]).expect(200);
    eventually("two wait", || (waiting(&tenant) == Some(2)).then_some(()));
}

#[test]
fn a_full_inbox_takes_no_more_and_says_when_to_come_again() {
    let tenant = Tenant::of_tier("free");
    let item = json!({"pk": {"S": format!("t#{}#backlog", tenant.id)}, "sk": {"S": today()}, "waiting": {"N": "10000"}});
    tables::put(&tenant, "Limits", &item);
    let plain = json!({"type": "order.created", "payload": {"order": 1}});
    for (path, body) in [("/api/events", plain.clone()), ("/api/events/batch", json!({"events": [plain]}))] {
        let refused = tenant.post(path, body.to_string());
        refused.problem(429, "backlog-full");
        assert_eq!(refused.header("retry-after"), Some("30"));
        assert_eq!(refused.header("x-ratelimit-limit"), Some("100"));
    }
    assert_eq!(waiting(&tenant), Some(10_000), "nothing was stored");
    assert!(tenant.inbox_ids("").is_empty());
}

#[tokio::test]
async fn what_is_stored_and_taken_cancels_out_even_when_it_comes_twice() {
    let pipeline = Pipeline::with_endpoints(2);
    pipeline.webhooks.answer_by(|_, _| Some(500));
    pipeline.post_event("one").await;
    pipeline.post_event("one").await;
    pipeline.post_event("two").await;
    pipeline.consume().await;
    let day = pipeline.clock.now().days();
    let backlog = async || pipeline.limits.backlog(&pipeline.tenant).await.unwrap();
    assert_eq!(backlog().await, Backlog::default(), "the first attempts are under way");
    pipeline.deliver().await;
    assert_eq!(backlog().await, Backlog::of([(day, 2)]));
    pipeline.webhooks.answer_by(|_, _| Some(200));
    pipeline.run_until_quiet().await;
    assert_eq!(backlog().await, Backlog::default());
}

#[tokio::test]
async fn one_tenants_old_messages_refuse_its_own_events_and_those_of_no_other_tenant() {
    let mut pipeline = Pipeline::with_endpoints(0);
    let other = tenant();
    let (key, record) = key_of(&other, Tier::Pro);
    pipeline.tables.put_key(&key.hash(&Pepper::new("pepper")), &record);
    assert_eq!(pipeline.post_event("waits").await.status(), StatusCode::ACCEPTED);
    pipeline.clock.set(START.after(Duration::from_secs(700)));
    pipeline.consume().await;
    let refused = pipeline.post_event("one more").await;
    assert_eq!(
        (refused.status().as_u16(), refused.body().contains("urn:triggers:problem:overloaded")),
        (503, true)
    );

    pipeline.key = key;
    assert_eq!(pipeline.post_event("of the other").await.status(), StatusCode::ACCEPTED);
    pipeline.consume().await;
    let wait = pipeline.limits.demand(&other).await.unwrap().wait;
    assert_eq!(wait, None, "a short wait costs no call");
}

#[tokio::test]
async fn an_old_message_of_an_inbox_that_keeps_no_backlog_refuses_the_tenant_until_its_wait_is_a_minute_old()
{
    let pipeline = Pipeline::with_endpoints(0);
    let only_matched = json!({"inbox": "matched"});
    assert_eq!(pipeline.call("PATCH", "/api/tenant", &only_matched).await.status, StatusCode::OK);
    pipeline.post_event("waits").await;
    pipeline.clock.set(START.after(Duration::from_secs(700)));
    pipeline.consume().await;
    assert_eq!(pipeline.limits.backlog(&pipeline.tenant).await.unwrap(), Backlog::default());
    assert_eq!(pipeline.post_event("one more").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    pipeline.clock.set(START.after(Duration::from_secs(760)));
    assert_eq!(pipeline.post_event("one more").await.status(), StatusCode::ACCEPTED);
}

/// Each line of ingest, read.
fn lines(pipeline: &Pipeline) -> Vec<Value> {
    let lines = pipeline.lines.lock().unwrap();
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn an_invocation_leaves_one_line_with_tenant_key_id_and_counts_and_no_secret() {
    let pipeline = Pipeline::with_endpoints(0);
    pipeline.post_event("confidential").await;
    pipeline.post_event("confidential").await;
    pipeline.post("/api/events", r#"{"type":"a\n","payload":"confidential"}"#).await;
    let good = r#"{"type":"a","payload":"confidential"}"#;
    let batch = format!(r#"{{"events":[{good},{good},{{}},[{good}"#);
    pipeline.post("/api/events/batch", &format!("{batch}]]}}")).await;
    let lines = lines(&pipeline);
    assert_eq!(lines.len(), 4, "one for each");
    let counts =
        |line: &Value, names: &[&str]| names.iter().map(|name| line[*name].as_u64()).collect::<Vec<_>>();
    let names = ["accepted", "duplicate", "rejected", "rejected_invalid", "auth_hit", "auth_miss"];
    assert_eq!(counts(&lines[0], &names), [Some(1), None, None, None, None, Some(1)]);
    assert_eq!(counts(&lines[1], &names), [None, Some(1), None, None, Some(1), None]);
    assert_eq!(counts(&lines[2], &names), [None, None, Some(1), Some(1), Some(1), None]);
    assert_eq!(counts(&lines[3], &names), [Some(2), None, Some(2), Some(2), Some(1), None]);
    for line in &lines {
        let text = line.to_string();
        assert!(
            line["handler_ms"].is_u64() && line["status"].is_u64() && line["request_id"] == "request",
            "{text}"
        );
        assert_eq!(line["function"], "triggers-ingest", "{text}");
        let key = pipeline.key.expose();
        assert_eq!(line["tenant"], pipeline.tenant.as_str());
        assert!(line["key"].as_str().is_some_and(|id| id.starts_with("key_")), "{text}");
        for secret in ["confidential", key, &key[9..40]] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert!(lines[0]["queue_ms"].is_u64());
}

#[tokio::test]
async fn a_quiet_stack_refuses_nothing_although_short_waits_are_stored_at_intervals() {
    let pipeline = Pipeline::with_endpoints(1);
    for seconds in [0, 20, 149, 640, 700, 2000, 2100, 2700] {
        pipeline.clock.set(START.after(Duration::from_secs(seconds)));
        let answer = pipeline.post_event(&format!("after {seconds}")).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{seconds}: {}", answer.body());
        pipeline.run_until_quiet().await;
    }
}

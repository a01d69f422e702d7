//! When nothing more is accepted: an inbox that is full, and events that nobody stores.

use aws::clients::emulator_clients;
use aws::ports::Aws;
use domain::tenant::backlog::Backlog;
use domain::testing::tenant;
use domain::timestamp::Timestamp;
use serde_json::{Value, json};
use store::ports::Ports;

use aws::system_clock::SystemClock;
use store::clock::Clock;
use store::limits::Limits;
use store::limits::counters::{Counts, QueueName, Wait};

use crate::pipeline::Pipeline;
use crate::support::aws::dynamodb;
use crate::support::client::Tenant;
use crate::support::eventually;
use crate::support::front_door::{FrontDoor, plain};
use crate::support::stack::shared;

/// What is counted of a tenant's events of today.
fn waiting(tenant: &Tenant) -> Option<i64> {
    let key = json!({"pk": {"S": format!("t#{}#backlog", tenant.id)}, "sk": {"S": today()}});
    let read = json!({"TableName": limits(), "Key": key});
    let item = dynamodb(&shared().summary().emulator, "GetItem", &read).expect(200).json();
    item["Item"]["waiting"]["N"].as_str().map(|digits| digits.parse().unwrap())
}

fn today() -> String {
    SystemClock.now().days().to_string()
}

fn limits() -> &'static str {
    &shared().summary().tables["Limits"]
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
    let put = json!({"TableName": limits(), "Item": item});
    dynamodb(&shared().summary().emulator, "PutItem", &put).expect(200);
    for (path, body) in [("/api/events", plain()), ("/api/events/batch", json!({"events": [plain()]}))] {
        let refused = tenant.post(path, body.to_string());
        refused.problem(429, "backlog-full");
        assert_eq!(refused.header("retry-after"), Some("30"));
        assert_eq!(refused.header("x-ratelimit-limit"), Some("100"));
    }
    assert_eq!(waiting(&tenant), Some(10_000), "nothing was stored");
    assert!(tenant.inbox_ids("").is_empty());
}

/// A table of limits of its own: to shed load concerns everybody.
fn own_limits() -> String {
    let name = format!("limits-{}", tenant());
    let key = |name: &str, kind: &str| json!({"AttributeName": name, "KeyType": kind});
    let string = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
    let create = json!({"TableName": name, "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
        "AttributeDefinitions": [string("pk"), string("sk")]});
    dynamodb(&shared().summary().emulator, "CreateTable", &create).expect(200);
    name
}

#[tokio::test]
async fn load_is_shed_while_stored_events_had_to_wait_too_long() {
    let name = own_limits();
    let aws = Aws::of(emulator_clients(&shared().summary().emulator).await);
    let limits = Limits::new(aws.table(&name));
    let took = async |at: Timestamp, waited_ms: u64| {
        let wait = Wait { queue: QueueName::Events, waited_ms, at };
        limits.count(Counts::default(), Some(wait)).await.unwrap();
    };
    let tenant = Tenant::new();
    let now = SystemClock.now();
    took(now, 599_000).await;
    FrontDoor::with(&[("LIMITS_TABLE", &name)]).post(&tenant, &plain()).expect(202);
    let later = Timestamp::from_millis(now.millis() + 1);
    took(later, 601_000).await;
    let door = FrontDoor::with(&[("LIMITS_TABLE", &name)]);
    for _ in 0..2 {
        let shed = door.post(&tenant, &plain());
        shed.problem(503, "overloaded");
        assert_eq!(shed.header("retry-after"), Some("10"));
    }
    assert!(!door.proxy.take_calls().contains_key("SendMessageBatch"), "nothing was accepted");
    let unbounded = FrontDoor::with(&[("LIMITS_TABLE", &name), ("SHED_AFTER_SECONDS", "0")]);
    unbounded.post(&tenant, &plain()).expect(202);
}

#[tokio::test]
async fn what_is_stored_and_taken_cancels_out_even_when_it_comes_twice() {
    let pipeline = Pipeline::with_endpoints(2);
    pipeline.post_event("one").await;
    pipeline.post_event("one").await;
    pipeline.post_event("two").await;
    pipeline.consume().await;
    let day = pipeline.clock.now().days();
    let backlog = async || pipeline.limits.backlog(&pipeline.tenant).await.unwrap();
    assert_eq!(backlog().await, Backlog::of([(day, 2)]));
    pipeline.run_until_quiet().await;
    assert_eq!(backlog().await, Backlog::default());
}

/// Each line of ingest, read.
fn lines(pipeline: &Pipeline) -> Vec<Value> {
    let lines = pipeline.lines.lock().unwrap();
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn an_invocation_leaves_one_line_of_counts_and_no_secret() {
    let pipeline = Pipeline::with_endpoints(0);
    pipeline.post_event("confidential").await;
    pipeline.post_event("confidential").await;
    pipeline.post("/api/events", r#"{"type":"a b","payload":"confidential"}"#).await;
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
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["function"]]));
        let key = pipeline.key.expose();
        for secret in ["confidential", pipeline.tenant.as_str(), key, &key[9..40]] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert!(lines[0]["queue_ms"].is_u64());
}

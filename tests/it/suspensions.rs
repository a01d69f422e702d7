//! A tenant that the operator suspends: it reads and acknowledges, its deliveries wait, and nothing is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::delivery::webhook_request::WebhookRequest;
use domain::inbox::Status;
use domain::job::Work;
use domain::tenant::id::TenantId;
use domain::testing::{START, endpoint, endpoint_of};
use domain::timestamp::Timestamp;
use serde_json::{Value, json};
use store::clock::Clock;
use store::control::endpoints::Added;
use store::item::Key;

use crate::api_crashes::{at_every_call, ids};
use crate::pipeline::{Pipeline, Response};
use crate::revocations::{configured, lasting_changes};
use crate::support::configs::ADMIN_TOKEN;

/// Longer than any process knows a key without reading it again.
const EVERYWHERE: Duration = Duration::from_secs(60);

/// Asks as the operator.
async fn ask(pipeline: &Pipeline, method: &str, tail: &str, body: &Value) -> Response {
    let path = format!("/api/admin/tenants/{}{tail}", pipeline.tenant);
    pipeline.call_with(&pipeline.start_api(), ("x-admin-token", ADMIN_TOKEN), method, &path, body).await
}

async fn suspend(pipeline: &Pipeline) -> Response {
    ask(pipeline, "POST", "/suspend", &json!({"reason": "a story"})).await
}

async fn resume(pipeline: &Pipeline) -> Response {
    ask(pipeline, "POST", "/resume", &Value::Null).await
}

/// How often each event came to each receiver.
fn posts(pipeline: &Pipeline) -> BTreeMap<(String, String), usize> {
    let id = |request: &WebhookRequest| {
        request.headers.iter().find(|(name, _)| name == "webhook-id").expect("it is signed").1.clone()
    };
    pipeline.webhooks.received().iter().fold(BTreeMap::new(), |mut times, request| {
        *times.entry((id(request), request.url.as_str().to_owned())).or_default() += 1;
        times
    })
}

fn all_came_once(pipeline: &Pipeline, count: usize, context: &str) {
    let posts = posts(pipeline);
    assert_eq!(posts.len(), count, "{context}");
    assert!(posts.values().all(|times| *times == 1), "{context}: {posts:?}");
    let heads = pipeline.tables.all_heads();
    assert!(heads.iter().all(|(_, head)| head.status == Status::Delivered), "{context}");
    assert_eq!((pipeline.tables.parked(), pipeline.tables.endpoint_rows()), (vec![], vec![]), "{context}");
}

#[tokio::test]
async fn a_suspended_tenant_reads_leases_and_acknowledges_and_neither_posts_nor_changes() {
    let (pipeline, event) = Pipeline::stored_event(1).await;
    pipeline.run_until_quiet().await;
    pipeline.tables.change_endpoint(&pipeline.tenant, &endpoint(1).id, |endpoint| endpoint.is_paused = true);
    pipeline.post_event("kept").await;
    pipeline.consume().await;
    pipeline.deliver().await;
    let answer = suspend(&pipeline).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["suspended_reason"], "a story");

    // 1. It posts nothing as soon as its key is read again.
    pipeline.clock.set(START.after(Duration::from_secs(30)));
    let batch = r#"{"events":[{"type":"a","payload":1}]}"#;
    for (path, body) in [("/api/events", r#"{"type":"a","payload":1}"#), ("/api/events/batch", batch)] {
        let refused = pipeline.post(path, body).await;
        assert_eq!(refused.status(), 403, "{}", refused.body());
        assert!(refused.body().contains("urn:triggers:problem:suspended"), "{}", refused.body());
    }
    assert_eq!(pipeline.events_queue.bodies().len(), 0);

    // 2. It changes nothing, from the moment of its suspension.
    let id = endpoint(1).id;
    let more = [
        ("DELETE", "/api/keys/key_00000000000000000000000000000000".to_owned(), Value::Null),
        ("DELETE", "/api/replays/rpl_00000000000000000000000000000000".to_owned(), Value::Null),
    ];
    let deletion = format!("/api/events/{event}");
    let changes = lasting_changes(id.as_str(), &event.to_string());
    let changes: Vec<_> = changes.into_iter().chain(more).filter(|(_, path, _)| *path != deletion).collect();
    assert_eq!(changes.len(), 14);
    let before = configured(&pipeline);
    for (method, path, body) in changes {
        let refused = pipeline.call(method, &path, &body).await;
        assert_eq!(refused.status, 403, "{method} {path}: {:?}", refused.body);
        assert_eq!(refused.body["type"], "urn:triggers:problem:suspended", "{method} {path}");
        assert_eq!(configured(&pipeline), before, "{method} {path}");
    }

    // 3. It reads, leases and acknowledges, and deletes an event.
    let explained = json!({"type": "a", "payload": 1});
    assert_eq!(pipeline.post_json("/api/explain", explained).await.body["endpoints"][0]["would"], "park");
    for path in ["/api/inbox", "/api/keys", "/api/endpoints", "/api/tenant", "/api/export", deletion.as_str()]
    {
        assert_eq!(pipeline.call("GET", path, &Value::Null).await.status, 200, "{path}");
    }
    let leased = pipeline.post_json("/api/inbox/lease", json!({"include_open": true})).await;
    assert_eq!(ids(&leased).len(), 1);
    let acknowledged =
        pipeline.post_json("/api/inbox/ack", json!({"lease_id": leased.body["lease_id"]})).await;
    assert_eq!(acknowledged.body["acked"].as_array().unwrap().len(), 1, "{acknowledged:?}");
    assert_eq!(pipeline.call("DELETE", &deletion, &Value::Null).await.status, 204);

    // 4. Resumed, it posts and changes again.
    assert_eq!(resume(&pipeline).await.body["suspended_at"], Value::Null);
    pipeline.clock.advance(EVERYWHERE);
    assert_eq!(pipeline.post_event("later").await.status(), 202);
    assert_eq!(pipeline.post_json(&format!("/api/endpoints/{id}/enable"), Value::Null).await.status, 200);
}

#[tokio::test]
async fn what_was_accepted_before_waits_while_the_tenant_is_suspended_and_comes_once_when_it_is_resumed() {
    let pipeline = Pipeline::with_endpoints(3);
    // 1. One endpoint has an open circuit breaker, one delivery waits for its second attempt, one event is in each queue.
    pipeline.tables.change_endpoint(&pipeline.tenant, &endpoint(1).id, |endpoint| {
        let open = domain::endpoint::health::Open { probes: 0, next_probe_at: START, last_probed: None };
        endpoint.health.open = Some(open);
    });
    pipeline.webhooks.answer(500);
    pipeline.post_event("tried").await;
    pipeline.consume().await;
    pipeline.deliver().await;
    let tried = pipeline.webhooks.received().len();
    assert_eq!(tried, 2, "one is parked");
    pipeline.post_event("stored").await;
    pipeline.consume().await;
    pipeline.post_event("accepted").await;
    assert_eq!(suspend(&pipeline).await.status, 200);

    // 2. Not one request is sent in a day, not even a probe.
    pipeline.run_until(START.after(Duration::from_hours(24))).await;
    assert_eq!(pipeline.webhooks.received().len(), tried);
    let heads = pipeline.tables.all_heads();
    assert_eq!((heads.len(), pipeline.tables.parked().len()), (3, 3 * 3 - 1));
    assert!(heads.iter().all(|(_, head)| head.status == Status::Delivering));

    // 3. All of it comes.
    assert_eq!(resume(&pipeline).await.status, 200);
    pipeline.run_until_quiet().await;
    let mut posts = posts(&pipeline);
    assert_eq!(posts.len(), 9);
    posts.retain(|_, times| *times > 1);
    assert_eq!(posts.values().copied().collect::<Vec<_>>(), [2], "the attempt that failed before");
    let heads = pipeline.tables.all_heads();
    assert!(heads.iter().all(|(_, head)| head.status == Status::Delivered));
    assert_eq!((pipeline.tables.parked(), pipeline.tables.endpoint_rows()), (vec![], vec![]));
}

/// A system with three events whose deliveries to two endpoints wait in the queue, and a second key.
async fn busy() -> (Pipeline, Value) {
    let pipeline = Pipeline::with_endpoints(2);
    pipeline.post_json("/api/keys", json!({"name": "b", "scopes": ["events:write"]})).await;
    for n in 0..3 {
        pipeline.post_event(&n.to_string()).await;
    }
    pipeline.consume().await;
    (pipeline, Value::Null)
}

#[tokio::test]
async fn a_suspension_that_is_sent_again_is_complete_wherever_api_dies() {
    let deaths = at_every_call(
        busy,
        async |pipeline, _| suspend(pipeline).await,
        async |pipeline, _, [_, second], context| {
            assert_eq!(second.status, 200, "{context}: {second:?}");
            assert_eq!(second.body["suspended_at"], START.to_string(), "{context}");
            pipeline.run_until(START.after(Duration::from_mins(5))).await;
            assert_eq!(pipeline.webhooks.received().len(), 0, "{context}");
            assert_eq!(pipeline.tables.parked().len(), 6, "{context}");
            assert_eq!(pipeline.post_event("refused").await.status(), 403, "{context}");
            assert_eq!(resume(pipeline).await.status, 200, "{context}");
            pipeline.run_until_quiet().await;
            all_came_once(pipeline, 6, context);
        },
    )
    .await;
    println!("{deaths} deaths in a suspension");
    assert!(deaths >= 2 * 5, "tenant, keys, transaction, endpoints and transaction: {deaths}");
}

#[tokio::test]
async fn a_resumption_that_is_sent_again_is_complete_wherever_api_dies() {
    let deaths = at_every_call(
        async || {
            let (pipeline, nothing) = busy().await;
            suspend(&pipeline).await;
            pipeline.run_until(START.after(Duration::from_mins(5))).await;
            (pipeline, nothing)
        },
        async |pipeline, _| resume(pipeline).await,
        async |pipeline, _, [_, second], context| {
            assert_eq!(second.status, 200, "{context}: {second:?}");
            pipeline.run_until_quiet().await;
            all_came_once(pipeline, 6, context);
            pipeline.clock.advance(EVERYWHERE);
            assert_eq!(pipeline.post_event("new").await.status(), 202, "{context}");
            pipeline.run_until_quiet().await;
            all_came_once(pipeline, 8, context);
        },
    )
    .await;
    println!("{deaths} deaths in a resumption");
    assert!(deaths >= 2 * 5, "{deaths}");
}

#[tokio::test]
async fn a_suspension_that_is_overtaken_by_a_resumption_marks_no_endpoint() {
    let (pipeline, _) = busy().await;
    let (partition, table) = (format!("t#{}", pipeline.tenant), pipeline.tables.control.clone());
    let resumed_elsewhere = {
        let (partition, table) = (partition.clone(), table.clone());
        move || {
            let tenant = table.item(&Key::new(partition, "tenant")).unwrap();
            let rev: u64 = tenant.number("rev").unwrap();
            let mut resumed = tenant.with("rev", rev + 1);
            resumed.remove("suspended_at");
            table.put_item(resumed);
        }
    };
    // The first query of a suspension reads the keys, the second the endpoints.
    let (again, second) = (table.clone(), partition.clone());
    table.after_query_of(partition, move || again.after_query_of(second, resumed_elsewhere));
    assert_eq!(suspend(&pipeline).await.status, 200);
    let endpoints = pipeline.control.endpoints(&pipeline.tenant).await.unwrap();
    assert_eq!(endpoints.iter().map(|endpoint| endpoint.is_suspended).collect::<Vec<_>>(), [false; 2]);
    pipeline.run_until_quiet().await;
    all_came_once(&pipeline, 6, "resumed");
}

#[tokio::test]
async fn no_endpoint_and_no_key_without_the_mark_is_added_to_a_suspended_tenant() {
    let pipeline = Pipeline::with_endpoints(1);
    suspend(&pipeline).await;
    // A request that was authenticated before the suspension writes after it.
    let third = endpoint_of(&pipeline.tenant, 3);
    assert_eq!(pipeline.control.add_endpoint(&pipeline.tenant, &third).await.unwrap(), Added::Suspended);
    let made = ask(&pipeline, "POST", "/keys", &Value::Null).await;
    assert_eq!(made.status, 201);
    let key = ("x-api-key", made.body["api_key"].as_str().unwrap());
    let replay = json!({"since": "2023-01-01T00:00:00Z"});
    let refused = pipeline.call_with(&pipeline.start_api(), key, "POST", "/api/replays", &replay).await;
    assert_eq!(refused.body["type"], "urn:triggers:problem:suspended");
    resume(&pipeline).await;
    assert_eq!(pipeline.control.add_endpoint(&pipeline.tenant, &third).await.unwrap(), Added::Done);
    let accepted = pipeline.call_with(&pipeline.start_api(), key, "POST", "/api/replays", &replay).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
}

#[tokio::test]
async fn a_replay_of_a_suspended_tenant_stays_as_it_is_and_goes_on_when_it_is_resumed() {
    let (pipeline, _) = busy().await;
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.webhooks.received().len(), 6);
    pipeline.clock.advance(Duration::from_secs(1));
    let asked = pipeline.post_json("/api/replays", json!({"since": "2023-01-01T00:00:00Z"})).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    suspend(&pipeline).await;
    pipeline.run_until(pipeline.clock.now().after(Duration::from_mins(10))).await;
    let Work::Replay(replay) = &pipeline.tables.jobs()[0].work else { panic!("no replay") };
    assert_eq!((replay.progress.seen, pipeline.webhooks.received().len()), (0, 6));
    assert_eq!(pipeline.tables.parked(), []);
    resume(&pipeline).await;
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.webhooks.received().len(), 12);
    assert!(pipeline.tables.jobs()[0].ended_at.is_some());
}

#[tokio::test]
async fn the_operator_sees_since_when_and_why_and_a_repeat_changes_the_reason_alone() {
    let pipeline = Pipeline::with_endpoints(0);
    let read = async || {
        let read = ask(&pipeline, "GET", "", &Value::Null).await.body;
        (read["suspended_at"].clone(), read["suspended_reason"].clone())
    };
    assert_eq!(read().await, (Value::Null, Value::Null));
    suspend(&pipeline).await;
    pipeline.clock.advance(Duration::from_mins(1));
    let repeat = ask(&pipeline, "POST", "/suspend", &json!({"reason": " another "})).await;
    assert_eq!(repeat.status, 200, "{repeat:?}");
    assert_eq!(read().await, (json!(START.to_string()), json!("another")));
    for reason in
        [json!({}), json!({"reason": " "}), json!({"reason": "x".repeat(256)}), json!({"reason": 1})]
    {
        assert_eq!(ask(&pipeline, "POST", "/suspend", &reason).await.status, 422, "{reason}");
    }
    for _ in 0..2 {
        assert_eq!(resume(&pipeline).await.status, 200);
        assert_eq!(read().await, (Value::Null, Value::Null));
    }
    let unknown = TenantId::generate(Timestamp::from_millis(1), &mut rand::rng());
    for (tail, body) in [("suspend", json!({"reason": "a"})), ("resume", Value::Null)] {
        let path = format!("/api/admin/tenants/{unknown}/{tail}");
        let api = pipeline.start_api();
        let answer = pipeline.call_with(&api, ("x-admin-token", ADMIN_TOKEN), "POST", &path, &body).await;
        assert_eq!(answer.status, 404, "{answer:?}");
    }
}

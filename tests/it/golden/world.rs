//! A system that has every kind of message, row and item.

use std::time::Duration;

use domain::delivery::at_once::AtOnce;
use domain::delivery::line::Line;
use domain::delivery::schedule::{Due, Parked, ParkedPartition, Source};
use domain::delivery::{Bypass, DeliveryMessage};
use domain::endpoint::pace::Span;
use domain::event::id::EventId;
use domain::inbox::Head;
use domain::inbox::notice_request::{NoticeRequest, Reason};
use domain::tenant::signup::SignupLimits;
use domain::testing::{START, endpoint, event};
use domain::trace::Trace;
use http::StatusCode;
use serde_json::{Value, json};
use store::clock::Clock;
use store::envelope::{delivery_body, event_body};
use store::limits::counters::{QueueName, Wait};

use crate::pipeline::Pipeline;
use crate::support::configs::ADMIN_TOKEN;

/// The trace of the example of W3C Trace Context.
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The system, with what is in its queues, and the paths that read what it stores.
pub(super) struct World {
    pub(super) pipeline: Pipeline,
    pub(super) events: Vec<String>,
    pub(super) deliveries: Vec<String>,
    pub(super) paths: Vec<String>,
}

/// Makes the system.
pub(super) async fn make() -> World {
    let pipeline = Pipeline::with_endpoints(1);
    pipeline.clock.advance(Duration::from_secs(1));
    settle_events(&pipeline).await;
    let replay = replay(&pipeline).await;
    let receipt = erase(&pipeline, true).await;
    count(&pipeline).await;
    let (events, deliveries) = messages(&pipeline);
    leave_undone(&pipeline).await;
    let mut paths: Vec<String> = [
        "/api/tenant",
        "/api/keys",
        "/api/endpoints",
        "/api/audit",
        "/api/events?limit=100",
        "/api/inbox?limit=100",
        "/api/stats",
    ]
    .map(str::to_owned)
    .into();
    for (_, head) in pipeline.tables.all_heads().iter().filter(|(tenant, _)| *tenant == pipeline.tenant) {
        paths.push(format!("/api/events/{}", head.id));
    }
    paths.push(format!("/api/endpoints/{}/attempts", endpoint(1).id));
    paths.push(format!("/api/replays/{replay}"));
    paths.push(receipt);
    World { pipeline, events, deliveries, paths }
}

async fn ask(pipeline: &Pipeline, method: &str, path: &str, body: Value, status: u16) -> Value {
    let answer = pipeline.call(method, path, &body).await;
    assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.body);
    answer.body
}

/// Events with each kind of name: delivered, failed once, large, leased.
async fn settle_events(pipeline: &Pipeline) {
    let limited = json!({"name": "limited", "scopes": ["events:write"], "rate_limit_per_minute": 10});
    let limited = ask(pipeline, "POST", "/api/keys", limited, 201).await;
    let further = json!({"url": "https://further.example.com/hook", "event_types": ["other.*"]});
    ask(pipeline, "POST", "/api/endpoints", further, 201).await;
    ask(pipeline, "POST", &format!("/api/endpoints/{}/test", endpoint(1).id), json!({}), 200).await;
    pipeline.webhooks.answer(503);
    pipeline.post_event("order 1").await;
    pipeline.run_until_quiet().await;
    let json = ("content-type", "application/json");
    let body = br#"{"type":"order.created","payload":{"n":2}}"#;
    for more in [
        [json, ("idempotency-key", "request 1")],
        [json, ("traceparent", TRACE)],
        [json, ("x-api-key", limited["api_key"].as_str().expect("a key"))],
    ] {
        pipeline.post_with("/api/events", &more, body).await;
    }
    let cloud = br#"{"specversion":"1.0","id":"1","source":"/orders","type":"order.paid","data":{"n":3}}"#;
    pipeline.post_with("/api/events", &[("content-type", "application/cloudevents+json")], cloud).await;
    let digits = |n: u64| format!("{:016x}", (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)); // nothing to compress
    let large = (0..100).map(digits).collect::<String>();
    let large = json!({"type": "order.created", "payload": large}).to_string();
    pipeline.post("/api/events", &large).await;
    pipeline.run_until_quiet().await;
    ask(
        pipeline,
        "PATCH",
        &format!("/api/endpoints/{}", endpoint(1).id),
        json!({"event_types": ["other.*"]}),
        200,
    )
    .await;
    for n in 0..3 {
        pipeline.post_event(&format!("inbox {n}")).await;
    }
    pipeline.run_until_quiet().await;
    ask(pipeline, "POST", "/api/inbox/lease", json!({"lease_limit": 1}), 200).await;
}

/// Makes a replay that ends; returns its id.
async fn replay(pipeline: &Pipeline) -> String {
    let body = json!({"since": "2023-01-01T00:00:00Z", "type": "order.paid"});
    let ended = ask(pipeline, "POST", "/api/replays", body, 202).await;
    pipeline.run_until_quiet().await;
    ended["id"].as_str().expect("an id").to_owned()
}

/// Makes a further tenant; returns its key.
async fn sign_up(pipeline: &Pipeline) -> String {
    let body = json!({"organization_name": "Further Ltd", "tier": "pro"});
    let (api, admin) = (pipeline.start_api(), ("x-admin-token", ADMIN_TOKEN));
    let made = pipeline.call_with(&api, admin, "POST", "/api/keys/generate", &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    made.body["api_key"].as_str().expect("a key").to_owned()
}

/// Erases a tenant of its own; returns the path of the receipt.
async fn erase(pipeline: &Pipeline, is_done: bool) -> String {
    let (api, key) = (pipeline.start_api(), sign_up(pipeline).await);
    let confirm = json!({"confirm": "Further Ltd"});
    let erased = pipeline.call_with(&api, ("x-api-key", &key), "DELETE", "/api/tenant", &confirm).await;
    assert_eq!(erased.status, StatusCode::ACCEPTED, "{}", erased.body);
    if is_done {
        pipeline.run_until_quiet().await;
    }
    let url = erased.body["receipt_url"].as_str().expect("a URL");
    url[url.find("/api/").expect("a path")..].to_owned()
}

/// Counters and reservations that a short story does not need.
async fn count(pipeline: &Pipeline) {
    let (limits, ours, now) = (&pipeline.limits, &pipeline.tenant, pipeline.clock.now());
    let signups = SignupLimits { per_client: 10, total: 1000 };
    limits.take_signup("client", signups, now).await.expect("an answer").expect("a signup");
    let place = endpoint(1).id;
    for line in [Line::Endpoint(&place), Line::Slow, Line::Burst, Line::Allowance] {
        let span = Span { earliest: now.millis() * 1000, length: 1000 };
        limits.reserve(ours, line, span).await.expect("a reservation");
        limits.start_requests(ours, line, now.minutes(), 1, AtOnce::requests(10)).await.expect("a place");
    }
    let wait = Wait { queue: QueueName::Events, waited_ms: 1000, at: now };
    limits.record_wait(ours, &wait).await.expect("an answer");
    limits.first_notice_at(&NoticeRequest::new(ours, Reason::Filling, now), now).await.expect("an answer");
    let named = json!({"v": "9", "tenant": ours.as_str()}).to_string();
    for body in ["garbage", named.as_str()] {
        pipeline.consume_batch(Pipeline::dead_letter(body)).await;
    }
}

/// A message of each form.
fn messages(pipeline: &Pipeline) -> (Vec<String>, Vec<String>) {
    let ours = &pipeline.tenant;
    let plain = event(ours, "order.created", r#"{"n": 10}"#, pipeline.clock.now());
    let named = domain::event::Event {
        dedup_id: domain::event::claim_name::DedupId::parse("order 10"),
        ..event(ours, "order.created", r#"{"n": 11}"#, pipeline.clock.now())
    };
    let traced = domain::event::Event {
        trace: Trace::parse(TRACE),
        ..event(ours, "order.created", r#"{"n": 12}"#, pipeline.clock.now())
    };
    let events = [&plain, &named, &traced].map(|event| event_body(event).expect("a body")).into();
    let (_, head) = pipeline
        .tables
        .all_heads()
        .into_iter()
        .find(|(tenant, head)| tenant == ours && !head.deliveries.is_empty())
        .expect("a head");
    let (place, delivery) = head.deliveries.first_key_value().expect("a delivery");
    let first = DeliveryMessage::first(ours, head.id, place, delivery, true);
    let mut deliveries = vec![delivery_body(&DeliveryMessage { fresh: false, ..first.clone() })];
    deliveries.extend(Bypass::ALL.map(|bypass| delivery_body(&DeliveryMessage { bypass, ..first.clone() })));
    let full = DeliveryMessage {
        units: 54,
        has_waited: true,
        counts_event: true,
        trace: Trace::parse(TRACE),
        ..first
    };
    deliveries.push(delivery_body(&full));
    (events, deliveries)
}

/// A message that is due later, a parked one, a request for a notice, a replay and an erasure that run.
async fn leave_undone(pipeline: &Pipeline) {
    let (schedule, ours, now) = (&pipeline.schedule, &pipeline.tenant, pipeline.clock.now());
    let place = endpoint(1).id;
    let head = Head::new(&event(ours, "order.created", "13", START), [place.clone()]);
    let message = DeliveryMessage::first(ours, head.id, &place, &head.deliveries[&place], false);
    let at = now.after(Duration::from_hours(1));
    schedule.put_due(&Due { message: message.clone(), at }, head.expires_at).await.expect("an answer");
    let of_shard =
        |_| DeliveryMessage { event: EventId::generate(START, 16, &mut rand::rng()), ..message.clone() };
    let further = (0..1000)
        .map(of_shard)
        .find(|message| ParkedPartition::of(message).part > 1)
        .expect("a further part");
    for (message, source) in [
        (message.clone(), Source::Token("token".to_owned())), // as an earlier version parked it
        (message.clone(), Source::Message("059f36b4-87a3-44ab-83d2-661975147401".to_owned())),
        (further, Source::Message("059f36b4-87a3-44ab-83d2-661975147402".to_owned())),
    ] {
        let parked = Parked { message, source, was_probed: true };
        schedule.put_parked(&parked, head.expires_at).await.expect("an answer");
        schedule.announce_parked(&parked.partition()).await.expect("an answer");
    }
    schedule.request_notice(&NoticeRequest::new(ours, Reason::Filling, now)).await.expect("an answer");
    erase(pipeline, false).await;
    let body = json!({"since": "2023-01-01T00:00:00Z"});
    let api = pipeline.start_api();
    let headers = ("x-api-key", pipeline.key.expose());
    let asked = pipeline.call_with(&api, headers, "POST", "/api/replays", &body).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
    let turns = schedule.turns(10, 10).await.expect("an answer");
    schedule.save_place(&turns[0].place).await.expect("an answer");
    sign_up(pipeline).await;
}

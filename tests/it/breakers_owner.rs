//! How an open circuit breaker is probed, and how its owner closes it.

use std::time::Duration;

use domain::delivery::{Bypass, DeliveryState};
use domain::endpoint::health::throttle::Throttle;
use domain::endpoint::health::trial::Trial;
use domain::inbox::Status;
use domain::testing::START;
use serde_json::{Value, json};
use store::clock::Clock;

use crate::pipeline::Pipeline;

/// Lets the scheduler come in the next minute, and delivery take what it sent.
async fn next_minute(pipeline: &Pipeline) {
    pipeline.clock.advance(Duration::from_mins(1));
    pipeline.schedule().await;
    pipeline.deliver().await;
}

#[tokio::test]
async fn an_owner_who_enables_resumes_or_tests_an_endpoint_closes_its_breaker_at_once() {
    let path = format!("/api/endpoints/{}", Pipeline::endpoint(1).id.as_str());
    for (method, suffix, body) in [
        ("POST", "/enable", Value::Null),
        ("PATCH", "", json!({"paused": false})),
        ("POST", "/test", Value::Null),
    ] {
        let pipeline = Pipeline::parked(3).await;
        pipeline.deliver().await;
        assert_eq!(pipeline.tables.parked().len(), 3);
        let answer = pipeline.call(method, &format!("{path}{suffix}"), &body).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let endpoint = pipeline.call("GET", &path, &Value::Null).await.body;
        assert_eq!((&endpoint["state"], &endpoint["failures"]), (&json!("active"), &json!(0)), "{suffix}");
        next_minute(&pipeline).await;
        let heads = pipeline.tables.all_heads();
        assert!(heads.iter().all(|(_, head)| head.status == Status::Delivered), "{suffix}");
        assert_eq!(pipeline.tables.parked(), []);
    }
}

#[tokio::test]
async fn an_owner_who_enables_resumes_or_tests_an_endpoint_ends_its_trial() {
    let path = format!("/api/endpoints/{}", Pipeline::endpoint(1).id.as_str());
    for (method, suffix, body) in [
        ("POST", "/enable", Value::Null),
        ("PATCH", "", json!({"paused": false})),
        ("POST", "/test", Value::Null),
    ] {
        let pipeline = Pipeline::with_endpoints(1);
        pipeline.tables.change_endpoint(&pipeline.tenant, &Pipeline::endpoint(1).id, |endpoint| {
            endpoint.health.failures = 10;
            endpoint.health.trial = Some(Trial { since: START, probes: 3, last_probed: None });
        });
        let endpoint = pipeline.call("GET", &path, &Value::Null).await.body;
        assert_eq!(
            (&endpoint["state"], &endpoint["throttled_rate_per_minute"]),
            (&json!("active"), &json!(10))
        );
        let answer = pipeline.call(method, &format!("{path}{suffix}"), &body).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let endpoint = pipeline.call("GET", &path, &Value::Null).await.body;
        let shown = (&endpoint["failures"], &endpoint["throttled_rate_per_minute"]);
        assert_eq!(shown, (&json!(0), &Value::Null), "{suffix}");
    }
}

#[tokio::test]
async fn a_test_that_fails_and_a_change_of_other_settings_leave_the_breaker_open() {
    let path = format!("/api/endpoints/{}", Pipeline::endpoint(1).id.as_str());
    let pipeline = Pipeline::parked(1).await;
    pipeline.webhooks.answer(500);
    assert_eq!(pipeline.call("POST", &format!("{path}/test"), &Value::Null).await.body["status"], 500);
    pipeline.call("PATCH", &path, &json!({"description": "mine"})).await;
    let endpoint = pipeline.call("GET", &path, &Value::Null).await.body;
    assert_eq!((&endpoint["state"], &endpoint["failures"]), (&json!("open"), &json!(10)));
}

#[tokio::test]
async fn probes_take_the_newest_and_the_oldest_event_in_turn_and_the_second_one_spends_an_attempt() {
    let pipeline = Pipeline::parked(3).await;
    pipeline.webhooks.answer_by(|_, _| Some(503));
    pipeline.deliver().await;
    let parked: Vec<_> = pipeline.tables.parked().iter().map(|parked| parked.message.event).collect();
    let mut probes = Vec::new();
    for _ in 0..90 {
        pipeline.clock.advance(Duration::from_mins(1));
        pipeline.schedule().await;
        let messages = pipeline.delivery_messages();
        probes.extend(messages.iter().filter(|message| message.bypass.is_probe()).map(|message| {
            (parked.iter().position(|event| *event == message.event).unwrap(), message.bypass, message.n)
        }));
        pipeline.deliver().await;
    }
    let expected = [
        (2, Bypass::Probe, 1),
        (0, Bypass::Probe, 1),
        (2, Bypass::SpendingProbe, 1),
        (0, Bypass::SpendingProbe, 1),
        (2, Bypass::SpendingProbe, 2),
    ];
    assert_eq!(probes, expected);
    let attempts = |place: usize| pipeline.tables.head(&pipeline.tenant, parked[place]).unwrap().attempts();
    assert_eq!([attempts(0), attempts(1), attempts(2)], [1, 0, 2]);
}

#[tokio::test]
async fn the_only_event_that_waits_spends_no_attempt_as_a_probe() {
    let pipeline = Pipeline::parked(1).await;
    pipeline.webhooks.answer_by(|_, _| Some(503));
    pipeline.run_until(START.after(Duration::from_hours(24))).await;
    assert!(pipeline.webhooks.received().len() > 20);
    let heads = pipeline.tables.all_heads();
    let (_, head) = heads.iter().find(|(_, head)| head.status == Status::Delivering).unwrap();
    assert_eq!(head.attempts(), 0);
}

#[tokio::test]
async fn a_retry_after_of_a_day_holds_its_own_delivery_and_no_other() {
    let pipeline = Pipeline::with_endpoints(1);
    pipeline.webhooks.answer_after(429, Duration::from_hours(24));
    pipeline.post_event("held").await;
    pipeline.consume().await;
    pipeline.deliver().await;
    let held = pipeline.only_head();
    let (id, delivery) = held.deliveries.first_key_value().unwrap();
    assert_eq!(delivery.next_at, START.after(Duration::from_hours(24)));
    pipeline.post_event("other").await;
    pipeline.run_until(START.after(Duration::from_mins(2))).await;
    assert_eq!(pipeline.webhooks.received().len(), 2, "the other event is sent at once");
    pipeline.run_until_quiet().await;
    let held = pipeline.tables.head(&pipeline.tenant, held.id).unwrap();
    assert_eq!(held.deliveries[id].state, DeliveryState::Delivered);
    assert!(pipeline.clock.now() >= START.after(Duration::from_hours(24)));
}

#[tokio::test]
async fn an_event_reaches_a_throttled_endpoint_after_its_burst_was_parked() {
    let pipeline = Pipeline::with_endpoints(1);
    let id = Pipeline::endpoint(1).id;
    pipeline.tables.change_endpoint(&pipeline.tenant, &id, |endpoint| {
        endpoint.health.throttle = Some(Throttle { refused_per_hour: 120, at: START });
    });
    for n in 0..10 {
        pipeline.post_event(&format!("order-{n}")).await;
    }
    pipeline.consume().await;
    pipeline.deliver().await;
    assert_eq!(pipeline.webhooks.received().len(), 1, "one per minute");
    assert_eq!(pipeline.tables.parked().len(), 9);
    pipeline.run_until_quiet().await;
    let at = pipeline.webhooks.received_at();
    let waited = at[9].since(at[0]);
    println!("ten events at one to two per minute: {waited:?}");
    assert!(waited >= Duration::from_mins(5) && waited <= Duration::from_mins(12), "{waited:?}");
    let heads = pipeline.tables.all_heads();
    assert!(heads.iter().all(|(_, head)| head.status == Status::Delivered));
    assert_eq!((pipeline.tables.parked(), pipeline.tables.endpoint_rows()), (vec![], vec![]));
}

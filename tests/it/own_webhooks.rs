//! An endpoint that leads back to this API starts nothing, and a test of an endpoint is short.

use std::time::Duration;

use domain::endpoint::EndpointState;
use serde_json::{Value, json};
use store::clock::Clock;
use tokio::join;
use tokio::time::Instant;

use crate::endpoints::{create, patch};
use crate::pipeline::Pipeline;
use crate::support::client::Tenant;
use crate::support::configs::OWN_HOST;

fn test_path() -> String {
    format!("/api/endpoints/{}/test", Pipeline::endpoint(1).id.as_str())
}

#[test]
fn a_webhook_that_comes_back_to_this_api_starts_nothing() {
    let tenant = Tenant::new();
    let body = json!({"url": "https://hooks.example.com/a", "headers": {"x-api-key": tenant.key}});
    let made = create(&tenant, &body);
    let id = made["id"].as_str().unwrap();
    let test = format!("/api/endpoints/{id}/test");
    let other_name = tenant.place.url().replace("127.0.0.1", "localhost"); // not the host that configures the endpoint
    for path in [test.as_str(), "/api/keys/rotate", "/api/events", "/api/events/batch"] {
        patch(&tenant, id, &json!({"url": format!("{other_name}{path}")}));
        let attempt = tenant.post(&test, "").expect(200).json();
        assert_eq!(attempt["status"], 403, "{path}: {attempt}");
        assert!(attempt["answer"].as_str().unwrap().contains("own-webhook"), "{path}: {attempt}");
    }
    tenant.get("/api/endpoints").expect(200); // the key was not rotated
}

#[test]
fn the_host_of_the_request_is_refused_as_a_url() {
    let tenant = Tenant::new();
    let own = format!("{}/api/events", tenant.place.url());
    let made = create(&tenant, &json!({"url": "https://hooks.example.com/a"}));
    let path = format!("/api/endpoints/{}", made["id"].as_str().unwrap());
    let json = [("content-type", "application/json")];
    for (method, path, member) in [
        ("POST", "/api/endpoints", "url"),
        ("PATCH", &path, "url"),
        ("POST", "/api/webhook/config", "webhook_url"),
    ] {
        let body = json!({member: own}).to_string();
        let document = tenant.call(method, path, &json, body).problem(422, "invalid");
        assert_eq!(document["errors"][0]["pointer"], format!("/{member}"), "{method} {path}");
        assert!(document["detail"].as_str().unwrap().contains("this API"), "{document}");
    }
}

#[tokio::test]
async fn a_host_of_the_configuration_is_refused_as_a_url_and_gets_no_request() {
    let pipeline = Pipeline::with_endpoints(1);
    let url = format!("https://{OWN_HOST}/v1/api/events");
    let refused = pipeline.post_json("/api/endpoints", json!({"url": url})).await;
    assert_eq!((refused.status.as_u16(), &refused.body["errors"][0]["pointer"]), (422, &json!("/url")));

    pipeline.tables.change_endpoint(&pipeline.tenant, &Pipeline::endpoint(1).id, |endpoint| {
        endpoint.url.clone_from(&url); // as it may have been configured before
    });
    let attempt = pipeline.call("POST", &test_path(), &Value::Null).await;
    assert_eq!((attempt.status.as_u16(), &attempt.body["error"]), (200, &json!("url_refused")));
    let explained = pipeline.post_json("/api/explain", json!({"type": "order.created", "payload": 1})).await;
    let shown = &explained.body["endpoints"][0];
    assert_eq!((&shown["would"], &shown["request"]), (&json!("fail"), &Value::Null), "{shown}");
    pipeline.post_event("one").await;
    pipeline.consume().await;
    pipeline.deliver().await;
    assert_eq!(pipeline.only_head().attempts(), 1);
    assert!(pipeline.webhooks.received().is_empty());
}

#[tokio::test]
async fn a_paused_and_a_disabled_endpoint_are_not_tested() {
    for (is_paused, state, words) in
        [(true, EndpointState::Active, "paused"), (false, EndpointState::Disabled, "enable")]
    {
        let pipeline = Pipeline::with_endpoints(1);
        pipeline.tables.change_endpoint(&pipeline.tenant, &Pipeline::endpoint(1).id, |endpoint| {
            endpoint.is_paused = is_paused;
            endpoint.state = state;
        });
        let refused = pipeline.call("POST", &test_path(), &Value::Null).await;
        assert_eq!(refused.status, 409, "{:?}", refused.body);
        assert_eq!(refused.body["type"], "urn:triggers:problem:endpoint-inactive");
        assert!(refused.body["detail"].as_str().unwrap().contains(words), "{:?}", refused.body);
        assert!(pipeline.webhooks.received().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_test_waits_five_seconds_for_a_receiver_that_does_not_answer() {
    let pipeline = Pipeline::with_endpoints(1);
    pipeline.webhooks.hang();
    let began = Instant::now();
    let attempt = pipeline.call("POST", &test_path(), &Value::Null).await;
    assert_eq!((attempt.status.as_u16(), &attempt.body["error"]), (200, &json!("timed_out")));
    assert_eq!(began.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_has_one_test_at_a_time_in_all_instances() {
    let pipeline = Pipeline::with_endpoints(1);
    pipeline.webhooks.hang();
    let (path, other) = (test_path(), pipeline.start_api());
    let one = pipeline.call("POST", &path, &Value::Null);
    let another = pipeline.call_instance(&other, "POST", &path, &Value::Null);
    let (one, another) = join!(one, another);
    let (first, second) = if one.status == 200 { (one, another) } else { (another, one) };
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 429), "{:?}", second.body);
    assert_eq!(second.headers["retry-after"], "6");
    assert_eq!(second.body["type"], "urn:triggers:problem:rate-limited");
    assert_eq!(pipeline.call("POST", &path, &Value::Null).await.status, 200, "the turn is given back");
}

#[tokio::test]
async fn the_turn_of_a_test_that_crashed_ends_by_itself_and_stays_with_the_next() {
    let (pipeline, turn) = (Pipeline::with_endpoints(1), Duration::from_secs(6));
    let ends = pipeline.clock.now().after(turn);
    pipeline.limits.start_test(&pipeline.tenant, pipeline.clock.now(), ends).await.unwrap();
    assert_eq!(pipeline.call("POST", &test_path(), &Value::Null).await.status, 429);
    pipeline.clock.advance(turn);
    let next_ends = ends.after(turn);
    pipeline.limits.start_test(&pipeline.tenant, ends, next_ends).await.unwrap();
    pipeline.limits.end_test(&pipeline.tenant, ends).await.unwrap(); // the first one was only slow
    assert_eq!(pipeline.call("POST", &test_path(), &Value::Null).await.status, 429);
    pipeline.limits.end_test(&pipeline.tenant, next_ends).await.unwrap();
    assert_eq!(pipeline.call("POST", &test_path(), &Value::Null).await.status, 200);
}

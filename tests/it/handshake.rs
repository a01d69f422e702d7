//! The ownership handshake: a receiver is asked before its URL is set. It is optional.

use std::time::Duration;

use domain::delivery::verdict::failure::Failure;
use domain::endpoint::handshake::Reply;
use serde_json::{Value, json};
use tokio::join;

use crate::endpoints::{create, patch};
use crate::pipeline::{Pipeline, Response};
use crate::support::client::Tenant;
use crate::support::configs::OWN_HOST;
use crate::support::receiver::{Answer, Receiver};

const URL: &str = "https://receiver.example.com/hook";
const OTHER: &str = "https://other.example.com/hook";

/// A reply that allows this rate to every origin.
fn allowing(rate: &str) -> Reply {
    Reply { code: 200, allowed_origin: Some("*".to_owned()), allowed_rate: Some(rate.to_owned()) }
}

fn refused(response: &Response, pointer: &str, words: &str) {
    assert_eq!(response.status.as_u16(), 422, "{:?}", response.body);
    assert_eq!(response.body["errors"][0]["pointer"], pointer, "{:?}", response.body);
    let detail = response.body["detail"].as_str().unwrap();
    assert!(detail.contains(words), "{detail}");
}

async fn create_at(pipeline: &Pipeline, url: &str) -> Response {
    pipeline.post_json("/api/endpoints", json!({"url": url, "handshake": true})).await
}

async fn change(pipeline: &Pipeline, created: &Value, body: Value) -> Response {
    let path = format!("/api/endpoints/{}", created["id"].as_str().unwrap());
    pipeline.call("PATCH", &path, &body).await
}

#[test]
fn a_receiver_that_allows_the_origin_gets_events_and_a_silent_one_does_not() {
    let tenant = Tenant::new();
    let allowed =
        Answer::status(200).header("WebHook-Allowed-Origin", OWN_HOST).header("WebHook-Allowed-Rate", "120");
    let receiver = Receiver::with_script([allowed, Answer::status(200)]);
    let made = create(&tenant, &json!({"url": receiver.url(), "handshake": true, "rate_per_second": 10}));
    assert_eq!((&made["handshake"], &made["allowed_rate_per_minute"]), (&json!(true), &json!(120)));
    assert!(made["handshake_at"].is_string(), "{made}");
    let asked = receiver.received().remove(0).request;
    assert_eq!((asked.method.as_str(), asked.target.as_str(), asked.body.len()), ("OPTIONS", "/hook", 0));
    assert_eq!(asked.header("webhook-request-origin"), Some(OWN_HOST), "{:?}", asked.headers);
    assert_eq!(asked.header("webhook-request-rate"), Some("600"));
    assert!(asked.header("webhook-signature").is_none());
    tenant.post_event(r#"{"type":"order.created","payload":1}"#).expect(202);
    assert_eq!(receiver.wait_for(2)[1].request.method, "POST");

    let json = [("content-type", "application/json")];
    for (answer, words) in [
        (Answer::status(405), "it answered HTTP 405"),
        (Answer::status(200), "has no `WebHook-Allowed-Origin`"),
        (Answer::status(200).header("WebHook-Allowed-Origin", "example.com"), "another origin"),
    ] {
        let silent = Receiver::with_script([answer]);
        let body = json!({"url": silent.url(), "handshake": true, "event_types": ["other"]}).to_string();
        let problem = tenant.call("POST", "/api/endpoints", &json, body).problem(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/url", "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
        let made = create(&tenant, &json!({"url": silent.url(), "event_types": ["other"]}));
        assert_eq!((&made["handshake"], &made["handshake_at"]), (&json!(false), &Value::Null));
        assert_eq!(silent.received().len(), 1, "without `handshake` the receiver is not asked");
    }
    let gone = patch(&tenant, made["id"].as_str().unwrap(), &json!({"handshake": false}));
    assert_eq!(gone["handshake"], false);
    assert_eq!(gone["allowed_rate_per_minute"], 120, "the permission of the URL stays");
}

#[tokio::test]
async fn the_permission_belongs_to_the_url_and_can_be_renewed() {
    let pipeline = Pipeline::with_endpoints(0);
    pipeline.webhooks.reply(Ok(allowing("120")));
    let made = create_at(&pipeline, URL).await;
    assert_eq!((made.status.as_u16(), &made.body["allowed_rate_per_minute"]), (201, &json!(120)));

    // Another URL is not set without permission.
    refused(&change(&pipeline, &made.body, json!({"url": OTHER})).await, "/url", "HTTP 405");
    pipeline.webhooks.reply(Err(Failure::ConnectionRefused));
    refused(&change(&pipeline, &made.body, json!({"url": OTHER})).await, "/url", "refused the connection");
    let unchanged = change(&pipeline, &made.body, json!({"description": "unchanged"})).await;
    assert_eq!(
        (&unchanged.body["url"], &unchanged.body["allowed_rate_per_minute"]),
        (&json!(URL), &json!(120))
    );

    // The receiver changes its rate.
    pipeline.webhooks.reply(Ok(allowing("*")));
    let renewed = change(&pipeline, &made.body, json!({"handshake": true})).await;
    assert_eq!((renewed.status.as_u16(), &renewed.body["allowed_rate_per_minute"]), (200, &Value::Null));
    refused(&change(&pipeline, &made.body, json!({"handshake": true})).await, "/handshake", "HTTP 405");

    // Without the handshake, another URL has no permission.
    let other = change(&pipeline, &made.body, json!({"handshake": null, "url": OTHER})).await;
    assert_eq!((&other.body["handshake"], &other.body["handshake_at"]), (&json!(false), &Value::Null));
    let asked: Vec<String> =
        pipeline.webhooks.asked().iter().map(|(url, _)| url.as_str().to_owned()).collect();
    assert_eq!(asked, [URL, OTHER, OTHER, URL, URL]);
}

#[tokio::test]
async fn a_tenant_can_demand_it_of_all_its_endpoints() {
    let pipeline = Pipeline::with_endpoints(0);
    let made = pipeline.post_json("/api/endpoints", json!({"url": URL})).await;
    let demands = pipeline.call("PATCH", "/api/tenant", &json!({"handshake": true})).await;
    assert_eq!((demands.status.as_u16(), &demands.body["handshake"]), (200, &json!(true)));

    let config = json!({"webhook_url": OTHER});
    refused(&pipeline.post_json("/api/webhook/config", config.clone()).await, "/webhook_url", "HTTP 405");
    refused(&pipeline.post_json("/api/endpoints", json!({"url": OTHER})).await, "/url", "HTTP 405");
    refused(&change(&pipeline, &made.body, json!({"url": OTHER})).await, "/url", "HTTP 405");
    let off = json!({"handshake": false});
    refused(&change(&pipeline, &made.body, off).await, "/handshake", "the tenant demands");
    let kept = change(&pipeline, &made.body, json!({"paused": true})).await;
    assert_eq!((kept.status.as_u16(), &kept.body["handshake"]), (200, &json!(false)), "its URL stays");

    for _ in 0..2 {
        pipeline.webhooks.reply(Ok(allowing("60")));
        let set = pipeline.post_json("/api/webhook/config", config.clone()).await;
        assert_eq!(set.status.as_u16(), 200, "{:?}", set.body);
    }
    let listed = pipeline.call("GET", "/api/endpoints", &Value::Null).await;
    let default =
        &listed.body["endpoints"].as_array().unwrap().iter().find(|one| one["url"] == OTHER).unwrap();
    assert_eq!((&default["handshake"], &default["allowed_rate_per_minute"]), (&json!(true), &json!(60)));
    pipeline.call("PATCH", "/api/tenant", &json!({"handshake": null})).await;
    assert_eq!(pipeline.post_json("/api/endpoints", json!({"url": format!("{OTHER}/2")})).await.status, 201);
}

#[tokio::test]
async fn a_url_that_changes_during_the_handshake_is_not_taken_for_the_permitted_one() {
    let pipeline = Pipeline::with_endpoints(0);
    let made = pipeline.post_json("/api/endpoints", json!({"url": URL})).await;
    let id = made.body["id"].as_str().unwrap().to_owned();
    let (tables, tenant) = (pipeline.tables.clone(), pipeline.tenant.clone());
    pipeline.webhooks.reply(Ok(allowing("*")));
    pipeline.webhooks.during_next(move || {
        let id = domain::endpoint::id::EndpointId::parse(&id).unwrap();
        tables.change_endpoint(&tenant, &id, |endpoint| OTHER.clone_into(&mut endpoint.url));
    });
    let late = change(&pipeline, &made.body, json!({"handshake": true})).await;
    assert_eq!(late.status.as_u16(), 503, "{:?}", late.body);
    let listed = pipeline.call("GET", "/api/endpoints", &Value::Null).await;
    let shown = &listed.body["endpoints"][0];
    assert_eq!((&shown["url"], &shown["handshake_at"]), (&json!(OTHER), &Value::Null));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_is_left_after_five_seconds_and_a_tenant_asks_one_at_a_time() {
    let pipeline = Pipeline::with_endpoints(0);
    pipeline.webhooks.hang();
    let begun = tokio::time::Instant::now();
    let (one, another) = join!(create_at(&pipeline, URL), create_at(&pipeline, OTHER));
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    let (hung, busy) = if one.status == 422 { (one, another) } else { (another, one) };
    refused(&hung, "/url", "did not answer in time");
    assert_eq!((busy.status.as_u16(), &busy.headers["retry-after"]), (429, &"6".parse().unwrap()));
}

#[tokio::test]
async fn the_allowed_rate_holds_below_one_request_per_second() {
    let pipeline = Pipeline::with_endpoints(0);
    pipeline.webhooks.reply(Ok(allowing("6")));
    assert_eq!(create_at(&pipeline, URL).await.status, 201);
    for number in 0..4 {
        pipeline.post_event(&number.to_string()).await;
    }
    pipeline.consume().await;
    pipeline.deliver().await;
    let at_once = pipeline.webhooks.received().len();
    assert_eq!(at_once, 1, "one request in ten seconds");
}

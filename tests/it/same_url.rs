//! The same URL in two endpoints of a tenant: refused where a type matches both, since the receiver would get it twice.

use serde_json::{Value, json};

use crate::pipeline::{Pipeline, Response};

const URL: &str = "https://receiver.example.com/hook";

async fn create(pipeline: &Pipeline, url: &str, patterns: &[&str]) -> Response {
    pipeline.post_json("/api/endpoints", json!({"url": url, "event_types": patterns})).await
}

fn id(created: &Response) -> String {
    assert_eq!(created.status.as_u16(), 201, "{:?}", created.body);
    created.body["id"].as_str().unwrap().to_owned()
}

fn refuses(response: &Response, other: &str) {
    assert_eq!(response.status.as_u16(), 409, "{:?}", response.body);
    assert_eq!(response.body["type"], "urn:triggers:problem:endpoint-exists");
    assert!(response.body["detail"].as_str().unwrap().contains(other), "{:?}", response.body);
}

#[tokio::test]
async fn fifty_endpoints_with_one_url_are_one() {
    let pipeline = Pipeline::with_endpoints(0);
    let first = id(&create(&pipeline, URL, &["*"]).await);
    for _ in 1..50 {
        refuses(&create(&pipeline, URL, &["*"]).await, &first);
    }
    for spelling in ["https://RECEIVER.example.com/hook", "https://receiver.example.com:443/hook"] {
        refuses(&create(&pipeline, spelling, &["order.paid"]).await, &first);
    }
    pipeline.post_event("one").await;
    pipeline.consume().await;
    pipeline.deliver().await;
    assert_eq!(pipeline.webhooks.received().len(), 1);
}

#[tokio::test]
async fn patterns_without_a_common_type_may_share_a_url() {
    let pipeline = Pipeline::with_endpoints(0);
    let orders = id(&create(&pipeline, URL, &["order.*"]).await);
    let invoices = id(&create(&pipeline, URL, &["invoice.*"]).await);
    let elsewhere = id(&create(&pipeline, "https://receiver.example.com/hook?a=1", &["*"]).await);
    let patch =
        async |id: &str, body: Value| pipeline.call("PATCH", &format!("/api/endpoints/{id}"), &body).await;
    refuses(&patch(&invoices, json!({"event_types": ["*.paid"]})).await, &orders);
    refuses(&patch(&elsewhere, json!({"url": URL})).await, "ep_"); // the one or the other
    assert_eq!(patch(&invoices, json!({"event_types": ["invoice.paid"]})).await.status.as_u16(), 200);
    refuses(&pipeline.post_json("/api/webhook/config", json!({"webhook_url": URL})).await, "ep_");
}

#[tokio::test]
async fn endpoints_that_shared_a_url_before_can_be_changed_otherwise() {
    let pipeline = Pipeline::with_endpoints(2);
    let ids = [1, 2].map(|number| Pipeline::endpoint(number).id);
    for id in &ids {
        pipeline.tables.change_endpoint(&pipeline.tenant, id, |endpoint| URL.clone_into(&mut endpoint.url));
    }
    let path = format!("/api/endpoints/{}", ids[0]);
    assert_eq!(pipeline.call("PATCH", &path, &json!({"paused": true})).await.status.as_u16(), 200);
    refuses(&pipeline.call("PATCH", &path, &json!({"event_types": ["a*"]})).await, ids[1].as_str());
}

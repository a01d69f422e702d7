//! A tenant whose inbox takes only matched events, leases that are given back, and leases that end without a word.

use std::time::Duration;

use domain::inbox::Status;
use serde_json::{Value, json};

use crate::api_crashes::ids;
use crate::pipeline::Pipeline;
use crate::support::client::Tenant;
use crate::support::eventually;

fn change(tenant: &Tenant, body: &Value) -> Value {
    let json = ("content-type", "application/json");
    tenant.call("PATCH", "/api/tenant", &[json], body.to_string()).expect(200).json()
}

#[test]
fn an_event_that_no_endpoint_wants_is_in_the_log_alone_where_the_inbox_takes_matched_ones() {
    let tenant = Tenant::new();
    assert_eq!(tenant.get("/api/tenant").expect(200).json()["inbox"], "all");
    let before = tenant.accepted("a");
    tenant.shown_as("pending", &before);
    assert_eq!(change(&tenant, &json!({"inbox": "matched"}))["inbox"], "matched");
    let unmatched = tenant.accepted("a");
    tenant.stored_as("unmatched", &unmatched);
    assert_eq!(tenant.inbox_ids(""), [before.as_str()], "what was in the inbox stays");
    let read = tenant.get(&format!("/api/events/{unmatched}")).expect(200).json();
    assert_eq!((&read["status"], &read["payload"]), (&json!("unmatched"), &json!({"n": 1})));
    let log = tenant.get("/api/events?status=unmatched").expect(200).json();
    assert_eq!(log["events"].as_array().unwrap().len(), 1);
    let pending = || tenant.get("/api/stats").expect(200).json();
    let stats = eventually("both are counted", || Some(pending()).filter(|stats| stats["stored"] == 2));
    assert_eq!((&stats["pending"], &stats["max_pending"]), (&json!(1), &json!(100_000)));
    assert_eq!(tenant.post("/api/inbox/lease", "").expect(200).json()["results"][0]["id"], json!(before));
    assert_eq!(tenant.post("/api/inbox/lease", "").expect(200).json()["results"], json!([]));

    // It is kept, so it can be sent to an endpoint that is made later.
    let made =
        tenant.post("/api/endpoints", json!({"url": "http://127.0.0.1:1", "paused": true}).to_string());
    let endpoint = made.expect(201).id();
    let replay = json!({"endpoint_id": endpoint}).to_string();
    tenant.post(&format!("/api/events/{unmatched}/replay"), replay).expect(202);
    tenant.stored_as("delivering", &unmatched);

    // The setting ends, and is refused under another name.
    assert_eq!(change(&tenant, &json!({"inbox": null}))["inbox"], "all");
    assert_eq!(tenant.get("/api/tenant").expect(200).json()["inbox"], "all");
    let json = ("content-type", "application/json");
    let refused = tenant.call("PATCH", "/api/tenant", &[json], json!({"inbox": "none"}).to_string());
    assert_eq!(refused.problem(422, "invalid")["errors"][0]["pointer"], "/inbox");
}

#[tokio::test]
async fn a_lease_that_is_given_back_never_leads_to_quarantine() {
    let pipeline = Pipeline::with_endpoints(0);
    pipeline.post_event("one").await;
    pipeline.consume().await;
    for round in 0..30 {
        let leased = pipeline.call("POST", "/api/inbox/lease", &json!({"lease_seconds": 60})).await;
        assert_eq!(ids(&leased).len(), 1, "round {round}");
        let lease = json!({"lease_id": leased.body["lease_id"]});
        let released = pipeline.call("POST", "/api/inbox/release", &lease).await;
        assert_eq!(released.body["released"].as_array().unwrap().len(), 1, "round {round}: {released:?}");
    }
    assert_eq!(pipeline.only_head().lease_count, 0);
}

/// The ids of the inbox's events with this filter.
async fn inbox(pipeline: &Pipeline, query: &str) -> Vec<String> {
    let page = pipeline.call("GET", &format!("/api/inbox{query}"), &Value::Null).await;
    crate::support::client::ids(&page.body)
}

#[tokio::test]
async fn an_event_that_is_leased_ten_times_in_vain_is_quarantined_until_it_is_released() {
    let pipeline = Pipeline::with_endpoints(0);
    pipeline.post_event("one").await;
    pipeline.consume().await;
    let lease = || pipeline.post_json("/api/inbox/lease", json!({"lease_seconds": 60}));
    for n in 1..=10 {
        let leased = lease().await;
        assert_eq!(leased.body["results"][0]["lease_count"], n);
        pipeline.clock.advance(Duration::from_mins(2)); // the lease ends without a word
    }
    assert_eq!(ids(&lease().await).len(), 0);
    let id = pipeline.only_head().id.to_string();
    let ours = std::slice::from_ref(&id);
    assert_eq!(inbox(&pipeline, "?status=quarantined").await, ours);
    assert_eq!(inbox(&pipeline, "?status=pending").await.len(), 0);
    assert_eq!(inbox(&pipeline, "").await, ours, "it is in the inbox all the same");
    let release = || pipeline.post_json("/api/inbox/release", json!({"event_ids": [id]}));
    assert_eq!(release().await.body["released"], json!([id]));
    assert_eq!(release().await.body["failed"], json!([{"id": id, "reason": "not-quarantined"}]));
    assert_eq!(lease().await.body["results"][0]["lease_count"], 1, "counted anew");
}

#[tokio::test]
async fn the_last_allowed_lease_that_is_given_back_leads_out_of_quarantine() {
    let pipeline = Pipeline::with_endpoints(0);
    pipeline.post_event("one").await;
    pipeline.consume().await;
    let lease = || pipeline.post_json("/api/inbox/lease", json!({"lease_seconds": 60}));
    for _ in 1..10 {
        lease().await;
        pipeline.clock.advance(Duration::from_mins(2));
    }
    let last = lease().await;
    assert_eq!(pipeline.only_head().status, Status::Quarantined);
    pipeline.post_json("/api/inbox/release", json!({"lease_id": last.body["lease_id"]})).await;
    let head = pipeline.only_head();
    assert_eq!((head.status, head.lease_count), (Status::Pending, 9));
}

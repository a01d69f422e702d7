//! A revoked key changes nothing that outlives it, not even where its cache still knows it.

use domain::tenant::api_key::Scope;
use serde_json::{Value, json};
use store::item::Item;

use crate::pipeline::Pipeline;

/// Every request that makes or changes something that stays when the key is gone, on this endpoint and this event.
pub(crate) fn lasting_changes(endpoint: &str, event: &str) -> Vec<(&'static str, String, Value)> {
    let endpoint = |tail: &str| format!("/api/endpoints/{endpoint}{tail}");
    let url = "https://hooks.example.com/other";
    vec![
        ("POST", "/api/endpoints".to_owned(), json!({"url": url})),
        ("POST", "/api/webhook/config".to_owned(), json!({"webhook_url": url})),
        ("PATCH", endpoint(""), json!({"url": url})),
        ("POST", endpoint("/rotate-secret"), json!({})),
        ("POST", endpoint("/enable"), Value::Null),
        ("POST", endpoint("/test"), Value::Null),
        ("POST", "/api/replays".to_owned(), json!({"since": "2023-01-01T00:00:00Z"})),
        ("POST", format!("/api/events/{event}/replay"), json!({})),
        ("POST", "/api/keys".to_owned(), json!({"name": "another", "scopes": ["inbox:read"]})),
        ("PATCH", "/api/tenant".to_owned(), json!({"retention_days": 1})),
        ("POST", "/api/keys/rotate".to_owned(), json!({})),
        ("DELETE", format!("/api/events/{event}"), Value::Null),
        ("DELETE", endpoint(""), Value::Null),
    ]
}

/// What is configured and what will be sent, without the audit trails: refused changes are in them.
pub(crate) fn configured(pipeline: &Pipeline) -> [Vec<Item>; 2] {
    let mut control = pipeline.tables.control.items();
    control.retain(|item| !item.text("pk").unwrap().ends_with("#audit"));
    [control, pipeline.tables.schedule.items()]
}

#[tokio::test]
async fn a_revoked_key_makes_nothing_from_the_moment_of_its_revocation() {
    // 1. Each of many instances knows the key.
    let (pipeline, event) = Pipeline::stored_event(1).await;
    pipeline.run_until_quiet().await;
    let scopes = Scope::ALL.map(Scope::as_str);
    let made = pipeline.post_json("/api/keys", json!({"name": "leaked", "scopes": scopes})).await.body;
    let text = |name: &str| made[name].as_str().expect("a text");
    let (leaked, nothing) = (("x-api-key", text("api_key")), Value::Null);
    let changes = lasting_changes(Pipeline::endpoint(1).id.as_str(), &event.to_string());
    let instances: Vec<_> = changes.iter().map(|_| pipeline.start_api()).collect();
    for instance in &instances {
        let known = pipeline.call_with(instance, leaked, "GET", "/api/inbox", &nothing).await;
        assert_eq!(known.status, 200);
    }

    // 2. It is revoked, and each still reads with it.
    let revoked = pipeline.call("DELETE", &format!("/api/keys/{}", text("id")), &nothing).await;
    assert_eq!(revoked.status, 204);
    let (before, sent) = (configured(&pipeline), pipeline.webhooks.received().len());
    for (instance, (method, path, body)) in instances.iter().zip(&changes) {
        let read = pipeline.call_with(instance, leaked, "GET", "/api/inbox", &nothing).await;
        assert_eq!(read.status, 200, "the cache still knows it");
        let refused = pipeline.call_with(instance, leaked, method, path, body).await;
        assert_eq!(refused.status, 401, "{method} {path}: {:?}", refused.body);
        assert_eq!(configured(&pipeline), before, "{method} {path}");
    }
    assert_eq!(pipeline.webhooks.received().len(), sent);
    assert_eq!(pipeline.only_head().id, event);
}

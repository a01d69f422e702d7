//! What owners could write before a rule forbade it: it is refused now, and what is stored goes on working.

use domain::testing::data_key;
use http::StatusCode;
use serde_json::json;

use crate::pipeline::Pipeline;

/// A secret of 24 zero bytes.
const GUESSABLE: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[tokio::test]
async fn an_endpoint_with_a_guessable_secret_and_a_header_of_proxies_still_gets_its_events() {
    let pipeline = Pipeline::with_endpoints(1);
    let id = Pipeline::endpoint(1).id;
    let stored =
        json!({"secret": GUESSABLE, "headers": [["x-forwarded-for", "192.0.2.1"], ["x-mine", "kept"]]})
            .to_string();
    let sealed = data_key().seal(&pipeline.tenant, id.as_str(), stored.as_bytes(), [9; 12]).unwrap();
    pipeline.tables.change_endpoint(&pipeline.tenant, &id, |endpoint| endpoint.sealed = sealed);
    pipeline.post_event("one").await;
    pipeline.run_until_quiet().await;
    let received = pipeline.webhooks.received();
    assert_eq!(received.len(), 1, "delivered at the first attempt");
    let header = |name: &str| {
        received[0].headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    };
    assert_eq!((header("x-forwarded-for"), header("x-mine")), (Some("192.0.2.1"), Some("kept")));
    assert!(header("webhook-signature").is_some());
    let head = pipeline.only_head();
    assert_eq!(head.deliveries[&id].state.as_str(), "delivered");
}

#[tokio::test]
async fn a_guessable_secret_is_refused_when_an_endpoint_is_created_and_when_its_secret_is_rotated() {
    let pipeline = Pipeline::with_endpoints(1);
    let create = json!({"url": "https://receiver.example.com/hook", "secret": GUESSABLE});
    let rotate = format!("/api/endpoints/{}/rotate-secret", Pipeline::endpoint(1).id);
    for (path, body) in [("/api/endpoints", create), (rotate.as_str(), json!({"secret": GUESSABLE}))] {
        let refused = pipeline.post_json(path, body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {}", refused.body);
        assert!(refused.body.to_string().contains("/secret"), "{}", refused.body);
    }
}

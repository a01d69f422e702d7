//! No log line has a secret or what a client sent: a canary in every field that holds one goes through all functions, also while any
//! one call to AWS fails, and no line has it.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use runtime::telemetry::subscriber;
use serde_json::{Value, json};
use store::testing::faults::Fault;
use tracing::level_filters::LevelFilter;

use crate::pipeline::Pipeline;
use crate::support::configs::ADMIN_TOKEN;
use crate::support::lines::Lines;

const GUIDE: &str = include_str!("../../docs/LOGGING.md");

/// What every canary contains.
const CANARY: &str = "canary";

/// The calls to AWS of which each fails once. The whole way has fewer.
const CALLS: usize = 260;

/// Sends a request to api with this credential, and returns the secrets that the answer shows.
async fn call(
    pipeline: &Pipeline,
    credential: (&str, &str),
    request: (&str, &str),
    body: Value,
) -> Vec<String> {
    let answer = pipeline.call_with(&pipeline.start_api(), credential, request.0, request.1, &body).await;
    let shown = ["api_key", "secret"].into_iter().filter_map(|name| answer.body[name].as_str());
    shown.map(str::to_owned).collect()
}

/// Sends every secret and every personal field to api; returns the secrets that were made.
async fn call_api(pipeline: &Pipeline) -> Vec<String> {
    let key = pipeline.key.expose().to_owned();
    let admin = ("x-admin-token", ADMIN_TOKEN);
    let own = ("x-api-key", key.as_str());
    let secret = format!("whsec_{}", BASE64.encode("canary of a secret of an endpoint"));
    let endpoint = json!({"url": "https://example.com/canary?token=canary", "secret": secret,
        "description": "canary", "headers": {"X-Canary": "canary"}, "event_types": ["order.*"]});
    let suspend = format!("/api/admin/tenants/{}/suspend", pipeline.tenant);
    let resume = format!("/api/admin/tenants/{}/resume", pipeline.tenant);
    let mut made = vec![secret];
    for (credential, request, body) in [
        (admin, ("POST", "/api/keys/generate"), json!({"organization_name": "canary"})),
        (("x-admin-token", "canary"), ("POST", "/api/keys/generate"), json!({"organization_name": "canary"})),
        (("x-api-key", "trg_canary"), ("GET", "/api/tenant"), Value::Null),
        (("authorization", "Bearer canary"), ("GET", "/api/tenant"), Value::Null),
        (own, ("POST", "/api/endpoints"), endpoint),
        (own, ("POST", "/api/endpoints"), json!({"url": "http://canary.internal/canary", "canary": 1})),
        (own, ("POST", "/api/keys"), json!({"name": "canary", "scopes": ["inbox:read"]})),
        (own, ("GET", "/api/events?cursor=canary"), Value::Null),
        (own, ("GET", "/api/inbox?canary=1"), Value::Null),
        (own, ("GET", "/api/canary"), Value::Null),
        (own, ("GET", "/api/events/evt_canary"), Value::Null),
        (own, ("POST", "/api/explain"), json!({"type": "order.canary", "payload": "canary"})),
        (admin, ("POST", suspend.as_str()), json!({"reason": "canary"})),
        (admin, ("POST", resume.as_str()), Value::Null),
    ] {
        made.extend(call(pipeline, credential, request, body).await);
    }
    made
}

/// Posts canaries in the body and in the headers, and lets the event be stored, delivered, replayed, exported and erased.
async fn send_events(pipeline: &Pipeline) {
    let event =
        json!({"type": "order.created", "payload": {"card": "canary"}, "dedup_id": "canary"}).to_string();
    let headers = [("idempotency-key", "canary"), ("user-agent", "canary"), ("cookie", "canary")];
    pipeline.post_with("/api/events", &headers, event.as_bytes()).await;
    let broken = r#"{"type":"order.canary","payload":"canary"#;
    for body in [broken, r#"{"type":"","payload":"canary","canary":1}"#, r#"{"type":"canary\n","payload":1}"#]
    {
        pipeline.post("/api/events", body).await;
        pipeline.post("/api/events/batch", &format!(r#"{{"events":[{body}]}}"#)).await;
        pipeline.post("/api/events?canary=canary", body).await;
    }
    let cloud =
        [("ce-specversion", "1.0"), ("ce-id", "canary"), ("ce-source", "/canary"), ("ce-type", "order.paid")];
    let more = [("ce-subject", "canary"), ("ce-canary", "canary"), ("traceparent", "canary")];
    pipeline.post_with("/api/events", &[&cloud[..], &more[..]].concat(), b"\"canary\"").await;
    pipeline.consume().await;
    pipeline.webhooks.answer(500);
    pipeline.deliver().await;
    pipeline.schedule().await;
    let key = pipeline.key.expose().to_owned();
    let own = ("x-api-key", key.as_str());
    for (request, body) in [
        (("POST", "/api/inbox/lease"), json!({"lease_limit": 10})),
        (("POST", "/api/inbox/ack"), json!({"lease_id": "lse_canary"})),
        (("POST", "/api/replays"), json!({"since": "2023-01-01T00:00:00Z"})),
        (("GET", "/api/export"), Value::Null),
        (("DELETE", "/api/tenant"), json!({"confirm": "canary"})),
    ] {
        call(pipeline, own, request, body).await;
    }
    pipeline.schedule().await;
}

/// Starts to keep the lines that handlers log at the level debug. The first line of a process decides for all threads who logs it.
fn logging(lines: &Lines) -> tracing::subscriber::DefaultGuard {
    let writer = lines.clone();
    let guard = tracing::subscriber::set_default(subscriber(LevelFilter::DEBUG, move || writer.clone()));
    tracing::callsite::rebuild_interest_cache();
    guard
}

/// Goes the whole way; returns all lines, and the secrets that no line may have.
async fn lines_of(pipeline: &Pipeline, lines: &Lines) -> (String, Vec<String>) {
    let mut secrets = call_api(pipeline).await;
    send_events(pipeline).await;
    secrets.push(pipeline.key.expose().to_owned());
    let own = pipeline.lines.lock().unwrap().join("\n");
    (format!("{own}\n{}", lines.take()), secrets)
}

#[tokio::test]
async fn no_line_has_a_secret_or_what_a_client_sent_whatever_fails() {
    let lines = Lines::default();
    let _logging = logging(&lines);
    let pipeline = Pipeline::with_endpoints(1);
    let (text, secrets) = lines_of(&pipeline, &lines).await;
    let received = pipeline.webhooks.received();
    let sent = received.iter().any(|webhook| webhook.headers.iter().any(|(_, value)| value == CANARY));
    assert!(sent && secrets.len() >= 5, "the canaries arrive: {secrets:?}");
    assert!(text.lines().count() > 40, "{text}");
    check(&text, &secrets);
    let calls = pipeline.faults.calls();
    assert!((100..CALLS).contains(&calls), "{calls} calls");
    for call in 0..calls {
        for fault in Fault::ALL {
            let pipeline = Pipeline::with_endpoints(1);
            pipeline.faults.fail_at(call, fault);
            let (text, secrets) = lines_of(&pipeline, &lines).await;
            check(&text, &secrets);
        }
    }
}

fn check(text: &str, secrets: &[String]) {
    for line in text.lines() {
        assert!(!line.to_lowercase().contains(CANARY), "{line}");
        assert!(secrets.iter().all(|secret| !line.contains(secret.as_str())), "{line}");
    }
}

#[tokio::test]
async fn each_member_of_a_line_is_described() {
    let lines = Lines::default();
    let _logging = logging(&lines);
    let (text, _) = lines_of(&Pipeline::with_endpoints(1), &lines).await;
    let mut functions = BTreeSet::new();
    for line in text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")) {
        functions.extend(line["function"].as_str().map(str::to_owned));
        for name in line.as_object().expect("an object").keys() {
            let is_problem = name.starts_with("rejected_");
            assert!(
                is_problem || GUIDE.contains(&format!("`{name}`")),
                "docs/LOGGING.md lacks {name}: {line}"
            );
        }
    }
    assert_eq!(functions.len(), 4, "{functions:?}");
}

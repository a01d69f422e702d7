//! What a request without a valid key may cost: nothing, or one call of AWS.

use std::sync::Arc;
use std::time::Duration;

use api::deps::Api;
use api::router::{answer, router};
use axum::Router;
use axum::body::{Body, to_bytes};
use domain::tenant::api_key::{ApiKey, Pepper};
use domain::tenant::tier::Tier;
use domain::testing::{START, key_of, tenant};
use domain::timestamp::Timestamp;
use http::Request;
use serde_json::{Value, json};
use store::testing::clock::FixedClock;
use store::testing::faults::Faults;
use store::testing::memory::Memory;
use store::testing::table::usage::Operation;

use crate::support::belongings::never;
use crate::support::client::Reply;
use crate::support::configs;
use crate::support::lines::Lines;
use crate::support::openapi::{Kind, operations};

/// One instance of api, which counts its calls of AWS.
pub(crate) struct Instance {
    pub(crate) faults: Faults,
    pub(crate) ports: Memory,
    clock: FixedClock,
    api: Arc<Api<Memory>>,
    router: Router,
}

impl Instance {
    pub(crate) fn new() -> Self {
        let (faults, clock) = (Faults::default(), FixedClock::at(START));
        let ports = Memory::new(&faults, &clock);
        let api = Arc::new(Api::new(&ports, configs::api()));
        Self { router: router(Arc::clone(&api)), faults, ports, clock, api }
    }

    /// Returns a key that is in the table.
    fn good_key(&self) -> String {
        let (key, record) = key_of(&tenant(), Tier::Free);
        self.ports.tables.put_key(&key.hash(&Pepper::new("pepper")), &record);
        key.expose().to_owned()
    }

    /// Returns the number of keys that were read from the table.
    fn key_reads(&self) -> u64 {
        self.ports.tables.control.usage().calls_of(Operation::Get)
    }

    /// Sends one request; returns the reply and the number of calls of AWS.
    pub(crate) async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (Reply, usize) {
        self.send(method, path, headers, "{}").await
    }

    /// Sends one request with this body; returns the reply and the number of calls of AWS.
    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> (Reply, usize) {
        let before = self.faults.calls();
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = answer(&self.api, self.router.clone(), request, path, "request").await;
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        let reply = Reply { status: head.status.as_u16(), headers: head.headers, body };
        (reply, self.faults.calls() - before)
    }
}

#[tokio::test]
async fn a_flood_of_readiness_checks_asks_aws_once_in_five_seconds() {
    let instance = Instance::new();
    let mut calls = Vec::new();
    for second in [0, 0, 1, 4, 5, 6, 9, 10] {
        instance.clock.set(Timestamp::from_seconds(START.seconds() + second));
        let (reply, made) = instance.call("GET", "/health/ready", &[]).await;
        reply.expect(200);
        calls.push(made);
    }
    assert_eq!(calls, [2, 0, 0, 0, 2, 0, 0, 2]);
}

#[tokio::test]
async fn invented_keys_remove_no_good_key_from_the_cache() {
    let instance = Instance::new();
    let good = instance.good_key();
    instance.call("GET", "/api/keys", &[("x-api-key", &good)]).await.0.expect(200);
    for _ in 0..10_001 {
        let invented = ApiKey::generate(&mut rand::rng());
        let (reply, calls) = instance.call("GET", "/api/nothing", &[("x-api-key", invented.expose())]).await;
        assert_eq!((reply.status, calls), (404, 1));
    }
    let before = instance.key_reads();
    let (reply, _) = instance.call("GET", "/api/nothing", &[("x-api-key", &good)]).await;
    assert!(reply.header("ratelimit").is_some(), "the key is good");
    assert_eq!(instance.key_reads(), before, "the key is still in the cache");
}

/// Returns other spellings of a path.
fn spellings(path: &str) -> Vec<String> {
    let (parent, last) = path.rsplit_once('/').expect("a path");
    let encoded = path[1..].replace('/', "%2F");
    vec![
        path.to_owned(),
        format!("{path}/"),
        format!("{path}//"),
        format!("/{path}"),
        format!("//{path}"),
        format!("{parent}//{last}"),
        format!("{parent}/./{last}"),
        format!("{parent}/x/../{last}"),
        format!("{parent}%2f{last}"),
        format!("/{encoded}"),
        format!("/%2F{encoded}"),
        format!("{}%{:02x}{}", &path[..1], path.as_bytes()[1], &path[2..]),
        format!("{path}%00"),
        format!("{path}%"),
        format!("\\{path}"),
        path.to_uppercase(),
        path[1..].to_owned(),
    ]
}

#[tokio::test]
async fn however_a_path_is_spelled_it_is_metered_or_not_found_without_a_call() {
    let instance = Instance::new();
    let open = ["/health", "/metrics", "/openapi.json", "/.well-known/"];
    let mut metered = 0;
    for operation in operations() {
        let ids = operation.slots().iter().map(|slot| (slot.name, never(slot.kind))).collect();
        let target = operation.request(&ids).target;
        let path = target.split('?').next().expect("a path");
        for spelled in spellings(path) {
            let case = format!("{} {spelled}", operation.method);
            let good = instance.good_key(); // some operations delete it
            let (reply, calls) = instance.call(operation.method, &spelled, &[("x-api-key", &good)]).await;
            let is_metered = reply.header("ratelimit").is_some();
            metered += usize::from(is_metered);
            let is_open = open.iter().any(|open| path.starts_with(open)) && calls <= 2;
            assert!(
                is_metered || is_open || (reply.status == 404 && calls == 0),
                "{case}: {reply:?} {calls}"
            );
        }
    }
    assert!(metered > 100, "{metered}");
}

#[tokio::test]
async fn an_encoded_slash_or_an_empty_segment_is_part_of_no_id() {
    let instance = Instance::new();
    let good = instance.good_key();
    for path in ["/api/events/a%2Freplay", "/api/events/a%2freplay", "/api//events/a", "//api/events/a"] {
        let (reply, calls) = instance.call("GET", path, &[("x-api-key", &good)]).await;
        assert_eq!((reply.status, reply.header("ratelimit"), calls), (404, None, 0), "{path}");
    }
}

#[tokio::test]
async fn a_request_without_a_valid_key_costs_one_call_at_most() {
    for operation in operations() {
        let ids = operation.slots().iter().map(|slot| (slot.name, never(slot.kind))).collect();
        let target = operation.request(&ids).target;
        let path = target.split('?').next().expect("a path");
        let allowed = match operation.name().as_str() {
            "GET /health/ready" => [2, 0, 0],
            "DELETE /api/tenant" => [0, 0, 2], // the key may have begun an erasure
            _ => [0, 0, 1],
        };
        let instance = Instance::new();
        let invented = ApiKey::generate(&mut rand::rng());
        let keys = [None, Some("trg_live_nonsense"), Some(invented.expose())];
        for spelled in spellings(path) {
            for (key, most) in keys.into_iter().zip(allowed) {
                let header: Vec<_> = key.into_iter().map(|key| ("x-api-key", key)).collect();
                let (reply, calls) = instance.call(operation.method, &spelled, &header).await;
                assert!(calls <= most, "{} {spelled} {key:?}: {calls} {}", operation.method, reply.status);
            }
            instance.clock.advance(Duration::from_secs(5)); // an unknown key is read again
        }
    }
}

#[tokio::test]
async fn an_invented_receipt_costs_nothing_and_a_real_one_is_read_ten_times_a_second() {
    let instance = Instance::new();
    let good = instance.good_key();
    let (erased, _) =
        instance.send("DELETE", "/api/tenant", &[("x-api-key", &good)], r#"{"confirm":"A tenant"}"#).await;
    let erased = erased.expect(202).json();
    let url = erased["receipt_url"].as_str().unwrap();
    let get = async |url: &str| instance.call("GET", url, &[]).await;
    for _ in 0..10 {
        let (receipt, calls) = get(url).await;
        assert_eq!(
            (receipt.expect(200).json()["erasure_id"].clone(), calls),
            (erased["erasure_id"].clone(), 1)
        );
    }
    let (refused, calls) = get(url).await;
    refused.problem(429, "rate-limited");
    assert_eq!((refused.retry_after(), calls), (1, 0));
    for _ in 0..100 {
        let (absent, calls) = get(&format!("/api/erasures/{}", never(Kind::Erasure))).await;
        absent.problem(404, "not-found");
        assert_eq!(calls, 0);
    }

    // The version before issued ids without a tag. One of them is read in a second.
    let untagged = &url[..url.len() - 43];
    let (receipt, _) = get(untagged).await;
    assert_eq!(receipt.expect(200).json()["state"], "running");
    let (refused, calls) = get(untagged).await;
    refused.problem(429, "rate-limited");
    assert_eq!(calls, 0);
    instance.clock.advance(Duration::from_secs(1));
    get(untagged).await.0.expect(200);
    get(url).await.0.expect(200);
}

#[tokio::test]
async fn a_log_line_has_the_route_and_the_caller_and_nothing_that_was_sent() {
    let lines = Lines::default();
    let writer = lines.clone();
    let logger = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone());
    let instance = Instance::new();
    instance.call("GET", "/", &[]).await.0.expect(404); // the first line of a process decides for all threads who logs it
    let _logging = tracing::subscriber::set_default(logger.finish());
    tracing::callsite::rebuild_interest_cache();
    let good = instance.good_key();
    let lengthy = format!("/api/events/{}", "secret".repeat(1000));
    let pasted = format!("/api/events/{good}/replay");
    let query = [("x-api-key", good.as_str())];
    for (method, path, status, route) in [
        ("GET", "/api/keys", 200, "GET /api/keys"),
        ("GET", lengthy.as_str(), 404, "GET /api/events/{id}"),
        ("POST", pasted.as_str(), 404, "POST /api/events/{id}/replay"),
        ("PUT", pasted.as_str(), 405, "PUT /api/events/{id}/replay"),
        ("GET", "/secret/secret", 404, "GET (no route)"),
        ("GET", "//api/secret", 404, "GET (no route)"),
        ("SECRET", "/api/keys", 405, "other /api/keys"),
    ] {
        instance.call(method, path, &query).await.0.expect(status);
        let line = lines.take();
        let is_secret = |text: &str| line.to_lowercase().contains(&text.to_lowercase());
        assert!(line.len() < 500 && !is_secret("secret") && !is_secret(&good), "{line}");
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["route"], route);
        if path.starts_with("/api/") {
            assert!(line["tenant"].as_str().is_some_and(|tenant| tenant.starts_with("org_")), "{line}");
            assert!(line["key"].as_str().is_some_and(|key| key.starts_with("key_")), "{line}");
        }
        let action = (method == "POST").then_some("event.replay");
        assert_eq!((line["action"].as_str(), line["subject"].as_str()), (action, None), "{line}");
    }
    let event = never(Kind::Event);
    instance.call("DELETE", &format!("/api/events/{event}"), &query).await.0.expect(404);
    let line = lines.take();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["action"], &line["subject"]), (&json!("event.delete"), &json!(event)));
    assert_eq!((&line["status"], line["request_id"].is_string()), (&json!(404), true), "{line}");
}

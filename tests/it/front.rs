//! What every request meets first: headers that protect the reader of the answer, and documents that caches keep.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use http::HeaderMap;
use lambda_http::lambda_runtime::{Context, LambdaEvent, Service};
use lambda_http::{Error, Request, service_fn};
use runtime::answer::{self, PROTECTION};
use runtime::gateway;
use serde_json::{Value, json};

use crate::support::client::{Tenant, call};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Checks that an answer has all headers that protect its reader.
fn assert_protected(headers: &HeaderMap, case: &str) {
    for (name, value) in PROTECTION {
        assert_eq!(headers.get(name).and_then(|value| value.to_str().ok()), Some(value), "{case}: {name}");
    }
}

#[test]
fn no_answer_is_cached_or_sniffed_or_asked_for_again_without_tls() {
    let tenant = Tenant::new();
    for (method, path, body, status) in [
        ("POST", "/api/events", r#"{"type":"a","payload":1}"#, 202),
        ("POST", "/api/events", "{", 400),
        ("POST", "/api/events/batch", r#"{"events":[{"type":"a","payload":1}]}"#, 202),
        ("GET", "/api/keys", "", 200),
        ("GET", "/api/export", "", 200),
        ("GET", "/api/nothing", "", 404),
        ("PUT", "/api/keys", "", 405),
        ("GET", "/api/inbox?limit=0", "", 422),
        ("GET", "/health", "", 200),
        ("GET", "/metrics", "", 200),
    ] {
        let reply = tenant.call(method, path, &[JSON], body).expect(status);
        assert_protected(&reply.headers, &format!("{method} {path}"));
    }
    let events = format!("{}/api/events", tenant.place.url());
    assert_protected(&call("POST", &events, &[JSON], "{}").expect(401).headers, "without a key");
}

#[test]
fn a_request_without_a_valid_form_and_what_the_gateway_answers_itself_are_protected_too() {
    let handler = service_fn(|_: Request| async { Ok::<_, Error>(answer::no_content()) });
    let payload = serde_json::from_value(json!({"httpMethod": "GE T"})).unwrap();
    let called = gateway::service(handler).call(LambdaEvent::new(payload, Context::default()));
    let refused: Value =
        serde_json::to_value(futures_util::FutureExt::now_or_never(called).unwrap().unwrap()).unwrap();
    assert_eq!(refused["statusCode"], 400);
    let template = include_str!("../../template.yaml");
    let responses: Vec<&str> = template.lines().filter(|line| line.contains("ResponseParameters:")).collect();
    assert!(responses.len() >= 5, "{responses:?}");
    for (name, value) in PROTECTION {
        assert_eq!(refused["headers"][name], value);
        let of_template = |line: &str| line.to_ascii_lowercase().contains(&format!("{name}: \"'{value}'\""));
        assert!(responses.iter().all(|line| of_template(line)), "{name}");
    }
}

/// Decodes gzip.
fn gunzip(body: &[u8]) -> String {
    let mut text = String::new();
    MultiGzDecoder::new(body).read_to_string(&mut text).expect("gzip of a text");
    text
}

#[test]
fn the_document_is_compressed_and_sent_only_to_clients_that_lack_it() {
    let tenant = Tenant::new();
    let get = |headers: &[(&str, &str)]| tenant.call("GET", "/openapi.json", headers, "");
    let plain = get(&[("accept-encoding", "identity")]).expect(200);
    let gzip = get(&[("accept-encoding", "br, gzip;q=0.5")]).expect(200);
    assert_eq!(gunzip(&gzip.body), plain.text());
    assert!(gzip.body.len() * 5 < plain.body.len(), "{} bytes of {}", gzip.body.len(), plain.body.len());
    assert_eq!((plain.header("content-encoding"), gzip.header("content-encoding")), (None, Some("gzip")));
    let tag = plain.header("etag").expect("a tag").to_owned();
    let has_it = get(&[("if-none-match", &format!("\"other\", {tag}"))]).expect(304);
    assert_eq!(has_it.text(), "");
    for reply in [&plain, &gzip, &has_it] {
        assert_eq!(reply.header("etag"), Some(tag.as_str()));
        assert_eq!(reply.header("cache-control"), Some("public, max-age=300"));
        assert_eq!(reply.header("vary"), Some("accept-encoding"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
    get(&[("if-none-match", "W/\"other\"")]).expect(200);
    get(&[("if-none-match", tag.trim_start_matches("W/"))]).expect(304);
}

//! What is refused, how that is told, and that nothing of it is stored.

use std::slice;

use domain::event::{MAX_BODY_BYTES, MAX_PAYLOAD_BYTES};
use domain::tenant::tier::Tier;
use domain::testing;

use crate::support::client::{Reply, Tenant, call};
use crate::support::tables;

const JSON: (&str, &str) = ("content-type", "application/json");
const GOOD: &str = r#"{"type":"a","payload":1}"#;

/// Checks a 422 that names the member at fault.
#[track_caller]
fn invalid_at(reply: &Reply, pointer: &str) {
    let document = reply.problem(422, "invalid");
    assert_eq!(document["errors"][0]["pointer"], pointer, "{document}");
    assert!(document["errors"][0]["detail"].is_string(), "{document}");
}

/// Checks that a tenant has nothing stored: an event sent afterwards is the only one.
#[track_caller]
fn nothing_is_stored_of(tenant: &Tenant) {
    let later = tenant.accepted("later");
    tenant.shown_as("pending", &later);
    assert_eq!(tenant.inbox_ids(""), slice::from_ref(&later));
    let stored: Vec<String> = tables::all_stored(tenant, 1).into_iter().map(|head| head.id).collect();
    assert_eq!(stored, [later]);
}

#[test]
fn a_body_that_is_no_json_is_malformed() {
    let tenant = Tenant::new();
    for body in
        ["", "{", "nope", r#"{"type":"a","payload":1"#, r#"{"type":"a","payload":1} {}"#, "{'type':'a'}"]
    {
        tenant.post_event(body).problem(400, "malformed");
    }
    tenant.post_event(b"{\"type\":\"a\",\"payload\":\"\xff\"}".as_slice()).problem(400, "malformed");
    nothing_is_stored_of(&tenant);
}

#[test]
fn a_member_that_is_missing_or_breaks_its_rule_is_pointed_at() {
    let tenant = Tenant::new();
    invalid_at(&tenant.post_event(r#"{"payload":1}"#), "/type");
    invalid_at(&tenant.post_event(r#"{"type":"a"}"#), "/payload");
    for bad_type in [r#""""#, r#""a\n""#, "7", "null", "{}"] {
        invalid_at(&tenant.post_event(format!(r#"{{"type":{bad_type},"payload":1}}"#)), "/type");
    }
    invalid_at(&tenant.post_event(format!(r#"{{"type":"{}","payload":1}}"#, "x".repeat(256))), "/type");
    for bad_name in [r#""""#, "7", r#""\u00e9""#, &format!("\"{}\"", "x".repeat(256))] {
        let body = format!(r#"{{"type":"a","payload":1,"dedup_id":{bad_name}}}"#);
        invalid_at(&tenant.post_event(body), "/dedup_id");
    }
    tenant.post_event(r#"{"type":"a","payload":1,"unknown":2}"#).problem(422, "invalid");
    tenant.post_event("[]").problem(422, "invalid");
    let long_name = "x".repeat(256);
    let headers = [JSON, ("idempotency-key", long_name.as_str())];
    tenant.call("POST", "/api/events", &headers, GOOD).problem(422, "invalid");
    nothing_is_stored_of(&tenant);
}

#[test]
fn another_content_type_or_an_encoding_is_refused() {
    let tenant = Tenant::new();
    let refused = [
        ("content-type", "text/plain"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-type", "application/xml"),
    ];
    for header in refused {
        tenant.call("POST", "/api/events", &[header], GOOD).problem(415, "unsupported-media-type");
        tenant.call("POST", "/api/events/batch", &[header], "{}").problem(415, "unsupported-media-type");
    }
    let packed = [JSON, ("content-encoding", "br")];
    tenant.call("POST", "/api/events", &packed, GOOD).problem(415, "unsupported-media-type");
    nothing_is_stored_of(&tenant);
}

#[test]
fn one_byte_more_than_256_kib_of_payload_or_64_kib_around_it_is_too_large() {
    let tenant = Tenant::new();
    let payload = format!("\"{}\"", "x".repeat(MAX_PAYLOAD_BYTES - 1));
    assert_eq!(payload.len(), 256 * 1024 + 1);
    tenant.post_event(format!(r#"{{"type":"a","payload":{payload}}}"#)).problem(413, "too-large");
    let around = format!("{}{GOOD}", " ".repeat(MAX_BODY_BYTES + 1 - GOOD.len()));
    assert_eq!(around.len(), 320 * 1024 + 1);
    tenant.post_event(around).problem(413, "too-large");
    nothing_is_stored_of(&tenant);
}

#[test]
fn a_missing_a_mistyped_and_an_unknown_key_cannot_be_told_apart() {
    let tenant = Tenant::new();
    let (unknown, _) = testing::key_of(&testing::tenant(), Tier::Pro);
    let mistyped = tenant.key.replacen("trg_live_", "trg_live_x", 1);
    let url = &tenant.place.url();
    let answers = |method: &str, path: &str| {
        let call = |header: &[(&str, &str)]| {
            let headers = [&[JSON], header].concat();
            let mut document =
                call(method, &format!("{url}{path}"), &headers, GOOD).problem(401, "unauthorized");
            document["instance"].take();
            document
        };
        [
            call(&[]),
            call(&[("x-api-key", "")]),
            call(&[("x-api-key", "nonsense")]),
            call(&[("x-api-key", &mistyped)]),
            call(&[("x-api-key", unknown.expose())]),
            call(&[("authorization", "Bearer nonsense")]),
            call(&[("authorization", &format!("Basic {}", tenant.key))]),
        ]
    };
    for (method, path) in [("POST", "/api/events"), ("POST", "/api/events/batch"), ("POST", "/api/ack/evt_1")]
    {
        let answers = answers(method, path);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    }
    nothing_is_stored_of(&tenant);
}

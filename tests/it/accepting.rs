//! An event is accepted: the 202, what it tells, and what is kept.

use domain::event::MAX_PAYLOAD_BYTES;
use domain::event::id::EventId;
use serde_json::{Value, json};

use crate::support::client::{Reply, Tenant};
use crate::support::tables;

#[test]
fn an_accepted_event_is_answered_with_its_id_and_waits_in_the_inbox() {
    let tenant = Tenant::new();
    let reply =
        tenant.post_event(r#"{"type":"order.created","payload":{"n":1},"dedup_id":"order 1"}"#).expect(202);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(reply.header("x-request-id").is_some_and(|id| !id.is_empty()));
    let id = EventId::parse(&reply.id()).expect("an event id");
    let at = id.accepted_at().to_string();
    assert_eq!(reply.json(), json!({"id": reply.id(), "status": "accepted", "accepted_at": at}));

    let shown = tenant.shown_as("pending", &reply.id());
    assert_eq!(
        shown,
        json!({
            "id": reply.id(), "type": "order.created", "event_type": "order.created", "payload": {"n": 1},
            "created_at": at, "status": "pending", "delivery_status": "pending", "attempts": 0,
            "dedup_id": "order 1",
        })
    );
}

#[test]
fn an_event_without_a_dedup_id_shows_none() {
    let tenant = Tenant::new();
    let id = tenant.accepted("a");
    assert_eq!(tenant.shown_as("pending", &id).get("dedup_id"), None);
}

#[test]
fn the_key_may_come_as_a_bearer_token() {
    let tenant = Tenant::new();
    let bearer = format!("Bearer {}", tenant.key);
    let url = format!("{}/api/events", tenant.place.url());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json; charset=utf-8")];
    crate::support::client::call("POST", &url, &headers, r#"{"type":"a","payload":null}"#).expect(202);
}

#[test]
fn any_json_value_can_be_a_payload() {
    let tenant = Tenant::new();
    for payload in ["null", "true", "7", "\"\"", "[]", "{}", " [ 1 ,2 ] "] {
        let id = tenant.post_event(format!(r#"{{"type":"a","payload":{payload}}}"#)).expect(202).id();
        let value: Value = serde_json::from_str(payload).unwrap();
        assert_eq!(tenant.shown_as("pending", &id)["payload"], value);
    }
}

#[test]
fn a_payload_of_exactly_256_kib_is_accepted_and_kept_byte_for_byte() {
    let tenant = Tenant::new();
    // Digits that follow no pattern: they hardly compress, as the worst payload does not.
    let digits = (0u64..).flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string().into_bytes());
    let text = String::from_utf8(digits.take(MAX_PAYLOAD_BYTES - 2).collect()).unwrap();
    let body = format!(r#"{{"type":"large","payload":"{text}"}}"#);
    assert_eq!(body.len() - r#"{"type":"large","payload":}"#.len(), 256 * 1024);
    let id = tenant.post_event(body).expect(202).id();
    assert_eq!(tenant.shown_as("pending", &id)["payload"], text);
    assert_eq!(tables::all_stored(&tenant, 1).len(), 1);
}

#[test]
fn every_answer_to_a_post_tells_where_the_tenant_stands() {
    let check = |reply: &Reply| {
        let number = |name| reply.header(name).and_then(|text| text.parse::<u32>().ok()).unwrap();
        let (limit, remaining, reset) =
            (number("x-ratelimit-limit"), number("x-ratelimit-remaining"), number("x-ratelimit-reset"));
        assert_eq!(limit, 1000);
        assert!(remaining < limit, "{remaining}");
        assert!((1..=60).contains(&reset), "{reset}");
        assert_eq!(reply.header("ratelimit-policy"), Some("\"events\";q=1000;w=60"));
        assert_eq!(reply.header("ratelimit"), Some(format!("\"events\";r={remaining};t={reset}").as_str()));
    };
    let tenant = Tenant::new();
    check(&tenant.post_event(r#"{"type":"a","payload":1}"#).expect(202));
    check(&tenant.post_event("{").expect(400));
    check(&tenant.post("/api/events/batch", r#"{"events":[{"type":"a","payload":1}]}"#).expect(202));
}

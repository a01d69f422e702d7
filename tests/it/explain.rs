//! What would become of an event.

use domain::event::MAX_PAYLOAD_BYTES;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use crate::support::client::Tenant;
use crate::support::eventually;
use crate::support::receiver::Receiver;

fn create(tenant: &Tenant, body: &Value) -> Value {
    tenant.post("/api/endpoints", body.to_string()).expect(201).json()
}

fn explain(tenant: &Tenant, body: &Value) -> Value {
    tenant.post("/api/explain", body.to_string()).expect(200).json()
}

/// What is said of this endpoint.
fn of<'a>(explained: &'a Value, endpoint: &Value) -> &'a Value {
    let all = explained["endpoints"].as_array().expect("a list");
    all.iter().find(|one| one["endpoint_id"] == endpoint["id"]).expect("the endpoint")
}

fn headers(request: &Value) -> HeaderMap {
    let headers = request["headers"].as_object().expect("headers").iter();
    let header = |(name, value): (&String, &Value)| {
        let value = HeaderValue::from_str(value.as_str().expect("a text")).expect("a header's value");
        (name.parse::<HeaderName>().expect("a header's name"), value)
    };
    headers.map(header).collect()
}

#[test]
fn each_endpoint_shows_the_request_it_would_get_and_gets_none() {
    let (tenant, receiver) = (Tenant::new(), Receiver::answering(200));
    let orders = create(
        &tenant,
        &json!({"url": receiver.url(), "event_types": ["invoice.*", "order.*", "*"],
        "headers": {"Authorization": "Bearer opaque", "X-Shop": "berlin"}}),
    );
    let paused =
        create(&tenant, &json!({"url": receiver.url_of("/paused"), "event_types": ["order.created"]}));
    let path = format!("/api/endpoints/{}", paused["id"].as_str().unwrap());
    tenant.call("PATCH", &path, &[("content-type", "application/json")], r#"{"paused":true}"#).expect(200);
    let other = create(&tenant, &json!({"url": receiver.url_of("/users"), "event_types": ["user.*"]}));

    let body = r#"{"type":"order.created","payload":{"b": 1.50, "a":"é"}}"#;
    let reply = tenant.post("/api/explain", body).expect(200);
    assert!(!reply.text().contains("opaque") && !reply.text().contains("berlin"), "{}", reply.text());
    let explained = reply.json();
    assert_eq!(explained["type"], "order.created");
    assert_eq!(explained["endpoints"].as_array().map(Vec::len), Some(3));

    let shown = of(&explained, &orders);
    assert_eq!((&shown["matches"], &shown["matched_pattern"]), (&json!(true), &json!("order.*")));
    assert_eq!((&shown["state"], &shown["would"]), (&json!("active"), &json!("send")));
    let request = &shown["request"];
    assert_eq!((&request["method"], &request["url"]), (&json!("POST"), &json!(receiver.url())));
    let sent = request["body"].as_str().unwrap();
    assert!(sent.contains(r#""payload":{"b": 1.50, "a":"é"}}"#), "{sent}");
    let headers = headers(request);
    let webhook = Webhook::new(orders["secret"].as_str().unwrap()).unwrap();
    webhook.verify(sent.as_bytes(), &headers).expect("it is genuine");
    webhook.verify(b"{}", &headers).expect_err("of this body alone");
    assert_eq!(serde_json::from_str::<Value>(sent).unwrap()["id"], headers["webhook-id"].to_str().unwrap());
    for (name, value) in [
        ("x-event-type", "order.created"),
        ("content-type", "application/json"),
        ("authorization", "(hidden)"),
        ("x-shop", "(hidden)"),
    ] {
        assert_eq!(headers[name], value);
    }

    let shown = of(&explained, &paused);
    assert_eq!((&shown["state"], &shown["would"]), (&json!("paused"), &json!("park")));
    assert_eq!(shown["matched_pattern"], "order.created");
    assert!(shown["request"]["body"].is_string());
    let shown = of(&explained, &other);
    assert_eq!((&shown["matches"], &shown["matched_pattern"]), (&json!(false), &json!(null)));
    assert_eq!((&shown["would"], &shown["request"]), (&json!("nothing"), &json!(null)));

    let marker = tenant.accepted("user.created");
    tenant.stored_as("delivered", &marker);
    let ids: Vec<String> = receiver.received().iter().map(|webhook| webhook.id().to_owned()).collect();
    assert_eq!(ids, [marker.clone(), marker], "nothing but the event that was posted, at both that want it");
    assert!(tenant.inbox_ids("").is_empty());
}

#[test]
fn the_request_that_is_sent_has_the_headers_that_were_shown() {
    let (tenant, receiver) = (Tenant::new(), Receiver::answering(200));
    create(&tenant, &json!({"url": receiver.url(), "headers": {"X-Shop": "berlin"}}));
    let explained = explain(&tenant, &json!({"type": "a", "payload": 1}));
    tenant.accepted("a");
    let sent = &receiver.wait_for(1)[0];
    let shown = headers(&explained["endpoints"][0]["request"]);
    for name in shown.keys() {
        let changes = ["webhook-id", "webhook-timestamp", "webhook-signature", "x-event-id", "x-shop"];
        let value = sent.header(name.as_str());
        assert!(changes.contains(&name.as_str()) || shown[name] == value, "{name}: {value}");
    }
    let of_the_connection = ["host", "content-length"];
    for (name, _) in &sent.request.headers {
        assert!(shown.contains_key(name.as_str()) || of_the_connection.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn a_signature_is_shown_only_to_a_key_that_can_post_events() {
    let (tenant, receiver) = (Tenant::new(), Receiver::answering(200));
    create(&tenant, &json!({"url": receiver.url()}));
    let event = json!({"type": "a", "payload": 1});
    for (scopes, hidden) in [
        (&["endpoints:admin"][..], json!(["webhook-signature"])),
        (&["endpoints:admin", "events:write"], json!([])),
    ] {
        let explained = explain(&tenant.further_key(scopes), &event);
        assert_eq!(explained["hidden_headers"], hidden);
        let headers = headers(&explained["endpoints"][0]["request"]);
        assert_eq!(headers.contains_key("webhook-signature"), hidden == json!([]), "{headers:?}");
        assert!(headers.contains_key("webhook-id"), "{headers:?}");
    }
}

#[test]
fn an_endpoint_that_is_down_or_gone_would_not_get_it_now() {
    let (tenant, down, gone) = (Tenant::new(), Receiver::answering(500), Receiver::answering(410));
    let down = create(&tenant, &json!({"url": down.url(), "event_types": ["down"]}));
    let gone = create(&tenant, &json!({"url": gone.url(), "event_types": ["gone"]}));
    (0..5).for_each(|_| drop(tenant.accepted("down")));
    tenant.accepted("gone");
    let about = |event_type, endpoint, state: &str| {
        eventually(&format!("it is {state}"), || {
            let shown = of(&explain(&tenant, &json!({"type": event_type, "payload": 1})), endpoint).clone();
            (shown["state"] == state).then_some(shown)
        })
    };
    let shown = about("down", &down, "open");
    assert!(shown["would"] == "park" && shown["request"]["body"].is_string(), "{shown}");
    let shown = about("gone", &gone, "disabled");
    assert!(shown["would"] == "fail" && shown["request"].is_null() && shown["matches"] == true, "{shown}");
}

#[test]
fn what_is_no_event_is_told_as_it_would_be_if_it_were_posted() {
    let tenant = Tenant::new();
    let large = |bytes: usize| format!(r#"{{"type":"a","payload":"{}"}}"#, "x".repeat(bytes - 2));
    let deep = format!(r#"{{"type":"a","payload":{}1{}}}"#, "[".repeat(33), "]".repeat(33));
    let too_large = large(MAX_PAYLOAD_BYTES + 1);
    for body in [
        "",
        "{",
        "[]",
        r#"{"type":"a\n","payload":1}"#,
        r#"{"payload":1}"#,
        r#"{"type":"a"}"#,
        r#"{"type":"a","payload":{"a":1,"a":2}}"#,
        r#"{"type":"a","payload":1,"more":1}"#,
        r#"{"type":"a","payload":1,"dedup_id":""}"#,
        &deep,
        &too_large,
    ] {
        let told = ["/api/events", "/api/explain"].map(|path| {
            let mut document = tenant.post(path, body).json();
            document["instance"].take();
            document
        });
        assert!(told[0]["status"].is_u64(), "{}", told[0]);
        assert_eq!(told[0], told[1]);
    }
    tenant.post("/api/explain", large(MAX_PAYLOAD_BYTES)).expect(200);
    let text = [("content-type", "text/plain")];
    tenant.call("POST", "/api/explain", &text, large(100)).problem(415, "unsupported-media-type");
    let writer = tenant.further_key(&["events:write"]);
    writer.post("/api/explain", r#"{"type":"a","payload":1}"#).problem(403, "forbidden");
}

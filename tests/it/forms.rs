//! The forms in which real senders post events: content types, encodings, types of events, sizes.

use std::io::Write;

use domain::event::{MAX_BODY_BYTES, MAX_PAYLOAD_BYTES};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::client::{Reply, Tenant};
use crate::support::receiver::Receiver;

const GOOD: &str = r#"{"type":"a","payload":1}"#;

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(body, 3).unwrap()
}

fn post(tenant: &Tenant, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Reply {
    tenant.call("POST", path, headers, body)
}

/// The detail of a refusal with this status, if it names all of these.
#[track_caller]
fn refused(reply: &Reply, status: u16, names: &[&str]) {
    let document = reply.json();
    assert_eq!(reply.status, status, "{document}");
    let detail = document["detail"].as_str().unwrap();
    assert!(names.iter().all(|name| detail.contains(name)), "{detail}");
}

#[test]
fn json_is_accepted_under_each_of_its_content_types_and_without_one() {
    let tenant = Tenant::new();
    let batch = format!(r#"{{"events":[{GOOD}]}}"#);
    for content_type in [
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "Application/Json ; Charset=Utf-8",
        "application/vnd.api+json",
        "application/problem+json; charset=utf-8",
        "",
    ] {
        let headers = [("content-type", content_type)];
        post(&tenant, "/api/events", &headers, GOOD).expect(202);
        post(&tenant, "/api/events/batch", &headers, batch.as_str()).expect(202);
    }
    post(&tenant, "/api/events", &[], GOOD).expect(202);
    post(&tenant, "/api/events/batch", &[], batch).expect(202);
    post(&tenant, "/api/keys", &[], r#"{"name":"a","scopes":["inbox:read"]}"#).expect(201);
}

#[test]
fn a_body_is_accepted_plain_or_compressed() {
    let tenant = Tenant::new();
    let batch = format!(r#"{{"events":[{GOOD},{GOOD}]}}"#);
    for (encoding, encode) in [
        ("", <[u8]>::to_vec as fn(&[u8]) -> Vec<u8>),
        ("identity", <[u8]>::to_vec),
        ("Identity", <[u8]>::to_vec),
        ("gzip", gzip),
        ("GZIP", gzip),
        ("zstd", zstd),
    ] {
        let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
        let id = post(&tenant, "/api/events", &headers, encode(GOOD.as_bytes())).expect(202).id();
        assert_eq!(tenant.shown_as("pending", &id)["payload"], 1, "{encoding}");
        post(&tenant, "/api/events/batch", &headers, encode(batch.as_bytes())).expect(202);
        let key = encode(br#"{"name":"a","scopes":["inbox:read"]}"#);
        post(&tenant, "/api/keys", &headers, key).expect(201);
    }
    let ce = [("content-encoding", "gzip"), ("content-type", "text/plain"), ("ce-specversion", "1.0")];
    let ce = [&ce[..], &[("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "a")]].concat();
    let id = post(&tenant, "/api/events", &ce, gzip(b"text")).expect(202).id();
    assert_eq!(tenant.shown_as("pending", &id)["payload"]["data"], "text");
}

#[test]
fn the_limits_hold_for_what_is_decoded() {
    let tenant = Tenant::new();
    for (encoding, encode) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("zstd", zstd)] {
        let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
        let spaces = |bytes: usize| format!("{}{GOOD}", " ".repeat(bytes - GOOD.len()));
        post(&tenant, "/api/events", &headers, encode(spaces(MAX_BODY_BYTES).as_bytes())).expect(202);
        for bytes in [MAX_BODY_BYTES + 1, 100_000_000] {
            let bomb = encode(spaces(bytes).as_bytes());
            assert!(bomb.len() < 200_000, "{}", bomb.len());
            refused(&post(&tenant, "/api/events", &headers, bomb.clone()), 413, &["327680"]);
            if bytes > 2_000_000 {
                refused(&post(&tenant, "/api/events/batch", &headers, bomb), 413, &["1048576"]);
            }
        }
        refused(&post(&tenant, "/api/events", &headers, GOOD), 400, &[encoding]);
        let cut = encode(GOOD.as_bytes());
        refused(&post(&tenant, "/api/events", &headers, &cut[..cut.len() - 2]), 400, &[encoding]);
    }
    let headers = [("content-encoding", "br")];
    refused(&post(&tenant, "/api/events", &headers, GOOD), 415, &["`br`", "`gzip`", "`zstd`", "`identity`"]);
}

#[test]
fn a_byte_order_mark_before_a_body_is_accepted() {
    let tenant = Tenant::new();
    let id = tenant.post_event(format!("\u{feff}{GOOD}")).expect(202).id();
    assert_eq!(tenant.shown_as("pending", &id)["payload"], 1);
    tenant.post("/api/events/batch", format!("\u{feff}{{\"events\":[{GOOD}]}}")).expect(202);
    let ce = "\u{feff}{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"a\"}";
    post(&tenant, "/api/events", &[("content-type", "application/cloudevents+json")], ce).expect(202);
}

#[test]
fn a_cloudevent_may_name_the_type_of_its_data_twice() {
    let tenant = Tenant::new();
    let event = |id, data_type| {
        let ce = [("ce-specversion", "1.0"), ("ce-id", id), ("ce-source", "/s"), ("ce-type", "a")];
        let types = [("content-type", "application/json"), ("ce-datacontenttype", data_type)];
        post(&tenant, "/api/events", &[&ce[..], &types].concat(), "1")
    };
    let id = event("1", "application/json").expect(202).id();
    assert_eq!(tenant.shown_as("pending", &id)["payload"]["datacontenttype"], "application/json");
    refused(&event("2", "text/plain"), 422, &["ce-datacontenttype", "Content-Type"]);
}

#[test]
fn a_type_has_printable_characters_of_any_script_from_the_post_to_the_webhook() {
    let (tenant, receiver) = (Tenant::new(), Receiver::answering(200));
    let pattern = json!({"url": receiver.url(), "event_types": ["Scheduled *", "注文.*", "*é*"]});
    tenant.post("/api/endpoints", pattern.to_string()).expect(201);
    for (event_type, header, query) in [
        ("Scheduled Event", "Scheduled%20Event", "Scheduled+Event"),
        ("注文.作成", "%E6%B3%A8%E6%96%87.%E4%BD%9C%E6%88%90", "%E6%B3%A8%E6%96%87.%E4%BD%9C%E6%88%90"),
        ("50% \"é\"", "50%25%20%22%C3%A9%22", "50%25%20%22%C3%A9%22"),
    ] {
        let id = tenant.accepted(event_type);
        tenant.stored_as("delivered", &id);
        let webhook = receiver.received().into_iter().find(|webhook| webhook.id() == id).unwrap();
        assert_eq!(webhook.header("x-event-type"), header);
        let body: Value = serde_json::from_str(webhook.text()).unwrap();
        assert_eq!(body["type"], event_type);
        let page = tenant.get(&format!("/api/events?type={query}")).expect(200).json();
        assert_eq!(page["events"][0]["id"], id);

        let ce = [("ce-specversion", "1.0"), ("ce-id", header), ("ce-source", "/s"), ("ce-type", header)];
        let id = post(&tenant, "/api/events", &ce, "").expect(202).id();
        assert_eq!(tenant.stored_as("delivered", &id).id, id);
    }
    let other = tenant.accepted("自由");
    assert_eq!(tenant.shown_as("pending", &other)["type"], "自由");
    let (lease, cursor) = (json!({"types": ["自由"]}), tenant.inbox("?type=%E8%87%AA%E7%94%B1&limit=1"));
    assert_eq!(cursor["events"][0]["id"], other);
    let leased = tenant.post("/api/inbox/lease", lease.to_string()).expect(200).json();
    assert_eq!(leased["results"][0]["id"], other);
    tenant.post_event(json!({"type": "é".repeat(255), "payload": 1}).to_string()).expect(202);
    for bad in ["", "a\n", "\u{202e}a", &"é".repeat(256)] {
        let reply = tenant.post_event(json!({"type": bad, "payload": 1}).to_string());
        refused(&reply, 422, &["`type`", "1 to 255 printable characters"]);
    }
}

#[test]
fn an_item_that_is_no_json_harms_no_neighbour() {
    let tenant = Tenant::new();
    let items: [&[u8]; 6] = [
        GOOD.as_bytes(),
        b"{\"type\":\"a\",\"payload\":\"\xff\"}",
        b"{\"type\":\"a\",\"payload\":}",
        b"{\"type\":\"a\",\"payload\":nul}",
        b"{\"type\":\"a\",\"payload\":\"\xed\xa0\x80,]}\"}",
        GOOD.as_bytes(),
    ];
    let batch = [b"{ \"events\" : [", items.join(&b", "[..]).as_slice(), b"] }"].concat();
    let answer = tenant.post("/api/events/batch", batch).expect(207).json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(2), &json!(4)), "{answer}");
    let statuses: Vec<_> = (0..6).map(|index| answer["results"][index]["error"]["status"].as_u64()).collect();
    assert_eq!(statuses, [None, Some(400), Some(400), Some(400), Some(400), None]);
    let ce = br#"{"specversion":"1.0","id":"1","source":"/s","type":"a"}"#;
    let batch = [b"[", &ce[..], b",{\"id\":\"\xff\"}]"].concat();
    let headers = [("content-type", "application/cloudevents-batch+json")];
    let answer = post(&tenant, "/api/events", &headers, batch).expect(207).json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(1), &json!(1)), "{answer}");
    for broken in ["{\"events\":[{\"type\":\"a]}", "{\"events\":[{]}]}", "{\"events\":[1,]}"] {
        tenant.post("/api/events/batch", broken).problem(400, "malformed");
    }
}

#[test]
fn the_data_of_a_cloudevent_has_the_size_of_a_payload() {
    let tenant = Tenant::new();
    let ce = |id| [("ce-specversion", "1.0"), ("ce-id", id), ("ce-source", "/s"), ("ce-type", "a")];
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    post(&tenant, "/api/events", &ce("1"), text(MAX_PAYLOAD_BYTES)).expect(202);
    refused(&post(&tenant, "/api/events", &ce("2"), text(MAX_PAYLOAD_BYTES + 1)), 413, &["262144"]);
    let whole = |id: &str, bytes: usize| {
        let event =
            format!(r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"a","data":{}}}"#, text(bytes));
        post(&tenant, "/api/events", &[("content-type", "application/cloudevents+json")], event)
    };
    let id = whole("3", MAX_PAYLOAD_BYTES).expect(202).id();
    assert_eq!(tenant.shown_as("pending", &id)["payload"]["id"], "3");
    refused(&whole("4", MAX_PAYLOAD_BYTES + 1), 413, &["262144"]);
}

#[test]
fn a_limit_that_refuses_is_named_with_its_value() {
    let tenant = Tenant::new();
    let payload = |payload: String| tenant.post_event(format!(r#"{{"type":"a","payload":{payload}}}"#));
    let nested = format!("{}1{}", "[".repeat(33), "]".repeat(33));
    refused(&payload(nested), 422, &["/payload", "32"]);
    refused(&payload(format!("[{}1]", "1,".repeat(10_000))), 422, &["/payload", "10000"]);
    refused(&payload(format!("[{}]", "1".repeat(65))), 422, &["/payload/0", "64 characters"]);
    let long = "x".repeat(256);
    let named = json!({"type": "a", "payload": 1, "dedup_id": long}).to_string();
    refused(&tenant.post_event(named), 422, &["/dedup_id", "255"]);
    let key = [("idempotency-key", long.as_str())];
    refused(&post(&tenant, "/api/events", &key, GOOD), 422, &["Idempotency-Key", "255"]);
    let many = json!({"events": vec![1; 501]}).to_string();
    refused(&tenant.post("/api/events/batch", many), 422, &["501", "500"]);
    let deep = format!(r#"{{"name":{}1{}}}"#, "[".repeat(9), "]".repeat(9));
    refused(&tenant.post("/api/keys", deep), 422, &["8"]);
    let wide = format!(r#"{{"name":[{}1]}}"#, "1,".repeat(1000));
    refused(&tenant.post("/api/keys", wide), 422, &["1000"]);
    let large = format!("{}{{}}", " ".repeat(64 * 1024));
    refused(&tenant.post("/api/keys", large), 413, &["65536"]);
}

#[test]
fn a_whole_number_may_be_written_as_43_0() {
    let tenant = Tenant::new();
    let id = tenant.accepted("a");
    tenant.shown_as("pending", &id);
    let leased = tenant.post("/api/inbox/lease", r#"{"lease_seconds":43.0,"lease_limit":1.00}"#).expect(200);
    assert_eq!(leased.json()["results"][0]["id"], id);
    tenant.get("/api/inbox?limit=43.0").expect(200);
    for bad in ["43.5", "4.3e1", "\"43\"", "3601.0"] {
        let reply = tenant.post("/api/inbox/lease", format!(r#"{{"lease_seconds":{bad}}}"#));
        refused(&reply, 422, &["/lease_seconds", "whole number"]);
    }
    let event = r#"{"type":"a","payload":43.0}"#;
    let id = tenant.post_event(event).expect(202).id();
    tenant.shown_as("pending", &id);
    let shown = tenant.get("/api/inbox?type=a&limit=1").expect(200).text();
    assert!(shown.contains("\"payload\":43.0"), "{shown}");
}

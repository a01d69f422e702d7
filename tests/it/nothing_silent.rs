//! What a request asks for is done or refused: no parameter and no member is ignored without a word.

use serde_json::{Value, json};

use crate::endpoints::{create, patch};
use crate::pipeline::Pipeline;
use crate::support::client::Tenant;
use crate::support::receiver::{Answer, Receiver};

/// The detail of a refused query parameter.
#[track_caller]
fn refused(tenant: &Tenant, method: &str, path: &str, parameter: &str) -> String {
    let document = tenant.call(method, path, &[], "").problem(422, "invalid");
    assert_eq!(document["errors"][0]["parameter"], parameter, "{document}");
    document["detail"].as_str().unwrap().to_owned()
}

#[test]
fn an_unknown_or_repeated_query_parameter_is_refused_by_its_name() {
    let tenant = Tenant::new();
    let allowed = refused(&tenant, "GET", "/api/inbox?typ=a", "typ");
    assert!(allowed.contains("limit, cursor, type, event_type, status, delivery_status, order"), "{allowed}");
    refused(&tenant, "GET", "/api/inbox?type=a&type=b", "type");
    refused(&tenant, "GET", "/api/inbox?type=a&event_type=a", "event_type");
    refused(&tenant, "GET", "/api/stats?windows=1h", "windows");
    refused(&tenant, "GET", "/api/tenant?verbose=1", "verbose");
    refused(&tenant, "GET", "/api/export?since=2026-01-01T00:00:00Z", "since");
    refused(&tenant, "POST", "/api/inbox/lease?lease_limit=5", "lease_limit");
    refused(&tenant, "POST", "/api/events?dedup_id=order-1", "dedup_id");
    refused(&tenant, "POST", "/api/events/batch?&atomic", "atomic");
    refused(&tenant, "DELETE", "/api/events/evt_01a2095618d1778092754a4cca9c2500?force=1", "force");
    tenant.call("GET", "/health?now=1", &[], "").expect(200); // a probe may add what it likes
}

#[test]
fn a_method_that_a_path_lacks_is_405_with_all_its_methods_whatever_the_query_is() {
    let tenant = Tenant::new();
    for (method, path, allowed) in [
        ("PUT", "/api/events?since=1", "GET, HEAD, POST"),
        ("OPTIONS", "/api/events?cursor=", "GET, HEAD, POST"),
        ("POST", "/api/inbox?limit=5&x=1", "GET,HEAD"),
        ("GET", "/api/inbox/lease?limit=5", "POST"),
    ] {
        let reply = tenant.call(method, path, &[], "");
        reply.problem(405, "method-not-allowed");
        assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
    }
}

#[test]
fn null_for_an_optional_member_and_an_empty_query_value_mean_absent() {
    let tenant = Tenant::new();
    let post = |path: &str, body: Value| {
        tenant.call("POST", path, &[("content-type", "application/json")], body.to_string())
    };
    post("/api/events", json!({"type": "a", "payload": 1, "dedup_id": null})).expect(202);
    post("/api/explain", json!({"type": "a", "payload": 1, "dedup_id": null})).expect(200);
    let nulls = json!({"since": "0001-01-01T00:00:00Z", "until": null, "type": null, "status": null, "endpoint_id": null, "rate_per_second": null});
    post("/api/replays", nulls).expect(202);
    let key = json!({"name": "reader", "scopes": ["inbox:read"], "expires_at": null, "rate_limit_per_minute": null});
    post("/api/keys", key).expect(201);
    post("/api/inbox/ack", json!({"lease_id": null, "event_ids": null})).problem(422, "invalid");
    let ids = json!({"lease_id": null, "event_ids": ["evt_01a2095618d1778092754a4cca9c2500"]});
    post("/api/inbox/release", ids.clone()).expect(200);
    post("/api/inbox/ack", ids).expect(200);
    tenant
        .get("/api/events?since=0001-01-01T00:00:00Z&until=&type=&status=&order=&limit=&cursor=")
        .expect(200);
    tenant.get("/api/stats?window=").expect(200);
}

#[test]
fn an_id_that_no_endpoint_can_have_is_not_found_and_an_unknown_one_is_deleted() {
    let tenant = Tenant::new();
    tenant.call("DELETE", "/api/endpoints/ep_00000000000000000000000000000000", &[], "").expect(204);
    for malformed in ["ep_1", "%1C", "x"] {
        tenant.call("DELETE", &format!("/api/endpoints/{malformed}"), &[], "").problem(404, "not-found");
    }
}

#[test]
fn the_inbox_and_the_log_know_their_filters_under_both_names() {
    let tenant = Tenant::new();
    let id = tenant.accepted("a");
    tenant.shown_as("pending", &id);
    for (path, filter, count) in [
        ("/api/inbox", "event_type=a&delivery_status=pending", 1),
        ("/api/inbox", "event_type=b", 0),
        ("/api/inbox", "delivery_status=failed", 0),
        ("/api/events", "event_type=a&delivery_status=pending", 1),
        ("/api/events", "delivery_status=acked", 0),
    ] {
        let page = tenant.get(&format!("{path}?{filter}")).expect(200).json();
        assert_eq!(page["events"].as_array().unwrap().len(), count, "{path} {filter}");
    }
}

#[test]
fn a_plus_in_a_time_says_how_it_is_written() {
    let detail = refused(&Tenant::new(), "GET", "/api/events?since=2026-01-01T00:00:00+01:00", "since");
    assert!(detail.ends_with("write `+` as `%2B` in a query"), "{detail}");
}

#[test]
fn null_resets_a_setting_or_is_refused() {
    let (tenant, receiver) =
        (Tenant::new(), Receiver::with_script([Answer::status(200), Answer::status(200)]));
    let url = receiver.url();
    let made = create(
        &tenant,
        &json!({"url": url, "description": "mine", "event_types": ["order.*"], "rate_per_second": 7,
            "signing": "ed25519", "headers": {"Authorization": "Bearer a", "X-Team": "b"}}),
    );
    let id = made["id"].as_str().unwrap();
    let path = format!("/api/endpoints/{id}");

    // One header is removed, the other stays.
    let changed = patch(&tenant, id, &json!({"headers": {"authorization": null, "x-more": "c"}}));
    assert_eq!(changed["header_names"], json!(["x-more", "x-team"]));
    tenant.accepted("order.paid");
    let sent = &receiver.wait_for(1)[0].request;
    assert_eq!([sent.header("authorization"), sent.header("x-team")], [None, Some("b")]);

    let nulls = ["description", "event_types", "rate_per_second", "signing", "headers", "paused"];
    let nulls: Value = nulls.map(|name| (name, Value::Null)).into_iter().collect();
    let reset = patch(&tenant, id, &nulls);
    let members = ["description", "event_types", "rate_per_second", "signing", "header_names", "paused"];
    let values = members.map(|name| reset[name].clone());
    assert_eq!(values, [json!(""), json!(["*"]), json!(30), json!("hmac"), json!([]), json!(false)]);
    assert_eq!(reset["url"], json!(url), "absent members stay");

    for (body, pointer) in [(json!({"url": null}), "/url"), (json!({"secret": null}), "/secret")] {
        let document = tenant.call("PATCH", &path, &[("content-type", "application/json")], body.to_string());
        assert_eq!(document.problem(422, "invalid")["errors"][0]["pointer"], pointer);
    }
}

#[test]
fn a_retention_of_null_is_that_of_the_tier() {
    let tenant = Tenant::new();
    let change = |body: Value| {
        tenant.call("PATCH", "/api/tenant", &[("content-type", "application/json")], body.to_string())
    };
    assert_eq!(change(json!({"retention_days": 3})).expect(200).json()["retention_days"], 3);
    assert_eq!(change(json!({"retention_days": null})).expect(200).json()["retention_days"], 30);
    assert_eq!(tenant.get("/api/tenant").expect(200).json()["retention_days"], 30);
    assert_eq!(change(json!({"tier": null})).problem(422, "invalid")["errors"][0]["pointer"], "/tier");
}

#[test]
fn a_url_comes_back_as_it_was_given() {
    let tenant = Tenant::new();
    for url in
        ["https://Hooks.Example.com", "https://hooks.example.com:443/a?b=%7e", "HTTPS://hooks.example.com/ä"]
    {
        let made = create(&tenant, &json!({"url": url}));
        assert_eq!(made["url"], url);
        let read = tenant.get(&format!("/api/endpoints/{}", made["id"].as_str().unwrap())).expect(200).json();
        assert_eq!(read["url"], url);
    }
}

#[tokio::test]
async fn a_change_beside_another_of_the_same_tenant_is_made_and_never_a_503() {
    let pipeline = Pipeline::with_endpoints(1);
    let endpoint = format!("/api/endpoints/{}", Pipeline::endpoint(1).id);
    for (method, path, body, status) in [
        ("POST", "/api/endpoints", json!({"url": "https://hooks.example.com/"}), 201),
        ("PATCH", endpoint.as_str(), json!({"description": "changed"}), 200),
        ("POST", "/api/keys", json!({"name": "another", "scopes": ["inbox:read"]}), 201),
        ("PATCH", "/api/tenant", json!({"retention_days": 3}), 200),
        ("DELETE", endpoint.as_str(), Value::Null, 204),
        ("POST", "/api/keys/rotate", Value::Null, 200),
    ] {
        pipeline.tables.control.conflict(2);
        let response = pipeline.call(method, path, &body).await;
        assert_eq!(response.status, status, "{method} {path}: {response:?}");
    }
}

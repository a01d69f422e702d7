//! Endpoints as their owners handle them, over HTTP.

use serde_json::{Value, json};

use crate::support::client::{Tenant, ids};
use crate::support::eventually;
use crate::support::python::{run, verify};
use crate::support::receiver::{Answer, Receiver, closed_address};

pub(crate) fn create(tenant: &Tenant, body: &Value) -> Value {
    tenant.post("/api/endpoints", body.to_string()).expect(201).json()
}

pub(crate) fn patch(tenant: &Tenant, id: &str, body: &Value) -> Value {
    let path = format!("/api/endpoints/{id}");
    tenant.call("PATCH", &path, &[("content-type", "application/json")], body.to_string()).expect(200).json()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}"))
}

#[test]
fn an_endpoint_gets_the_events_it_wants_with_its_own_headers_and_secret() {
    let (tenant, orders, all) = (Tenant::new(), Receiver::answering(200), Receiver::answering(200));
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let made = create(
        &tenant,
        &json!({"target_url": orders.url(), "event_types": ["order.*"], "secret": secret,
        "description": "orders only", "headers": {"Authorization": "Bearer opaque"}}),
    );
    assert_eq!(
        (text(&made, "secret"), text(&made, "state"), text(&made, "url")),
        (secret, "active", orders.url().as_str())
    );
    assert_eq!(made["header_names"], json!(["authorization"]));
    create(&tenant, &json!({"url": all.url()}));
    let (order, other) = (tenant.accepted("order.created"), tenant.accepted("invoice.paid"));
    all.wait_for(2);
    let webhook = &orders.wait_for(1)[0];
    assert_eq!(webhook.id(), order);
    assert_eq!(webhook.header("authorization"), "Bearer opaque");
    assert_eq!(verify(secret, webhook, &webhook.request.body).as_deref(), Ok("genuine"));
    tenant.stored_as("delivered", &order);
    tenant.stored_as("delivered", &other);
    assert_eq!(orders.received().len(), 1);
    let listed = tenant.get("/api/endpoints").expect(200);
    assert_eq!(listed.json()["endpoints"].as_array().map(Vec::len), Some(2));
    assert!(!listed.text().contains("opaque") && !listed.text().contains("whsec_"), "{}", listed.text());
}

#[test]
fn what_an_endpoint_may_not_be_is_refused_at_its_place() {
    let tenant = Tenant::new();
    let url = "https://hooks.example.com/a";
    let long = "x".repeat(256);
    for (body, pointer) in [
        (json!({}), "/url"),
        (json!({"url": "http://10.0.0.1/"}), "/url"),
        (json!({"url": url, "event_types": []}), "/event_types"),
        (json!({"url": url, "event_types": ["ok", "a\n"]}), "/event_types/1"),
        (json!({"url": url, "rate_per_second": 0}), "/rate_per_second"),
        (json!({"url": url, "rate_per_second": 1001}), "/rate_per_second"),
        (json!({"url": url, "description": long}), "/description"),
        (json!({"url": url, "signing": "rsa"}), "/signing"),
        (json!({"url": url, "secret": "short"}), "/secret"),
        (json!({"url": url, "secret": format!("whsec_{}", "A".repeat(32))}), "/secret"), // 24 bytes of zero
        (json!({"url": url, "description": "a\u{1b}[31m"}), "/description"),
        (json!({"url": url, "description": "two\nlines"}), "/description"),
        (json!({"url": url, "headers": {"X-Forwarded-For": "10.0.0.1"}}), "/headers/X-Forwarded-For"),
        (json!({"url": url, "headers": {"Host": "a"}}), "/headers/Host"),
        (json!({"url": url, "headers": {"a/b": "x"}}), "/headers/a~1b"),
        (json!({"url": url, "headers": {"a": "x\r\ny: z"}}), "/headers/a"),
    ] {
        let document = tenant.post("/api/endpoints", body.to_string()).problem(422, "invalid");
        assert_eq!(document["errors"][0]["pointer"], pointer, "{body}");
    }
    tenant.post("/api/endpoints", json!({"url": url, "colour": "red"}).to_string()).problem(422, "invalid");
    assert_eq!(tenant.get("/api/endpoints").json()["endpoints"], json!([]));
}

#[test]
fn https_on_this_machine_is_refused_with_the_reason_and_the_form_that_works() {
    let tenant = Tenant::new();
    let body = json!({"url": "https://localhost:9000/hook"}).to_string();
    let document = tenant.post("/api/endpoints", body).problem(422, "invalid");
    let detail = text(&document["errors"][0], "detail");
    assert!(detail.contains("certificate") && detail.contains("use http://127.0.0.1:PORT"), "{detail}");
}

#[test]
fn another_tenants_endpoint_reads_like_one_that_never_was() {
    let (tenant, other) = (Tenant::new(), Tenant::new());
    let made = create(&other, &json!({"url": "https://hooks.example.com/a"}));
    let id = text(&made, "id").to_owned();
    let absent = format!("ep_{:032x}", 1);
    for (method, path, body) in [
        ("GET", "", ""),
        ("PATCH", "", "{\"paused\":true}"),
        ("POST", "/enable", ""),
        ("POST", "/rotate-secret", ""),
        ("POST", "/test", ""),
        ("GET", "/attempts", ""),
        ("GET", "/sample", ""),
    ] {
        let answers = [id.as_str(), &absent, "ep_nonsense"].map(|id| {
            let path = format!("/api/endpoints/{id}{path}");
            let mut document = tenant
                .call(method, &path, &[("content-type", "application/json")], body)
                .problem(404, "not-found");
            document["instance"].take();
            document
        });
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{method} {path}: {answers:?}");
    }
    tenant.call("DELETE", &format!("/api/endpoints/{id}"), &[], "").expect(204);
    assert_eq!(
        other.get(&format!("/api/endpoints/{id}")).expect(200).json()["url"],
        made["url"],
        "still there"
    );
}

#[test]
fn a_rotated_secret_signs_beside_the_new_one() {
    let (tenant, receiver) = (Tenant::new(), Receiver::answering(200));
    let made = create(&tenant, &json!({"url": receiver.url()}));
    let path = format!("/api/endpoints/{}/rotate-secret", text(&made, "id"));
    let rotated = tenant.post(&path, "").expect(200).json();
    assert_ne!(made["secret"], rotated["secret"]);
    assert!(rotated["previous_secret_until"].is_string(), "{rotated}");
    tenant.accepted("a");
    let webhook = &receiver.wait_for(1)[0];
    for secret in [&made["secret"], &rotated["secret"]] {
        assert_eq!(
            verify(secret.as_str().unwrap(), webhook, &webhook.request.body).as_deref(),
            Ok("genuine")
        );
    }
    let again = tenant.post(&path, "").expect(200).json();
    tenant.accepted("again");
    let webhook = &receiver.wait_for(2)[1];
    for secret in [&made["secret"], &rotated["secret"], &again["secret"]] {
        assert_eq!(
            verify(secret.as_str().unwrap(), webhook, &webhook.request.body).as_deref(),
            Ok("genuine")
        );
    }
    let at_once = tenant.post(&path, json!({"overlap_seconds": 0}).to_string()).expect(200).json();
    tenant.accepted("b");
    let webhook = &receiver.wait_for(3)[2];
    assert_eq!(verify(text(&at_once, "secret"), webhook, &webhook.request.body).as_deref(), Ok("genuine"));
    assert!(verify(text(&again, "secret"), webhook, &webhook.request.body).is_err(), "no overlap was wanted");
    tenant.post(&path, json!({"overlap_seconds": 604_801}).to_string()).problem(422, "invalid");
}

/// Checks an Ed25519 signature with the package `cryptography`, by the published key.
const VERIFY_ED25519: &str = "
import base64, json, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
call = json.load(sys.stdin)
key = call['x'] + '=' * (-len(call['x']) % 4)
signature = [s for s in call['signature'].split(' ') if s.startswith('v1a,')][0][4:]
content = f\"{call['id']}.{call['timestamp']}.\".encode() + base64.b64decode(call['body'])
Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key)).verify(base64.b64decode(signature), content)
print('genuine')
";

#[test]
fn an_endpoint_may_have_its_requests_signed_by_a_key_that_anybody_can_check() {
    use base64::Engine;
    let (tenant, receiver) = (Tenant::new(), Receiver::answering(200));
    let made = create(&tenant, &json!({"url": receiver.url(), "signing": "ed25519"}));
    assert!(text(&made, "public_key").starts_with("whpk_"));
    tenant.accepted("a");
    let webhook = &receiver.wait_for(1)[0];
    let url = format!("{}/.well-known/webhook-keys?endpoint_id={}", tenant.place.url(), text(&made, "id"));
    let published = crate::support::client::call("GET", &url, &[], "").expect(200).json();
    let call = |body: &[u8]| {
        json!({"x": published["keys"][0]["x"], "signature": webhook.header("webhook-signature"), "id": webhook.id(),
            "timestamp": webhook.header("webhook-timestamp"), "body": base64::engine::general_purpose::STANDARD.encode(body)})
    };
    assert_eq!(run(VERIFY_ED25519, &call(&webhook.request.body)).as_deref(), Ok("genuine"));
    assert!(run(VERIFY_ED25519, &call(b"{}")).is_err());
    assert_eq!(verify(text(&made, "secret"), webhook, &webhook.request.body).as_deref(), Ok("genuine"));
    tenant.get("/.well-known/webhook-keys").problem(422, "invalid");
}

#[test]
fn a_test_sends_one_signed_event_and_tells_what_came_of_it() {
    let (tenant, receiver) =
        (Tenant::new(), Receiver::with_script([Answer::status(200), Answer::status(418)]));
    let made = create(&tenant, &json!({"url": receiver.url()}));
    let path = format!("/api/endpoints/{}/test", text(&made, "id"));
    let attempt = tenant.post(&path, "").expect(200).json();
    let webhook = &receiver.wait_for(1)[0];
    assert_eq!(
        (&attempt["status"], text(&attempt, "verdict"), text(&attempt, "event_id")),
        (&json!(200), "delivered", webhook.id())
    );
    assert_eq!(verify(text(&made, "secret"), webhook, &webhook.request.body).as_deref(), Ok("genuine"));
    let refused = tenant.post(&path, "").expect(200).json();
    assert_eq!((&refused["status"], text(&refused, "verdict")), (&json!(418), "retry"));
    patch(&tenant, text(&made, "id"), &json!({"url": closed_address()}));
    let nobody = tenant.post(&path, "").expect(200).json();
    assert_eq!(nobody["status"], Value::Null);
    assert_eq!(text(&nobody, "error"), "connection_refused");
    assert!(tenant.inbox_ids("").is_empty(), "a test is stored nowhere");
}

#[test]
fn failed_attempts_are_listed_with_what_was_answered() {
    let script = [Answer::status(500), Answer::status(200)];
    let (tenant, receiver) = (Tenant::new(), Receiver::with_script(script));
    let made = create(&tenant, &json!({"url": receiver.url(), "event_types": ["a"]}));
    let id = tenant.accepted("a");
    receiver.wait_for(2);
    tenant.stored_as("delivered", &id);
    let path = format!("/api/endpoints/{}/attempts", text(&made, "id"));
    let page = tenant.get(&path).expect(200).json();
    let of = |n: usize| page["attempts"][n].clone();
    assert_eq!(
        (&of(0)["n"], &of(0)["status"], text(&of(0), "verdict")),
        (&json!(2), &json!(200), "delivered")
    );
    assert_eq!((&of(1)["n"], &of(1)["status"], text(&of(1), "verdict")), (&json!(1), &json!(500), "retry"));
    assert_eq!((text(&of(1), "event_id"), &of(1)["probe"]), (id.as_str(), &json!(false)));
    let first = tenant.get(&format!("{path}?limit=1")).expect(200).json();
    let next =
        tenant.get(&format!("{path}?limit=1&cursor={}", text(&first, "next_cursor"))).expect(200).json();
    assert_eq!((&first["attempts"][0], &next["attempts"][0]), (&of(0), &of(1)));
    tenant.get(&format!("{path}?cursor=damaged")).problem(400, "cursor-invalid");
    let path = format!("/api/endpoints/{}/sample", text(&made, "id"));
    for scopes in [["endpoints:admin"], ["inbox:read"]] {
        tenant.further_key(&scopes).get(&path).problem(403, "forbidden");
    }
    let sample = tenant.further_key(&["endpoints:admin", "inbox:read"]).get(&path).expect(200);
    assert_eq!(sample.text(), format!("[{}]", receiver.received()[0].text()), "exactly what the webhook had");
}

#[test]
fn a_paused_endpoint_loses_nothing_and_a_deleted_one_leaves_its_events_in_the_inbox() {
    let (tenant, receiver) = (Tenant::new(), Receiver::answering(200));
    let made = create(&tenant, &json!({"url": receiver.url()}));
    let id = text(&made, "id");
    assert_eq!(patch(&tenant, id, &json!({"paused": true}))["paused"], true);
    let parked = tenant.accepted("a");
    eventually("the delivery is parked", || {
        (tenant.get(&format!("/api/endpoints/{id}")).json()["pending"] == 1).then_some(())
    });
    assert_eq!(text(&tenant.shown_as("delivering", &parked), "id"), parked);
    patch(&tenant, id, &json!({"paused": false}));
    tenant.place.run_scheduler();
    assert_eq!(receiver.wait_for(1)[0].id(), parked);
    tenant.stored_as("delivered", &parked);

    patch(&tenant, id, &json!({"paused": true}));
    let cancelled = tenant.accepted("b");
    eventually("the delivery is parked", || {
        (tenant.get(&format!("/api/endpoints/{id}")).json()["pending"] == 1).then_some(())
    });
    for _ in 0..2 {
        tenant.call("DELETE", &format!("/api/endpoints/{id}"), &[], "").expect(204);
    }
    tenant.get(&format!("/api/endpoints/{id}")).problem(404, "not-found");
    tenant.place.run_scheduler();
    assert_eq!(tenant.stored_as("failed", &cancelled).deliveries, [(0, "cancelled".to_owned())]);
    assert_eq!(tenant.inbox_ids(""), [cancelled]);
}

#[test]
fn a_disabled_endpoint_says_so_in_the_inbox_and_takes_events_again_once_enabled() {
    let (tenant, receiver) =
        (Tenant::new(), Receiver::with_script([Answer::status(410), Answer::status(200)]));
    let made = create(&tenant, &json!({"url": receiver.url()}));
    let path = format!("/api/endpoints/{}", text(&made, "id"));
    let failed = tenant.accepted("a");
    tenant.stored_as("failed", &failed);
    let told = eventually("its owner is told", || {
        let page = tenant.inbox("?type=endpoint.disabled");
        (!ids(&page).is_empty()).then(|| page["events"][0]["payload"].clone())
    });
    assert_eq!((text(&told, "endpoint_id"), text(&told, "last_error")), (text(&made, "id"), "410"));
    assert_eq!(text(&tenant.get(&path).json(), "state"), "disabled");
    let enabled = tenant.post(&format!("{path}/enable"), "").expect(200).json();
    assert_eq!((text(&enabled, "state"), &enabled["failures"]), ("active", &json!(0)));
    let taken = tenant.accepted("a");
    tenant.stored_as("delivered", &taken);
}

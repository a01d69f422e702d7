//! The erasure of a tenant over the deployed template: every table and queue is looked through for what was the tenant's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::deployed::support::runtime::{self, Process, environment};
use crate::deployed::support::search::places;
use crate::deployed::support::stack::shared;
use crate::support::client::{Tenant, call};
use crate::support::place::Place;
use crate::support::receiver::Receiver;
use crate::support::{eventually, tables};

const LONG_AGO: &str = "2024-01-01T00:00:00Z";

/// Payloads of all sizes: within the head, an item of its own, and the largest there may be.
const SIZES: [usize; 3] = [10, 2_000, 250_000];

/// A text that is nowhere else.
fn mark() -> String {
    format!("mark{:032x}", rand::random::<u128>())
}

/// A payload of about so many bytes that no compression makes much smaller, with this in its midst.
fn payload(mark: &str, bytes: usize) -> Value {
    let noise = |bytes| (0..bytes).map(|_| char::from(rand::random_range(b'a'..=b'z'))).collect::<String>();
    json!({"before": noise(bytes / 2), "text": mark, "after": noise(bytes / 2)})
}

/// Posts an event whose payload holds the one mark and whose other texts hold the other; its id.
fn post(tenant: &Tenant, kind: &str, mark: &str, secret: &str, bytes: usize) -> String {
    let dedup_id = format!("{mark} {}", rand::random::<u64>());
    let event =
        json!({"type": format!("{kind}.{mark}"), "payload": payload(secret, bytes), "dedup_id": dedup_id});
    tenant.post_event(event.to_string()).expect(202).id()
}

/// A tenant with something of everything: the mark is in all its texts, the secret in its payloads.
fn owner(mark: &str, secret: &str, receiver: &Receiver) -> (Tenant, Vec<String>) {
    let tenant = Tenant::named(Place::Deployed(shared()), &format!("Organization {mark}"), "pro");
    let endpoint = |types: &str| {
        let body = json!({"url": receiver.url_of(&format!("/{mark}")), "description": mark,
            "event_types": [format!("{types}.{mark}")], "headers": {"x-mark": mark}});
        tenant.post("/api/endpoints", body.to_string()).expect(201).id()
    };
    endpoint("sent");
    let paused = endpoint("parked");
    let body = json!({"paused": true}).to_string();
    tenant
        .call("PATCH", &format!("/api/endpoints/{paused}"), &[("content-type", "application/json")], body)
        .expect(200);
    let key = json!({"name": mark, "scopes": ["inbox:read"]});
    tenant.post("/api/keys", key.to_string()).expect(201);
    let mut ids = Vec::new();
    for kind in ["sent", "parked", "kept"] {
        ids.extend(SIZES.map(|bytes| post(&tenant, kind, mark, secret, bytes)));
    }
    eventually("all are stored", || (tables::all_stored(&tenant, 1).len() >= ids.len()).then_some(()));
    receiver.wait_for(SIZES.len());
    let lease = tenant.post("/api/inbox/lease", json!({"lease_limit": 2}).to_string()).expect(200).json();
    assert!(lease["lease_id"].is_string(), "{lease}");
    let replay = json!({"since": LONG_AGO, "type": format!("sent.{mark}"), "rate_per_second": 1});
    tenant.post("/api/replays", replay.to_string()).expect(202);
    (tenant, ids)
}

/// What an ingest process is given when this tenant posts an event whose texts hold the mark.
fn posted(tenant: &Tenant, mark: &str) -> String {
    let event = json!({"type": format!("late.{mark}"), "payload": payload(mark, 2_000)});
    let headers = [("content-type", "application/json"), ("x-api-key", tenant.key.as_str())];
    runtime::post("/api/events", &headers, &event.to_string())
}

fn erase(tenant: &Tenant, confirm: &str) -> crate::support::client::Reply {
    let body = json!({"confirm": confirm}).to_string();
    tenant.call("DELETE", "/api/tenant", &[("content-type", "application/json")], body)
}

#[test]
fn whoever_looks_finds_what_is_wrapped_and_payloads_lie_sealed() {
    let (mark, secret, planted) = (mark(), mark(), mark());
    let receiver = Receiver::answering(200);
    let (tenant, _) = owner(&mark, &secret, &receiver);
    let found = places(&mark);
    for expected in [format!("Control \"t#{}\"", tenant.id), format!("Events \"t#{}#0\"", tenant.id)] {
        assert!(found.iter().any(|place| place.starts_with(&expected)), "{expected}: {found:?}");
    }
    let (id, whole) = (&tenant.id, "the payloads of a living tenant are sealed");
    eventually("all events have left their queue", || places(&secret).is_empty().then_some(()));
    assert_eq!(places(&secret), Vec::<String>::new(), "{whole}");

    let zipped = zstd::encode_all(planted.as_bytes(), 3).unwrap();
    let wrapped = json!({"payload": BASE64.encode(&zipped)}).to_string();
    let (sk, text) = (json!({"S": "planted"}), json!({"S": wrapped}));
    let bytes = json!({"B": BASE64.encode(&zipped)});
    for (table, value) in [("Events", &bytes), ("Schedule", &text), ("Control", &json!({"S": planted}))] {
        let item = json!({"pk": {"S": format!("planted {id}")}, "sk": sk, "nested": {"M": {"value": value}}});
        tables::put(&tenant, table, &item);
    }
    assert_eq!(places(&planted).len(), 3, "{:?}", places(&planted));
}

#[test]
fn nothing_of_an_erased_tenant_is_anywhere_and_everything_of_another_is() {
    let (mark, other_mark) = (mark(), mark());
    let (echo, taker) = (Receiver::echoing(500), Receiver::answering(200));
    let (tenant, _) = owner(&mark, &mark, &echo);
    let (other, others) = owner(&other_mark, &other_mark, &taker);
    let believing = Process::start("ingest", &environment("ingest", &[]));
    believing.invoke_http(&posted(&tenant, &mark)).expect(202);
    let before = places(&mark);
    assert!(
        before.iter().any(|place| place.contains("#ep_")),
        "excerpts of answers hold payloads: {before:?}"
    );

    let (name, reader) = (format!("Organization {mark}"), tenant.further_key(&["tenant:admin"]));
    for wrong in ["", "organization", &name.to_uppercase()] {
        let document = erase(&tenant, wrong).problem(422, "invalid");
        assert_eq!(document["errors"][0]["pointer"], "/confirm");
    }
    let erased = erase(&tenant, &name).expect(202).json();
    let late = believing.invoke_http(&posted(&tenant, &mark)).status; // it knows the key for some seconds more
    assert!(late == 202 || late == 401, "{late}");
    eventually("the key is dead", || (tenant.get("/api/inbox").status == 401).then_some(()));
    let again = || erase(&tenant, &name).expect(202).json();
    assert_eq!(again(), erased, "who did not hear of it asks again");
    assert_eq!(erase(&reader, &name).status, 401, "another key that died with the tenant");

    let url = format!("{}{}", shared().summary().url, erased["receipt_url"].as_str().expect("a URL"));
    let receipt = eventually("it is done", || {
        shared().call_function("scheduler", &json!({})).expect("a visit");
        let receipt = call("GET", &url, &[], "").expect(200).json();
        (receipt["state"] == "done").then_some(receipt)
    });
    assert_eq!(receipt["erasure_id"], erased["erasure_id"]);
    assert_eq!(again(), erased);
    assert!(receipt["completed_at"].is_string() && receipt["data_key_dropped_at"].is_string(), "{receipt}");
    eventually("what came late is dropped", || places(&mark).is_empty().then_some(()));
    println!(
        "{} places before, 0 after; {} items deleted in {} looks; posted late: {late}; the id alone is in {:?}",
        before.len(),
        receipt["items_deleted"],
        receipt["times_looked_through"],
        tables_of(&places(&tenant.id))
    );
    let left = places(&tenant.id);
    assert!(
        !left.iter().any(|place| place.starts_with("Events \"t#") && !place.contains("#lease#")),
        "{left:?}"
    );

    let listed = other.get("/api/events?limit=100").expect(200).json();
    let stored = crate::support::client::ids(&listed);
    assert!(others.iter().all(|id| stored.contains(id)), "{listed}");
    for id in &others {
        let event = other.get(&format!("/api/events/{id}")).expect(200).json();
        assert_eq!(event["payload"]["text"], other_mark.as_str());
    }
    let endpoints = other.get("/api/endpoints").expect(200).json();
    assert_eq!(endpoints["endpoints"].as_array().map(Vec::len), Some(2), "{endpoints}");
    assert_eq!(other.get("/api/keys").expect(200).json()["keys"].as_array().map(Vec::len), Some(2));
}

/// Of each place its table and the form of its keys.
fn tables_of(places: &[String]) -> std::collections::BTreeMap<String, usize> {
    let form = |place: &String| {
        let words = place.replace('"', "");
        let words = words.split(['#', ' ']).filter(|word| {
            !word.is_empty() && !word.contains('_') && !word.chars().all(|sign| sign.is_ascii_hexdigit())
        });
        words.collect::<Vec<_>>().join(" ")
    };
    places.iter().map(form).fold(std::collections::BTreeMap::new(), |mut forms, form| {
        *forms.entry(form).or_default() += 1;
        forms
    })
}

//! The inbox as a queue: who leases an event has it alone and for a while, and who comes too late changes nothing.

use std::collections::BTreeSet;

use domain::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::support::client::{Reply, Tenant};
use crate::support::eventually;
use crate::support::receiver::Receiver;

/// A tenant with so many events in its inbox, of these types by turns; their ids, oldest first.
pub(crate) fn tenant_with(tier: &str, count: usize, types: &[&str]) -> (Tenant, Vec<String>) {
    let tenant = Tenant::of_tier(tier);
    let ids = fill(&tenant, count, types);
    (tenant, ids)
}

/// Posts so many events and waits until they are in the inbox; their ids, oldest first.
pub(crate) fn fill(tenant: &Tenant, count: usize, types: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for begin in (0..count).step_by(500) {
        let item = |n: usize| json!({"type": types[n % types.len()], "payload": {"n": n}});
        let events: Vec<Value> = (begin..count.min(begin + 500)).map(item).collect();
        let answer =
            tenant.post("/api/events/batch", json!({"events": events}).to_string()).expect(202).json();
        let results = answer["results"].as_array().expect("results");
        ids.extend(results.iter().map(|result| result["id"].as_str().expect("an id").to_owned()));
    }
    ids.sort();
    for id in &ids {
        eventually("it is stored", || crate::support::tables::stored(tenant, id).map(drop));
    }
    ids
}

/// A lease of these members.
pub(crate) fn lease(tenant: &Tenant, wanted: &Value) -> (Value, Vec<String>) {
    let mut answer = tenant.post("/api/inbox/lease", wanted.to_string()).expect(200).json();
    let results = answer["results"].as_array().expect("results");
    let ids = results.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect();
    (answer["lease_id"].take(), ids)
}

/// One of the verbs, with this body.
pub(crate) fn act(tenant: &Tenant, verb: &str, body: &Value) -> Reply {
    tenant.post(&format!("/api/inbox/{verb}"), body.to_string())
}

/// The ids of a member of an answer.
pub(crate) fn named(answer: &Value, member: &str) -> BTreeSet<String> {
    let list = answer[member].as_array().expect("a list");
    let id = |entry: &Value| entry.as_str().or_else(|| entry["id"].as_str()).expect("an id").to_owned();
    list.iter().map(id).collect()
}

fn set(ids: &[String]) -> BTreeSet<String> {
    ids.iter().cloned().collect()
}

#[test]
fn the_oldest_come_first_and_what_is_leased_is_leased_to_nobody_else() {
    let (tenant, ids) = tenant_with("pro", 25, &["a"]);
    let answer = act(&tenant, "lease", &json!({"lease_limit": 4, "lease_seconds": 60})).expect(200).json();
    let first = &answer["results"][0];
    assert_eq!(
        (&first["lease_count"], &first["status"], &first["type"]),
        (&json!(1), &json!("pending"), &json!("a"))
    );
    assert!(first["payload"]["n"].is_number() && answer["leased_until"].is_string(), "{answer}");
    let (second, others) = lease(&tenant, &json!({}));
    assert_eq!(others, ids[4..14], "ten by default");
    assert_ne!(answer["lease_id"], second);
    let (_, rest) = lease(&tenant, &json!({"lease_limit": 100}));
    assert_eq!(rest, ids[14..]);
    let nothing = act(&tenant, "lease", &json!({})).expect(200).json();
    assert_eq!(nothing, json!({"lease_id": null, "leased_until": null, "results": []}));
    assert_eq!(tenant.inbox_ids("?limit=100").len(), 25, "they are listed all the same");
}

#[test]
fn acknowledging_under_a_lease_counts_once_and_is_told_again() {
    let (tenant, ids) = tenant_with("pro", 6, &["a"]);
    let (lease_id, held) = lease(&tenant, &json!({"lease_limit": 4}));
    assert_eq!(held, ids[..4]);
    let two = json!({"lease_id": lease_id, "event_ids": held[..2]});
    for _ in 0..2 {
        assert_eq!(
            named(&act(&tenant, "ack", &two).expect(200).json(), "acked"),
            set(&held[..2]),
            "told again"
        );
    }
    let foreign = json!({"lease_id": lease_id, "event_ids": [held[2], ids[4], ids[5]]});
    let answer = act(&tenant, "ack", &foreign).expect(200).json();
    assert_eq!(named(&answer, "acked"), set(&held[2..3]));
    assert_eq!(named(&answer, "failed"), set(&ids[4..]));
    assert_eq!(answer["failed"][0]["reason"], "lease-lost");
    let all = act(&tenant, "ack", &json!({"lease_id": lease_id})).expect(200).json();
    assert_eq!(named(&all, "acked"), set(&held));
    assert_eq!(tenant.inbox_ids("?order=asc"), ids[4..]);
}

#[test]
fn whoever_comes_too_late_has_lost_it() {
    let (tenant, ids) = tenant_with("pro", 1, &["a"]);
    let (late, _) = lease(&tenant, &json!({"lease_seconds": 1}));
    let (next, again) = eventually("its time has ended", || {
        let (id, events) = lease(&tenant, &json!({}));
        (!events.is_empty()).then_some((id, events))
    });
    assert_eq!(again, ids);
    for (verb, body) in [
        ("ack", json!({"lease_id": late})),
        ("ack", json!({"lease_id": late, "event_ids": ids})),
        ("release", json!({"lease_id": late})),
        ("extend", json!({"lease_id": late, "lease_seconds": 5})),
    ] {
        act(&tenant, verb, &body).problem(409, "lease-lost");
    }
    act(&tenant, "ack", &json!({"lease_id": next})).expect(200);
    act(&tenant, "ack", &json!({"lease_id": late})).problem(409, "lease-lost");
    assert!(tenant.inbox_ids("").is_empty());
}

#[test]
fn what_is_given_back_is_free_at_once_or_after_its_delay() {
    let (tenant, ids) = tenant_with("pro", 3, &["a"]);
    let (lease_id, _) = lease(&tenant, &json!({}));
    let one = json!({"lease_id": lease_id, "event_ids": [ids[1]]});
    assert_eq!(named(&act(&tenant, "release", &one).expect(200).json(), "released"), set(&ids[1..2]));
    act(&tenant, "release", &one).problem(409, "lease-lost");
    let (again, held) = lease(&tenant, &json!({}));
    assert_eq!(held, ids[1..2]);
    act(&tenant, "release", &json!({"lease_id": again, "delay_seconds": 1})).expect(200);
    assert_eq!(lease(&tenant, &json!({})).1.len(), 0, "not yet");
    let held = eventually("its delay has passed", || {
        let (_, held) = lease(&tenant, &json!({}));
        (!held.is_empty()).then_some(held)
    });
    assert_eq!(held, ids[1..2]);
}

#[test]
fn a_lease_may_be_held_longer() {
    let (tenant, ids) = tenant_with("pro", 2, &["a"]);
    let (lease_id, _) = lease(&tenant, &json!({"lease_seconds": 2}));
    let longer = json!({"lease_id": lease_id, "lease_seconds": 3600});
    let answer = act(&tenant, "extend", &longer).expect(200).json();
    assert_eq!(named(&answer, "extended"), set(&ids));
    let until = Timestamp::parse(answer["leased_until"].as_str().unwrap()).unwrap();
    let kept_until = crate::support::tables::lease_is_kept_until(&tenant, lease_id.as_str().unwrap());
    assert!(kept_until > until, "what it holds is told for as long as it holds");
    let (other, _) = tenant_with("pro", 1, &["a"]);
    let (short, _) = lease(&other, &json!({"lease_seconds": 2}));
    eventually("the other lease has ended", || (lease(&other, &json!({})).1.len() == 1).then_some(()));
    act(&other, "extend", &json!({"lease_id": short, "lease_seconds": 1})).problem(409, "lease-lost");
    act(&tenant, "ack", &json!({"lease_id": lease_id})).expect(200);
    assert!(tenant.inbox_ids("").is_empty());
}

#[test]
fn events_with_an_open_delivery_are_left_to_it_unless_asked_for_and_acknowledging_ends_it() {
    let tenant = Tenant::new();
    let receiver = Receiver::answering(500);
    tenant.set_webhook(&receiver.url());
    let id = tenant.accepted("a");
    eventually("it was tried", || {
        let stored = tenant.stored_as("delivering", &id);
        (stored.deliveries[0].0 > 0).then_some(())
    });
    assert_eq!(lease(&tenant, &json!({})).1.len(), 0);
    let (lease_id, held) = lease(&tenant, &json!({"include_open": true}));
    assert_eq!(held, std::slice::from_ref(&id));
    act(&tenant, "ack", &json!({"lease_id": lease_id})).expect(200);
    let stored = tenant.stored_as("acked", &id);
    assert_eq!(stored.deliveries[0].1, "acked");
}

#[test]
fn a_lease_may_ask_for_types() {
    let (tenant, ids) = tenant_with("pro", 9, &["a", "b", "c"]);
    let types: Vec<Value> =
        act(&tenant, "lease", &json!({"types": ["a", "c"]})).expect(200).json()["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["type"].clone())
            .collect();
    assert_eq!((types.len(), types.contains(&json!("b"))), (6, false));
    assert_eq!(lease(&tenant, &json!({"types": ["d"]})).1.len(), 0);
    assert_eq!(lease(&tenant, &json!({})).1.len(), 3, "{ids:?}");
}

#[test]
fn the_shards_of_an_enterprise_tenant_are_leased_as_one_queue() {
    let (tenant, ids) = tenant_with("enterprise", 60, &["a"]);
    let mut held = Vec::new();
    for _ in 0..3 {
        held.extend(lease(&tenant, &json!({"lease_limit": 20})).1);
    }
    assert_eq!(held, ids);
}

#[test]
fn a_lease_stops_before_its_answer_is_too_large_and_leases_no_more() {
    let tenant = Tenant::new();
    let large = "x".repeat(250_000);
    for _ in 0..20 {
        tenant.post_event(json!({"type": "a", "payload": large}).to_string()).expect(202);
    }
    eventually("all are stored", || {
        (crate::support::tables::all_stored(&tenant, 1).len() == 20).then_some(())
    });
    let reply = act(&tenant, "lease", &json!({"lease_limit": 100})).expect(200);
    assert!(reply.body.len() < 4_300_000, "{}", reply.body.len());
    let first = reply.json()["results"].as_array().unwrap().len();
    let (_, rest) = lease(&tenant, &json!({"lease_limit": 100}));
    assert_eq!(first + rest.len(), 20, "what found no room was not leased");
    assert!((15..20).contains(&first), "{first}");
}

#[test]
fn wrong_members_are_told() {
    let tenant = Tenant::new();
    let id = format!("evt_018bcfe5687b7fff8{}", "0".repeat(15));
    for (verb, body) in [
        ("lease", json!({"lease_seconds": 0})),
        ("lease", json!({"lease_seconds": 3601})),
        ("lease", json!({"lease_limit": 0})),
        ("lease", json!({"lease_limit": 101})),
        ("lease", json!({"types": ["a\n"]})),
        ("lease", json!({"unknown": 1})),
        ("ack", json!({})),
        ("ack", json!({"event_ids": []})),
        ("ack", json!({"event_ids": vec![id.as_str(); 101]})),
        ("release", json!({})),
        ("release", json!({"event_ids": [id], "delay_seconds": 43_201})),
        ("extend", json!({"lease_id": "lse_1"})),
        ("extend", json!({"lease_id": "lse_1", "lease_seconds": 0})),
    ] {
        act(&tenant, verb, &body).problem(422, "invalid");
    }
    let absent = act(&tenant, "ack", &json!({"event_ids": [id]})).expect(200).json();
    assert_eq!(absent, json!({"acked": [], "failed": [{"id": id, "reason": "not-found"}]}));
    let reader = tenant.further_key(&["inbox:read"]);
    for verb in ["lease", "ack", "release", "extend"] {
        act(&reader, verb, &json!({})).problem(403, "forbidden");
    }
    let event = tenant.accepted("a");
    tenant.shown_as("pending", &event);
    let some = act(&tenant, "ack", &json!({"event_ids": ["nonsense", event]})).expect(200).json();
    assert_eq!(some, json!({"acked": [event], "failed": [{"id": "nonsense", "reason": "not-found"}]}));
}

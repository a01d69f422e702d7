//! Replays over the deployed template: counted, asked for, watched, cancelled, and finished by whoever comes after a process that
//! was killed.

use std::collections::{HashMap, HashSet};
use std::thread;

use serde_json::{Value, json};

use crate::support::client::{Reply, Tenant};
use crate::support::receiver::Receiver;
use crate::support::{eventually, tables};

const LONG_AGO: &str = "2024-01-01T00:00:00Z";

/// An endpoint that is asked as fast as may be; its id.
pub(crate) fn endpoint(tenant: &Tenant, receiver: &Receiver) -> String {
    let body = json!({"url": receiver.url(), "rate_per_second": 1000}).to_string();
    tenant.post("/api/endpoints", body).expect(201).id()
}

/// Posts this many events in one batch; their ids.
pub(crate) fn post(tenant: &Tenant, count: usize) -> Vec<String> {
    let events = vec![json!({"type": "a", "payload": "x"}); count];
    let answer = tenant.post("/api/events/batch", json!({"events": events}).to_string()).expect(202).json();
    let id = |result: &Value| result["id"].as_str().expect("an id").to_owned();
    answer["results"].as_array().expect("results").iter().map(id).collect()
}

pub(crate) fn all_are(tenant: &Tenant, status: &str, ids: &[String]) {
    eventually(&format!("all are {status}"), || {
        let stored = tables::all_stored(tenant, 1);
        let count = stored.iter().filter(|head| ids.contains(&head.id) && head.status == status).count();
        (count == ids.len()).then_some(())
    });
}

pub(crate) fn ask(tenant: &Tenant, body: &Value) -> Reply {
    tenant.post("/api/replays", body.to_string())
}

fn ask_as(tenant: &Tenant, name: &str, body: &Value) -> Reply {
    let headers = [("content-type", "application/json"), ("idempotency-key", name)];
    tenant.call("POST", "/api/replays", &headers, body.to_string())
}

pub(crate) fn read(tenant: &Tenant, id: &str) -> Value {
    tenant.get(&format!("/api/replays/{id}")).expect(200).json()
}

fn cancel(tenant: &Tenant, id: &str) -> Value {
    tenant.call("DELETE", &format!("/api/replays/{id}"), &[], "").expect(202).json()
}

/// Lets the scheduler come until a replay is in this state, as it is then.
pub(crate) fn until(tenant: &Tenant, id: &str, state: &str) -> Value {
    eventually(&format!("{id} is {state}"), || {
        tenant.place.run_scheduler();
        let replay = read(tenant, id);
        (replay["state"] == state).then_some(replay)
    })
}

/// How often each event came.
pub(crate) fn times(receiver: &Receiver) -> HashMap<String, usize> {
    receiver.received().iter().fold(HashMap::new(), |mut times, webhook| {
        *times.entry(webhook.id().to_owned()).or_default() += 1;
        times
    })
}

#[test]
fn what_failed_for_good_is_counted_first_and_then_sent_again() {
    let (tenant, receiver) = (Tenant::new(), Receiver::answering(410));
    let endpoint = endpoint(&tenant, &receiver);
    receiver.hold();
    let failed = post(&tenant, 4);
    receiver.wait_for(failed.len());
    receiver.release();
    all_are(&tenant, "failed", &failed);
    eventually("it is disabled", || {
        let shown = tenant.get(&format!("/api/endpoints/{endpoint}")).expect(200).json();
        (shown["state"] == "disabled").then_some(())
    });
    receiver.answer_now(200);
    tenant.post(&format!("/api/endpoints/{endpoint}/enable"), "").expect(200);
    let taken = post(&tenant, 3);
    all_are(&tenant, "delivered", &taken);
    let before = times(&receiver);

    let wanted = json!({"since": LONG_AGO, "status": "failed"});
    let mut dry = wanted.clone();
    dry["dry_run"] = json!(true);
    let counted = ask(&tenant, &dry).expect(200).json();
    assert_eq!(counted, json!({"count": 4, "count_is_exact": true}));
    let asked = ask(&tenant, &wanted).expect(202).json();
    assert_eq!((&asked["state"], &asked["count"], &asked["seen"]), (&json!("running"), &json!(4), &json!(0)));
    let id = asked["id"].as_str().expect("an id");
    let done = until(&tenant, id, "done");
    let progress = ["count", "seen", "replayed", "deliveries"].map(|name| done[name].clone());
    assert_eq!(progress, [4, 4, 4, 4].map(Value::from), "{done}");
    assert!(done["ended_at"].is_string() && done["status"] == "failed", "{done}");
    all_are(&tenant, "delivered", &failed);
    let after = times(&receiver);
    for id in &failed {
        let more = after[id] - before.get(id).copied().unwrap_or_default();
        assert_eq!(more, 1, "{id}");
    }
    assert!(taken.iter().all(|id| after[id] == 1), "what was taken is left alone");
    let event = tenant.get(&format!("/api/events/{}", failed[0])).expect(200).json();
    assert_eq!(event["deliveries"][0]["replay_id"], id, "{event}");
    assert_eq!(ask(&tenant, &dry).expect(200).json()["count"], 0, "nothing is left to be retried");
    Tenant::new().get(&format!("/api/replays/{id}")).problem(404, "not-found");
}

#[test]
fn a_replay_that_is_cancelled_ends_and_stays_to_be_read() {
    let (tenant, receiver) = (Tenant::new(), Receiver::answering(200));
    endpoint(&tenant, &receiver);
    let ids = post(&tenant, 400);
    all_are(&tenant, "delivered", &ids);
    let asked = ask(&tenant, &json!({"since": LONG_AGO, "rate_per_second": 1})).expect(202).json();
    let id = asked["id"].as_str().expect("an id");
    let begun = eventually("the first minute's worth is sent", || {
        tenant.place.run_scheduler();
        Some(read(&tenant, id)).filter(|replay| replay["replayed"] != 0)
    });
    let replayed = |replay: &Value| replay["replayed"].as_u64().expect("a count");
    assert_eq!((&begun["state"], replayed(&begun) % 60), (&json!("running"), 0), "60 a visit, {begun}");
    let state = cancel(&tenant, id)["state"].clone();
    assert!(state == "cancelling" || state == "cancelled", "{state}");
    let ended = until(&tenant, id, "cancelled");
    assert!((replayed(&begun)..400).contains(&replayed(&ended)) && ended["ended_at"].is_string(), "{ended}");
    assert_eq!(cancel(&tenant, id), ended, "asking again changes nothing");
    let never = format!("rpl_{}", "0".repeat(32));
    tenant.call("DELETE", &format!("/api/replays/{never}"), &[], "").problem(404, "not-found");
}

#[test]
fn a_request_that_is_sent_again_under_its_name_starts_no_other_replay() {
    let (tenant, other, receiver) = (Tenant::new(), Tenant::new(), Receiver::answering(200));
    endpoint(&tenant, &receiver);
    let taken = post(&tenant, 3);
    all_are(&tenant, "delivered", &taken);
    let wanted = json!({"since": LONG_AGO});
    let first = ask_as(&tenant, "retry of today", &wanted).expect(202);
    let id = first.id();
    assert_eq!(first.header("idempotency-replayed"), None);
    let reordered = r#"{ "rate_per_second":null, "since":"2024-01-01T00:00:00Z" }"#;
    for body in [wanted.to_string().as_str(), reordered] {
        let again = ask_as(&tenant, "retry of today", &serde_json::from_str(body).unwrap()).expect(202);
        assert_eq!((again.id(), again.header("idempotency-replayed")), (id.clone(), Some("true")));
    }
    let changed = json!({"since": LONG_AGO, "status": "failed"});
    ask_as(&tenant, "retry of today", &changed).problem(422, "idempotency-mismatch");
    ask_as(&tenant, &"x".repeat(256), &wanted).problem(422, "invalid");
    assert_ne!(ask_as(&other, "retry of today", &wanted).expect(202).id(), id);

    until(&tenant, &id, "done");
    let again = ask_as(&tenant, "retry of today", &wanted).expect(202).json();
    assert_eq!((&again["id"], &again["state"]), (&json!(id), &json!("done")), "as it is by now");
    all_are(&tenant, "delivered", &taken);
    assert!(taken.iter().all(|id| times(&receiver)[id] == 2), "once, and once replayed");
    let mut counted = wanted.clone();
    counted["dry_run"] = json!(true);
    ask_as(&tenant, "retry of today", &counted).expect(200);
}

#[test]
fn many_who_send_the_same_request_at_once_get_one_replay() {
    let tenant = Tenant::new();
    let ids: HashSet<String> = thread::scope(|scope| {
        let ask = || ask_as(&tenant, "all at once", &json!({"since": LONG_AGO})).expect(202).id();
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(ids.len(), 1);
}

#[test]
fn no_more_than_ten_replays_of_a_tenant_are_under_way() {
    let tenant = Tenant::new();
    let (mut accepted, mut refused) = (0, None);
    for _ in 0..30 {
        let reply = ask(&tenant, &json!({"since": LONG_AGO})); // a visit of the scheduler may end some meanwhile
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
        reply.expect(202);
        accepted += 1;
    }
    let refused = refused.expect("one too many");
    refused.problem(429, "rate-limited");
    assert!(accepted >= 10 && refused.retry_after() > 0, "{accepted}");
    ask(&tenant, &json!({"since": LONG_AGO, "dry_run": true})).expect(200);
    ask(&Tenant::new(), &json!({"since": LONG_AGO})).expect(202);
}

#[test]
fn what_is_no_replay_is_refused() {
    let tenant = Tenant::new();
    for (body, pointer) in [
        (json!({"since": "yesterday"}), "/since"),
        (json!({"since": "2999-01-01T00:00:00Z"}), "/since"),
        (json!({"since": LONG_AGO, "until": LONG_AGO}), "/since"),
        (json!({"since": LONG_AGO, "until": "tomorrow"}), "/until"),
        (json!({"since": LONG_AGO, "rate_per_second": 0}), "/rate_per_second"),
        (json!({"since": LONG_AGO, "rate_per_second": 1001}), "/rate_per_second"),
    ] {
        let document = ask(&tenant, &body).problem(422, "invalid");
        assert_eq!(document["errors"][0]["pointer"], pointer, "{body}");
    }
    for body in [
        json!({}),
        json!({"since": LONG_AGO, "types": ["a"]}),
        json!({"since": LONG_AGO, "status": "sent"}),
        json!({"since": LONG_AGO, "type": "a\n"}),
    ] {
        ask(&tenant, &body).problem(422, "invalid");
    }
    let never = format!("ep_{}", "0".repeat(32));
    ask(&tenant, &json!({"since": LONG_AGO, "endpoint_id": never})).problem(404, "not-found");
    let poster = tenant.further_key(&["events:write"]);
    ask(&poster, &json!({"since": LONG_AGO})).problem(403, "forbidden");
}

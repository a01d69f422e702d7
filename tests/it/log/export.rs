//! Taking everything along.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{attempt, busy, large_payload, tried};
use crate::queue::{act, tenant_with};
use crate::support::client::Tenant;
use crate::support::tables;

/// Lambda's bound for an answer is 6 MB; a page ends well before.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024 + 64 * 1024;

/// The pages of an export, to its end.
fn pages(tenant: &Tenant, limit: usize) -> Vec<String> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    while pages.len() < 500 {
        let reply = tenant.get(&format!("/api/export?limit={limit}&cursor={cursor}")).expect(200);
        assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
        pages.push(reply.text());
        match reply.header("x-next-cursor") {
            Some(next) => next.clone_into(&mut cursor),
            None => return pages,
        }
    }
    panic!("it never ends");
}

/// The lines of an export, by their kind.
fn exported(tenant: &Tenant, limit: usize) -> BTreeMap<String, Vec<Value>> {
    let mut lines = BTreeMap::<String, Vec<Value>>::new();
    for line in pages(tenant, limit).concat().lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        lines.entry(line["kind"].as_str().expect("a kind").to_owned()).or_default().push(line);
    }
    lines
}

fn texts(lines: &[Value], member: &str) -> Vec<String> {
    lines.iter().map(|line| line[member].as_str().expect("a text").to_owned()).collect()
}

#[test]
fn every_event_is_in_it_once_however_small_the_pages_are() {
    for (tier, count, limits) in [("pro", 20, [1, 7, 20]), ("enterprise", 60, [7, 60, 1000])] {
        let (tenant, ids) = tenant_with(tier, count, &["even", "odd"]);
        act(&tenant, "ack", &json!({"event_ids": ids[..5]})).expect(200);
        tenant.call("DELETE", &format!("/api/events/{}", ids[7]), &[], "").expect(204);
        let mut expected = ids.clone();
        expected.remove(7);
        for limit in limits {
            let lines = exported(&tenant, limit);
            let kinds: Vec<&str> = lines.keys().map(String::as_str).collect();
            assert_eq!(kinds, ["event", "key", "tenant"]);
            let mut events = texts(&lines["event"], "id");
            events.sort();
            assert_eq!(events, expected, "{tier} {limit}");
            let payloads: BTreeSet<u64> =
                lines["event"].iter().map(|event| event["payload"]["n"].as_u64().unwrap()).collect();
            assert_eq!(payloads.len(), count - 1);
            let acked = lines["event"].iter().filter(|event| event["status"] == "acked").count();
            assert_eq!(acked, 5);
        }
    }
}

#[test]
fn what_has_ended_is_not_in_it_though_the_table_has_not_deleted_it_yet() {
    let (tenant, ids) = tenant_with("pro", 3, &["a"]);
    for id in &ids {
        let mut late = attempt(&tenant, id, 1);
        late["ttl"]["N"] = "1000".into();
        tables::put(&tenant, "Events", &late);
        tables::put(&tenant, "Events", &attempt(&tenant, id, 2));
    }
    let mut ended = tables::item(&tenant, &ids[1]);
    ended["ttl"]["N"] = "1000".into();
    tables::put(&tenant, "Events", &ended);
    for limit in [1, 2, 500] {
        let lines = exported(&tenant, limit);
        assert_eq!(texts(&lines["event"], "id"), [ids[0].as_str(), &ids[2]]);
        assert_eq!(texts(&lines["attempt"], "event_id"), ids);
        assert!(lines["attempt"].iter().all(|attempt| attempt["n"] == 2), "{lines:?}");
    }
}

#[test]
fn it_tells_of_keys_endpoints_and_attempts_and_no_secret() {
    let (tenant, busy, stranger) = (Tenant::new(), busy(), Tenant::new());
    let settings =
        json!({"url": busy.url(), "description": "the shop", "headers": {"authorization": "opaque"}});
    let endpoint = tenant.post("/api/endpoints", settings.to_string()).expect(201).json();
    let further = tenant.further_key(&["tenant:admin"]);
    let event = json!({"type": "a", "payload": {"n": 1}, "dedup_id": "order 1"});
    let id = tenant.post_event(event.to_string()).expect(202).id();
    let foreign = stranger.accepted("a");
    stranger.shown_as("pending", &foreign);
    tried(&tenant, &id);

    let text = pages(&further, 1000).concat();
    let secret = endpoint["secret"].as_str().unwrap();
    for untold in [secret, "opaque", &tenant.key, &further.key, &stranger.id, &foreign] {
        assert!(!text.contains(untold), "{untold}: {text}");
    }
    let lines = exported(&tenant, 1);
    assert_eq!(lines["tenant"][0]["organization_id"], tenant.id);
    assert_eq!((lines["tenant"].len(), lines["key"].len(), lines["endpoint"].len()), (1, 2, 1));
    let told = &lines["endpoint"][0];
    assert_eq!(
        (&told["description"], &told["header_names"]),
        (&json!("the shop"), &json!(["authorization"]))
    );
    let event = &lines["event"][0];
    assert_eq!((&event["id"], &event["dedup_id"]), (&json!(id), &json!("order 1")));
    assert_eq!(event["deliveries"][0]["endpoint_id"], endpoint["id"]);
    let attempt = &lines["attempt"][0];
    assert_eq!((&attempt["event_id"], &attempt["status"]), (&json!(id), &json!(503)));
    assert_eq!((lines["event"].len(), lines["attempt"].len()), (1, 1));
}

#[test]
fn large_payloads_come_whole_and_no_page_is_larger_than_an_answer_may_be() {
    let tenant = Tenant::of_tier("enterprise");
    let payloads: Vec<String> = (0..40).map(|_| large_payload(250_000)).collect();
    for payload in &payloads {
        tenant.post_event(format!(r#"{{"type":"a","payload":{payload}}}"#)).expect(202);
    }
    crate::support::eventually("all are stored", || (tenant.inbox_ids("?limit=1").len() == 1).then_some(()));
    crate::support::eventually("all are stored", || {
        (tenant.get("/api/stats").expect(200).json()["stored"] == 40).then_some(())
    });
    let pages = pages(&tenant, 1000);
    let sizes: Vec<usize> = pages.iter().map(String::len).collect();
    assert!(sizes.iter().all(|size| *size <= MAX_PAGE_BYTES) && sizes.len() >= 3, "{sizes:?}");
    let text = pages.concat();
    for payload in &payloads {
        assert_eq!(text.matches(payload.as_str()).count(), 1);
    }
    println!("40 events of 250 KB in pages of {sizes:?} bytes");
}

#[test]
fn wrong_limits_and_cursors_are_told() {
    let tenant = Tenant::new();
    for wrong in ["0", "1001", "many"] {
        tenant.get(&format!("/api/export?limit={wrong}")).problem(422, "invalid");
    }
    tenant.get("/api/export?cursor=nonsense").problem(400, "cursor-invalid");
    tenant.further_key(&["events:write"]).get("/api/export").problem(403, "forbidden");
    assert_eq!(pages(&tenant, 500).len(), 1);
}

//! The log: every event that is kept, whatever became of it, and what was tried for one of them.

mod deletion;
mod export;
mod replay;

use std::slice;

use domain::event::id::EventId;
use domain::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::queue::{fill, lease, tenant_with};
use crate::support::client::{Tenant, ids};
use crate::support::eventually;
use crate::support::receiver::{Answer, Receiver};
use crate::support::tables;

/// A page of the log.
#[track_caller]
fn page(tenant: &Tenant, query: &str) -> Value {
    tenant.get(&format!("/api/events?{query}")).expect(200).json()
}

/// Follows the cursors to the end; the ids of every page, one after the other.
fn walk(tenant: &Tenant, query: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    for _ in 0..1000 {
        let page = page(tenant, &format!("{query}&cursor={cursor}"));
        found.extend(ids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return found,
        }
    }
    panic!("it never ends");
}

/// One event, as it is read.
#[track_caller]
fn read(tenant: &Tenant, id: &str) -> Value {
    tenant.get(&format!("/api/events/{id}")).expect(200).json()
}

/// An endpoint for events of one type; its id.
pub(crate) fn endpoint(tenant: &Tenant, url: &str, event_type: &str) -> String {
    let body = json!({"url": url, "event_types": [event_type]});
    tenant.post("/api/endpoints", body.to_string()).expect(201).id()
}

fn delete_endpoint(tenant: &Tenant, id: &str) {
    tenant.call("DELETE", &format!("/api/endpoints/{id}"), &[], "").expect(204);
}

/// A receiver that wants to be asked again much later.
fn busy() -> Receiver {
    Receiver::with_script([Answer::status(503).header("retry-after", "3000")])
}

/// Waits until one attempt at an event is recorded.
fn tried(tenant: &Tenant, id: &str) -> Value {
    tried_times(tenant, id, 1)
}

/// Waits until the event is stored, and so many attempts at it are recorded.
fn tried_times(tenant: &Tenant, id: &str, times: u64) -> Value {
    eventually("it was tried", || {
        let shown = tenant.get(&format!("/api/events/{id}"));
        (shown.status == 200 && shown.json()["attempts"] == times).then(|| shown.json())
    })
}

fn accepted_at(id: &str) -> Timestamp {
    EventId::parse(id).expect("an id").accepted_at()
}

fn newest_first(oldest_first: &[String]) -> Vec<String> {
    oldest_first.iter().rev().cloned().collect()
}

/// Writes that an event was leased nine times, each lease ended without a word.
pub(crate) fn count_nine_leases(tenant: &Tenant, event: &str) {
    let pk = format!("t#{}#{}", tenant.id, EventId::parse(event).expect("an id").shard());
    let mut head = tenant.place.item("Events", &pk, event).expect("its head");
    head["lease_count"] = json!({"N": "9"});
    tenant.place.put("Events", &head);
}

#[test]
fn every_kept_event_is_listed_whatever_became_of_it() {
    let tenant = Tenant::new();
    let (taking, refusing, busy) = (Receiver::answering(200), Receiver::answering(410), busy());
    for (receiver, event_type) in [(&taking, "taken"), (&refusing, "refused"), (&busy, "tried")] {
        endpoint(&tenant, &receiver.url(), event_type);
    }
    let by_status = [
        ("pending", "free"),
        ("acked", "free"),
        ("quarantined", "poison"),
        ("delivered", "taken"),
        ("delivering", "tried"),
        ("failed", "refused"), // the last one: its notice is younger than all
    ];
    let events = by_status.map(|(status, event_type)| (status, event_type, tenant.accepted(event_type)));
    let id = |wanted| events.iter().find(|(status, ..)| *status == wanted).expect("an event").2.as_str();
    tenant.all_shown_as("pending", &["pending", "acked", "quarantined"].map(id));
    tenant.acknowledge(id("acked")).expect(200);
    count_nine_leases(&tenant, id("quarantined"));
    assert_eq!(
        lease(&tenant, &json!({"types": ["poison"]})).1,
        [id("quarantined")],
        "the last allowed lease"
    );
    for (status, event_type, id) in &events {
        tenant.stored_as(status, id);
        let listed = page(&tenant, &format!("status={status}&type={event_type}"));
        assert_eq!(ids(&listed), slice::from_ref(id), "{status}");
        let shown = &listed["events"][0];
        assert_eq!((&shown["type"], &shown["delivery_status"]), (&json!(event_type), &json!(status)));
        assert_eq!(shown["payload"], json!({"n": 1}));
    }
    let oldest_first = events.map(|(.., id)| id);
    let notice = eventually("the owner is told that the endpoint is disabled", || {
        ids(&page(&tenant, "")).into_iter().find(|id| !oldest_first.contains(id))
    });
    let everything = [oldest_first.as_slice(), &[notice]].concat();
    assert_eq!(ids(&page(&tenant, "")), newest_first(&everything));
    assert_eq!(walk(&tenant, "limit=1&order=asc"), everything);
    assert_eq!(walk(&tenant, "limit=4"), newest_first(&everything));
    assert_eq!(walk(&tenant, "type=free&order=asc&limit=1"), oldest_first[..2]);
    assert_eq!(walk(&tenant, "type=free&status=delivered"), [""; 0]);
}

#[test]
fn sixteen_shards_read_as_one_list_and_a_stretch_of_time_is_cut_out_of_it() {
    let (tenant, mut oldest_first) = tenant_with("enterprise", 60, &["even", "odd"]);
    oldest_first.extend(fill(&tenant, 60, &["even", "odd"]));
    for id in oldest_first.iter().step_by(3) {
        tenant.acknowledge(id).expect(200);
    }
    assert_eq!(walk(&tenant, "limit=7&order=asc"), oldest_first);
    assert_eq!(walk(&tenant, "limit=50"), newest_first(&oldest_first));
    let acked = tenant.stored_as("acked", &oldest_first[0]).id;
    assert_eq!(walk(&tenant, "status=acked&limit=9&order=asc").first(), Some(&acked));
    assert_eq!(walk(&tenant, "status=acked&limit=9").len(), 40);

    let (since, until) = (accepted_at(&oldest_first[60]), accepted_at(&oldest_first[119]));
    let within = |from: Timestamp, to: Timestamp| {
        let is_within = |id: &&String| (from..to).contains(&accepted_at(id));
        oldest_first.iter().filter(is_within).cloned().collect::<Vec<_>>()
    };
    let end = Timestamp::from_millis(u64::MAX);
    let start = Timestamp::from_millis(0);
    assert_eq!(walk(&tenant, &format!("since={since}&limit=13&order=asc")), within(since, end));
    assert_eq!(walk(&tenant, &format!("until={since}&limit=13&order=asc")), within(start, since));
    let between = format!("since={since}&until={until}&limit=13");
    assert_eq!(walk(&tenant, &between), newest_first(&within(since, until)));
    assert_eq!(walk(&tenant, &format!("since={until}&until={since}")), [""; 0]);
}

#[test]
fn an_event_behind_many_attempts_is_not_passed_over() {
    let (tenant, oldest_first) = tenant_with("pro", 3, &["a"]);
    for id in &oldest_first {
        for n in 1..=14 {
            tables::put(&tenant, "Events", &attempt(&tenant, id, n));
        }
    }
    for limit in [1, 2, 3] {
        assert_eq!(walk(&tenant, &format!("limit={limit}")), newest_first(&oldest_first));
        assert_eq!(walk(&tenant, &format!("limit={limit}&order=asc")), oldest_first);
    }
    assert_eq!(read(&tenant, &oldest_first[0])["deliveries"], json!([]), "of no endpoint of its own");

    for n in 15..=250 {
        tables::put(&tenant, "Events", &attempt(&tenant, &oldest_first[2], n));
    }
    let wanting = endpoint(&tenant, crate::support::receiver::closed_address(), "a");
    let sample = tenant.get(&format!("/api/endpoints/{wanting}/sample")).expect(200).json();
    let sampled = sample.as_array().expect("a list").iter().map(|event| event["id"].as_str().expect("an id"));
    assert_eq!(sampled.collect::<Vec<_>>(), newest_first(&oldest_first));
}

/// The item of an attempt, as delivery writes it.
fn attempt(tenant: &Tenant, event: &str, n: u64) -> Value {
    let endpoint = "ep_00000000000000000000000000000000";
    json!({
        "pk": {"S": format!("t#{}#{}", tenant.id, EventId::parse(event).expect("an id").shard())},
        "sk": {"S": format!("{event}#{endpoint}#{n:02}#{n}")},
        "attempted_at": {"N": n.to_string()}, "generation": {"S": "0"}, "n": {"N": n.to_string()},
        "duration_ms": {"N": "1"}, "verdict": {"S": "retry"}, "ttl": {"N": "4000000000"},
    })
}

#[test]
fn a_cursor_of_the_log_is_good_for_its_own_question_alone() {
    let (tenant, ids) = tenant_with("pro", 3, &["a"]);
    let (other, _) = tenant_with("pro", 3, &["a"]);
    let moment = accepted_at(&ids[0]);
    let cursor = page(&tenant, "limit=1")["next_cursor"].as_str().unwrap().to_owned();
    page(&tenant, &format!("limit=2&cursor={cursor}")); // the page's size is no filter
    let refused = |tenant: &Tenant, query: &str| {
        tenant.get(&format!("/api/events?{query}")).problem(400, "cursor-invalid");
    };
    refused(&other, &format!("cursor={cursor}"));
    for filter in ["order=asc", "type=a", "status=pending", &format!("since={moment}")] {
        refused(&tenant, &format!("{filter}&cursor={cursor}"));
    }
    refused(&tenant, "cursor=nonsense");
    let until = format!("until={}", accepted_at(&ids[2]));
    refused(&tenant, &format!("{until}&cursor={cursor}"));
    tenant.get(&format!("/api/inbox?cursor={cursor}")).problem(400, "cursor-invalid");
    let of_inbox = tenant.inbox("?limit=1")["next_cursor"].as_str().unwrap().to_owned();
    refused(&tenant, &format!("cursor={of_inbox}"));
}

#[test]
fn empty_values_mean_absent_and_wrong_ones_are_told() {
    let (tenant, ids) = tenant_with("pro", 2, &["a"]);
    let empty = page(&tenant, "since=&until=&type=&status=&limit=&cursor=&order=");
    assert_eq!(empty, page(&tenant, ""));
    for wrong in [
        "since=yesterday",
        "until=1",
        "since=2026-13-01T00:00:00Z",
        "type=a%0Ab",
        "status=deleted",
        "status=lost",
        "limit=0",
        "limit=1001",
        "order=up",
    ] {
        tenant.get(&format!("/api/events?{wrong}")).problem(422, "invalid");
    }
    tenant.get("/api/events/evt_1").problem(404, "not-found");
    assert_eq!(read(&tenant, &ids[0])["id"], ids[0]);
}

#[test]
fn one_event_shows_what_was_tried_at_each_endpoint() {
    let tenant = Tenant::new();
    let (taking, busy) = (Receiver::answering(200), busy());
    let failing_once = Receiver::with_script([Answer::status(500), Answer::status(200)]);
    let first = endpoint(&tenant, &taking.url(), "*");
    let second = endpoint(&tenant, &failing_once.url(), "twice");
    let third = endpoint(&tenant, &busy.url(), "open");
    let [once, twice, open, acked] =
        ["once", "twice", "open", "open"].map(|event_type| tenant.accepted(event_type));

    tenant.stored_as("delivered", &once);
    let shown = read(&tenant, &once);
    let delivery = &shown["deliveries"][0];
    assert_eq!(shown["deliveries"].as_array().map(Vec::len), Some(1));
    assert_eq!((&delivery["endpoint_id"], &delivery["url"]), (&json!(first), &json!(taking.url())));
    assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("delivered"), &json!(1)));
    assert_eq!((&delivery["next_at"], &delivery["replay_id"]), (&Value::Null, &Value::Null));
    let history = delivery["history"].as_array().unwrap();
    assert_eq!(history.len(), 1, "{history:?}");
    assert_eq!((&history[0]["n"], &history[0]["status"]), (&json!(1), &json!(200)));
    assert_eq!((&history[0]["verdict"], &history[0]["error"]), (&json!("delivered"), &Value::Null));
    assert!(history[0]["duration_ms"].is_u64() && history[0]["at"].is_string(), "{history:?}");

    let of = |shown: &Value, endpoint: &str| {
        let deliveries = shown["deliveries"].as_array().expect("deliveries").iter();
        deliveries.clone().find(|delivery| delivery["endpoint_id"] == endpoint).expect("a delivery").clone()
    };
    for id in [&open, &acked] {
        tried_times(&tenant, id, 2); // by both endpoints
    }
    let waits = of(&read(&tenant, &open), &third);
    assert_eq!((&waits["state"], &waits["history"][0]["status"]), (&json!("open"), &json!(503)));
    assert_eq!(waits["history"][0]["verdict"], "retry");
    assert!(waits["next_at"].as_str() > waits["history"][0]["at"].as_str(), "{waits}");
    tenant.acknowledge(&acked).expect(200);
    let ended = of(&read(&tenant, &acked), &third);
    assert_eq!((&ended["state"], &ended["next_at"]), (&json!("acked"), &Value::Null));
    assert_eq!(of(&read(&tenant, &acked), &first)["state"], "delivered");

    tenant.stored_as("delivered", &twice);
    delete_endpoint(&tenant, &first);
    let shown = read(&tenant, &twice);
    let (deleted, kept) = (of(&shown, &first), of(&shown, &second));
    assert_eq!((&deleted["url"], &deleted["state"]), (&Value::Null, &json!("delivered")));
    assert_eq!(kept["url"], failing_once.url());
    let told = |name: &str| {
        kept["history"].as_array().unwrap().iter().map(|one| one[name].clone()).collect::<Vec<_>>()
    };
    assert_eq!(told("n"), [1, 2]);
    assert_eq!(told("status"), [500, 200]);
    assert_eq!(told("verdict"), ["retry", "delivered"]);
    assert_eq!((&kept["attempts"], &shown["attempts"]), (&json!(2), &json!(3)));
}

#[test]
fn where_nobody_answered_the_history_says_why() {
    let (tenant, url) = (Tenant::new(), crate::support::receiver::closed_address());
    endpoint(&tenant, url, "*");
    let id = tenant.accepted("a");
    let attempt = tried(&tenant, &id)["deliveries"][0]["history"][0].take();
    assert_eq!((&attempt["status"], &attempt["answer"]), (&Value::Null, &Value::Null));
    assert!(attempt["error"].as_str().is_some_and(|error| !error.is_empty()), "{attempt}");
}

/// A payload of so many bytes that compression does not make small, as nobody would write it again: with spaces and a
/// number that has more digits than it needs.
fn large_payload(bytes: usize) -> String {
    let text: String = std::iter::repeat_with(|| format!("{:032x}", rand::random::<u128>()))
        .take(bytes.div_ceil(32))
        .collect();
    format!(r#"{{ "n": 1.50,  "text":"{}" }}"#, &text[..bytes])
}

#[test]
fn a_payload_comes_back_byte_for_byte_whatever_its_size() {
    let tenant = Tenant::new();
    for bytes in [10, 3_000, 250_000] {
        let payload = large_payload(bytes);
        let id = tenant.post_event(format!(r#"{{"type":"a","payload":{payload}}}"#)).expect(202).id();
        tenant.stored_as("pending", &id);
        let whole = tenant.get(&format!("/api/events/{id}")).expect(200).text();
        assert!(whole.contains(&format!(r#""payload":{payload},"created_at""#)), "{bytes}");
        assert!(tenant.get("/api/events?limit=1").expect(200).text().contains(&payload), "{bytes}");
    }
}

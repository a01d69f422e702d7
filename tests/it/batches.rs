//! Many events in one request.

use serde_json::{Value, json};

use crate::support::client::{Reply, Tenant, ids};
use crate::support::{eventually, tables};

fn post(tenant: &Tenant, events: &[Value]) -> Reply {
    tenant.post("/api/events/batch", json!({"events": events}).to_string())
}

fn event(n: usize) -> Value {
    json!({"type": "item", "payload": n})
}

#[test]
fn a_batch_is_accepted_in_order() {
    let tenant = Tenant::new();
    let answer = post(&tenant, &(0..25).map(event).collect::<Vec<_>>()).expect(202).json();
    assert_eq!(
        (&answer["accepted"], &answer["duplicate"], &answer["rejected"]),
        (&json!(25), &json!(0), &json!(0))
    );
    let results = answer["results"].as_array().unwrap();
    let page = eventually("all 25 are in the inbox", || {
        let page = tenant.inbox("");
        (ids(&page).len() == 25).then_some(page)
    });
    for (index, result) in results.iter().enumerate() {
        assert_eq!((&result["index"], &result["status"]), (&json!(index), &json!("accepted")));
        let events = page["events"].as_array().unwrap();
        let shown = events.iter().find(|event| event["id"] == result["id"]).unwrap();
        assert_eq!(shown["payload"], index);
    }
}

#[test]
fn a_bad_item_harms_none_of_its_neighbours() {
    let tenant = Tenant::new();
    let first = tenant.post_event(r#"{"type":"item","payload":0,"dedup_id":"one"}"#).expect(202).id();
    let answer = post(
        &tenant,
        &[
            event(0),
            json!({"payload": 1}),
            json!({"type": "item", "payload": 0, "dedup_id": "one"}),
            json!({"type": "item", "payload": 9, "dedup_id": "one"}),
            json!("no event"),
            json!({"type": "item", "payload": "x".repeat(256 * 1024)}),
            event(6),
        ],
    );
    let answer = answer.expect(207).json();
    assert_eq!(
        (&answer["accepted"], &answer["duplicate"], &answer["rejected"]),
        (&json!(2), &json!(1), &json!(4))
    );
    let results = answer["results"].as_array().unwrap();
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_str().unwrap()).collect();
    assert_eq!(
        statuses,
        ["accepted", "rejected", "duplicate", "rejected", "rejected", "rejected", "accepted"]
    );
    assert!(results.iter().enumerate().all(|(index, result)| result["index"] == index), "{results:#?}");
    assert_eq!(results[2]["id"], first);
    assert_eq!(results[1]["error"]["status"], 422);
    assert_eq!(results[1]["error"]["errors"][0]["pointer"], "/type");
    assert_eq!(results[3]["error"]["type"], "urn:triggers:problem:idempotency-mismatch");
    assert_eq!(results[4]["error"]["status"], 422);
    assert_eq!(results[5]["error"]["status"], 413);
    for index in [1, 3, 4, 5] {
        assert_eq!(results[index].get("id"), None, "{}", results[index]);
    }

    let mut expected = vec![first];
    expected.extend([0, 6].map(|index| results[index]["id"].as_str().unwrap().to_owned()));
    tenant.all_shown_as("pending", &expected);
    let mut stored: Vec<_> = tables::all_stored(&tenant, 1).into_iter().map(|head| head.id).collect();
    stored.sort();
    expected.sort();
    assert_eq!(stored, expected);
}

#[test]
fn a_batch_may_have_500_events_and_not_one_more() {
    let tenant = Tenant::of_tier("business");
    let most: Vec<_> = (0..500).map(event).collect();
    let answer = post(&tenant, &most).expect(202).json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(500), &json!(0)));
    let more: Vec<_> = (0..501).map(event).collect();
    let document = post(&tenant, &more).problem(422, "invalid");
    assert_eq!(document["errors"][0]["pointer"], "/events");
    eventually("all 500 are stored", || (tables::all_stored(&tenant, 4).len() >= 500).then_some(()));
    assert_eq!(tables::all_stored(&tenant, 4).len(), 500, "and nothing of the refused one");
}

#[test]
fn a_batch_may_have_a_mebibyte_and_not_one_byte_more() {
    let tenant = Tenant::of_tier("business");
    let of_bytes = |length: usize| {
        let item = |text: &str| json!({"type": "item", "payload": text});
        let frame = json!({"events": vec![item(""); 5]}).to_string().len();
        let (rest, part) = (length - frame - 4 * 200_000, "x".repeat(200_000));
        let mut items = vec![item(&part); 4];
        items.push(item(&"x".repeat(rest)));
        let body = json!({"events": items}).to_string();
        assert_eq!(body.len(), length);
        body
    };
    let answer = tenant.post("/api/events/batch", of_bytes(1024 * 1024)).expect(202).json();
    assert_eq!(answer["accepted"], 5);
    tenant.post("/api/events/batch", of_bytes(1024 * 1024 + 1)).problem(413, "too-large");
}

#[test]
fn a_batch_of_another_shape_is_refused_as_a_whole() {
    let tenant = Tenant::new();
    tenant.post("/api/events/batch", "{").problem(400, "malformed");
    for body in ["[]", "{}", r#"{"events":7}"#, r#"{"events":[],"more":1}"#] {
        tenant.post("/api/events/batch", body).problem(422, "invalid");
    }
}

#[test]
fn a_batch_sent_again_under_its_idempotency_key_stores_nothing_twice() {
    let tenant = Tenant::new();
    let send = || {
        let headers = [("content-type", "application/json"), ("idempotency-key", "batch 1")];
        tenant.call(
            "POST",
            "/api/events/batch",
            &headers,
            json!({"events": [event(0), event(0)]}).to_string(),
        )
    };
    let ids_of = |answer: &Value| {
        let results = answer["results"].as_array().unwrap();
        results.iter().map(|result| result["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = ids_of(&send().expect(202).json());
    assert_ne!(first[0], first[1], "two items are two events, alike or not");
    assert_eq!(ids_of(&send().json()), first);
    tenant.all_shown_as("pending", &first);
    assert_eq!(tables::all_stored(&tenant, 1).len(), 2);
}

#[test]
fn an_array_of_its_members_is_no_object() {
    let tenant = Tenant::new();
    tenant.post_event(r#"["a",1,"x"]"#).problem(422, "invalid");
    tenant.post("/api/events/batch", r#"[[{"type":"a","payload":1}]]"#).problem(422, "invalid");
    tenant.post("/api/events/batch", "[[").problem(400, "malformed");
    let answer = tenant.post("/api/events/batch", r#"{"events":[["a",1,"x"]]}"#).expect(207).json();
    assert_eq!(answer["results"][0]["error"]["status"], 422);
    tenant.post("/api/keys", r#"["a",["inbox:read"]]"#).problem(422, "invalid");
    assert!(tenant.inbox_ids("").is_empty());
}

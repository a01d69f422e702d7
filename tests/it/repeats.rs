//! What real clients do when they send something a second time.

use http::StatusCode;
use runtime::answer::Answer;
use serde_json::{Value, json};
use store::envelope::read_event;
use store::testing::faults::Fault;

use crate::pipeline::{Pipeline, id_of};

const JSON: (&str, &str) = ("content-type", "application/json");

/// The calls of a first post with one name before its claim: key, lease, two looks at the backpressure, use of the key.
const BEFORE_CLAIM: usize = 5;

fn body(answer: &Answer) -> Value {
    serde_json::from_str(answer.body()).unwrap()
}

fn is_replayed(answer: &Answer) -> bool {
    answer.headers().get("idempotency-replayed").is_some_and(|value| value == "true")
}

async fn post_with_key(pipeline: &Pipeline, key: &str, body: &str) -> Answer {
    pipeline.post_with("/api/events", &[JSON, ("idempotency-key", key)], body.as_bytes()).await
}

async fn post_batch(pipeline: &Pipeline, key: &str, items: &[Value]) -> Vec<Value> {
    let batch = json!({"events": items}).to_string();
    let headers = [JSON, ("idempotency-key", key)];
    let answer = pipeline.post_with("/api/events/batch", &headers, batch.as_bytes()).await;
    body(&answer)["results"].as_array().unwrap().clone()
}

/// The payloads in the queue, in order.
fn queued(pipeline: &Pipeline) -> Vec<String> {
    pipeline.events_queue.bodies().iter().map(|body| read_event(body).unwrap().payload).collect()
}

#[track_caller]
fn is_mismatch(answer: &Answer, name: &str, first: &Answer) {
    let problem = body(answer);
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    assert_eq!(problem["type"], "urn:triggers:problem:idempotency-mismatch");
    let first = id_of(first).to_string();
    assert_eq!(problem["id"], first);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(name) && detail.contains(&first), "{detail}");
}

/// Posts five events; afterwards ingest knows the key, and holds the tokens for three more.
async fn warm(pipeline: &Pipeline) {
    for n in 0..5 {
        pipeline.post_event(&format!("warm {n}")).await;
    }
}

#[tokio::test]
async fn a_cloudevent_sent_again_is_a_duplicate_whatever_else_differs() {
    let pipeline = Pipeline::with_endpoints(0);
    let structured = ("content-type", "application/cloudevents+json");
    let binary = [("ce-specversion", "1.0"), ("ce-id", "7"), ("ce-source", "/shop"), ("ce-type", "a")];
    let event = r#"{"specversion":"1.0","id":"7","source":"/shop","type":"a","time":"2026-11-28T17:00:00Z"}"#;
    let first = pipeline.post_with("/api/events", &[structured], event.as_bytes()).await;
    assert_eq!((first.status(), is_replayed(&first)), (StatusCode::ACCEPTED, false));

    let later = event.replace("17:00", "18:00");
    let other = event.replace("\"time\"", "\"data\":2,\"traceparent\":\"00-01\",\"time\"");
    let mut repeats = Vec::new();
    for body in [event, &later, &other] {
        repeats.push(pipeline.post_with("/api/events", &[structured], body.as_bytes()).await);
    }
    repeats.push(pipeline.post_with("/api/events", &[&binary[..], &[JSON]].concat(), b"1").await);
    for repeat in &repeats {
        assert_eq!((repeat.status(), is_replayed(repeat)), (StatusCode::ACCEPTED, true), "{}", repeat.body());
        assert_eq!((id_of(repeat), &body(repeat)["status"]), (id_of(&first), &json!("duplicate")));
    }
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.only_head().id, id_of(&first));
}

#[tokio::test]
async fn the_same_json_in_another_spelling_is_the_same_content() {
    let pipeline = Pipeline::with_endpoints(0);
    let spellings = [
        r#"{"type":"a","payload":{"a":1,"b":"A"},"dedup_id":"x"}"#,
        r#"{"dedup_id":"x","payload":{ "b":"\u0041", "a":1 },"type":"\u0061"}"#,
    ];
    let first = pipeline.post("/api/events", spellings[0]).await;
    let repeat = pipeline.post("/api/events", spellings[1]).await;
    assert_eq!((repeat.status(), id_of(&repeat)), (StatusCode::CONFLICT, id_of(&first)));
    let other = spellings[0].replace("\"a\":1", "\"a\":1.0");
    is_mismatch(&pipeline.post("/api/events", &other).await, "`/dedup_id`", &first);

    let [plain, spaced] = [r#"{"type":"a","payload":[1,2]}"#, r#"{"type":"a","payload":[1, 2]}"#];
    let first = post_with_key(&pipeline, "k", plain).await;
    let replay = post_with_key(&pipeline, "k", spaced).await;
    assert_eq!(
        (replay.status(), is_replayed(&replay), id_of(&replay)),
        (StatusCode::ACCEPTED, true, id_of(&first))
    );
    let other = post_with_key(&pipeline, "k", r#"{"type":"a","payload":[2,1]}"#).await;
    is_mismatch(&other, "Idempotency-Key", &first);
}

#[tokio::test]
async fn a_client_that_only_saw_503_gets_202() {
    let named = r#"{"type":"a","payload":1,"dedup_id":"x"}"#;
    let plain = r#"{"type":"a","payload":1}"#;
    for fault in Fault::ALL {
        for (key, event) in [(None, named), (Some("k"), plain), (Some("k"), named)] {
            let claims = usize::from(key.is_some()) + usize::from(event == named);
            for first_fault in 0..=claims {
                let pipeline = Pipeline::with_endpoints(0);
                let post = async || match key {
                    Some(key) => post_with_key(&pipeline, key, event).await,
                    None => pipeline.post("/api/events", event).await,
                };
                for call in [BEFORE_CLAIM + first_fault, claims] {
                    pipeline.faults.fail_at(call, fault); // a claim or the message, and then the message
                    let refused = post().await;
                    assert!(pipeline.faults.recover());
                    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "{}", refused.body());
                }
                let first = post().await;
                assert_eq!((first.status(), is_replayed(&first)), (StatusCode::ACCEPTED, false));
                assert_eq!(body(&first)["status"], "accepted");
                let again = post().await;
                assert_eq!(id_of(&again), id_of(&first));
                let is_known =
                    if key.is_some() { is_replayed(&again) } else { again.status() == StatusCode::CONFLICT };
                assert!(is_known, "the second 202 was seen: {}", again.body());
                pipeline.run_until_quiet().await;
                assert_eq!(pipeline.only_head().id, id_of(&first));
            }
        }
    }
}

#[tokio::test]
async fn an_item_of_a_batch_that_was_answered_503_is_accepted_the_next_time() {
    let pipeline = Pipeline::with_endpoints(0);
    let item = |name: &str| json!({"type": "a", "payload": 1, "dedup_id": name});
    let batch = json!({"events": [item("x"), item("x"), item("y")]}).to_string();
    warm(&pipeline).await;
    pipeline.faults.fail_at(3, Fault::AnswerLost); // three claims, then the message of the first two items
    let refused = body(&pipeline.post("/api/events/batch", &batch).await);
    assert!(pipeline.faults.recover());
    assert_eq!((&refused["accepted"], &refused["rejected"]), (&json!(1), &json!(2)), "{refused}");
    for statuses in [["accepted", "duplicate", "duplicate"], ["duplicate"; 3]] {
        let again = body(&pipeline.post("/api/events/batch", &batch).await);
        assert_eq!([0, 1, 2].map(|index| again["results"][index]["status"].clone()), statuses, "{again}");
    }
}

#[tokio::test]
async fn with_both_names_the_key_is_judged_first_and_each_holds() {
    let pipeline = Pipeline::with_endpoints(0);
    let event = |payload: u8, dedup_id: &str| {
        json!({"type": "a", "payload": payload, "dedup_id": dedup_id}).to_string()
    };
    let first = post_with_key(&pipeline, "k", &event(1, "x")).await;
    let replay = post_with_key(&pipeline, "k", &event(1, "x")).await;
    assert_eq!(
        (replay.status(), is_replayed(&replay), id_of(&replay)),
        (StatusCode::ACCEPTED, true, id_of(&first))
    );
    let by_name = pipeline.post("/api/events", &event(1, "x")).await;
    assert_eq!((by_name.status(), id_of(&by_name)), (StatusCode::CONFLICT, id_of(&first)));
    for _ in 0..2 {
        let other_key = post_with_key(&pipeline, "l", &event(1, "x")).await;
        assert_eq!((other_key.status(), id_of(&other_key)), (StatusCode::CONFLICT, id_of(&first)));
    }
    is_mismatch(&post_with_key(&pipeline, "k", &event(2, "x")).await, "Idempotency-Key", &first);
    is_mismatch(&post_with_key(&pipeline, "m", &event(2, "x")).await, "`/dedup_id`", &first);
    let corrected = post_with_key(&pipeline, "m", &event(2, "y")).await;
    assert_eq!((corrected.status(), is_replayed(&corrected)), (StatusCode::ACCEPTED, false), "its first 202");
    pipeline.run_until_quiet().await;
    let stored: Vec<_> = pipeline.tables.all_heads().into_iter().map(|(_, head)| head.id).collect();
    assert_eq!(stored.len(), 2);
    assert!([&first, &corrected].iter().all(|answer| stored.contains(&id_of(answer))));
}

#[tokio::test]
async fn a_part_of_a_batch_can_be_sent_again_under_its_key() {
    let pipeline = Pipeline::with_endpoints(0);
    let [one, two] = [1, 2].map(|n| json!({"type": "a", "payload": {"n": n, "of": "batch"}}));
    let three = json!({"type": "a", "payload": 3, "dedup_id": "three"});
    let first = post_batch(&pipeline, "k", &[one.clone(), two.clone(), one.clone(), three.clone()]).await;
    assert_ne!(first[0]["id"], first[2]["id"], "two items are two events, alike or not");
    let part = post_batch(&pipeline, "k", &[three, two, one]).await;
    for (again, before) in [(0, 3), (1, 1), (2, 0)] {
        assert_eq!((&part[again]["id"], &part[again]["status"]), (&first[before]["id"], &json!("accepted")));
    }
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.tables.all_heads().len(), 4);
}

#[tokio::test]
async fn of_two_items_of_one_name_the_first_wins() {
    for _ in 0..20 {
        let pipeline = Pipeline::with_endpoints(0);
        let item = |n: u8| json!({"type": "a", "payload": n, "dedup_id": "x"});
        let batch = json!({"events": [item(1), item(2), item(1), item(2)]}).to_string();
        let answer = body(&pipeline.post("/api/events/batch", &batch).await);
        let results = answer["results"].as_array().unwrap();
        let statuses: Vec<_> = results.iter().map(|result| result["status"].as_str().unwrap()).collect();
        assert_eq!(statuses, ["accepted", "rejected", "duplicate", "rejected"]);
        assert_eq!(results[2]["id"], results[0]["id"]);
        assert_eq!(queued(&pipeline), ["1"], "one message");
    }
    let pipeline = Pipeline::with_endpoints(0);
    let event = |n: u8| json!({"specversion": "1.0", "id": "7", "source": "/s", "type": "a", "data": n});
    let headers = [("content-type", "application/cloudevents-batch+json")];
    let batch = json!([event(1), event(2)]).to_string();
    let answer = body(&pipeline.post_with("/api/events", &headers, batch.as_bytes()).await);
    assert_eq!((&answer["accepted"], &answer["duplicate"]), (&json!(1), &json!(1)));
    assert_eq!(queued(&pipeline), [event(1).to_string()]);
}

#[tokio::test]
async fn if_the_claim_of_the_first_item_is_not_known_no_later_item_takes_its_place() {
    for fault in Fault::ALL {
        let pipeline = Pipeline::with_endpoints(0);
        warm(&pipeline).await;
        let item = |n: u8| json!({"type": "a", "payload": n, "dedup_id": "x"});
        let batch = json!({"events": [item(1), item(2)]}).to_string();
        pipeline.faults.fail_at(0, fault); // the claim of the first item
        let refused = body(&pipeline.post("/api/events/batch", &batch).await);
        assert!(pipeline.faults.recover());
        assert_eq!(refused["rejected"], 2, "{refused}");
        let statuses = [0, 1].map(|index| refused["results"][index]["error"]["status"].as_u64());
        assert_eq!(statuses, [Some(503), Some(503)]);
        let first = pipeline.post("/api/events", &item(1).to_string()).await;
        assert_eq!(first.status(), StatusCode::ACCEPTED, "{}", first.body());
    }
}

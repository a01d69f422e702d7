//! A client's own name makes one event of any number of posts.

use std::collections::HashSet;
use std::thread;

use serde_json::json;

use crate::support::client::{Reply, Tenant};
use crate::support::receiver::Receiver;
use crate::support::tables;

fn post(tenant: &Tenant, payload: u32, dedup_id: &str) -> Reply {
    tenant.post_event(json!({"type": "a", "payload": payload, "dedup_id": dedup_id}).to_string())
}

fn post_with_key(tenant: &Tenant, payload: u32, idempotency_key: &str) -> Reply {
    let headers = [("content-type", "application/json"), ("idempotency-key", idempotency_key)];
    tenant.call("POST", "/api/events", &headers, json!({"type": "a", "payload": payload}).to_string())
}

/// Checks that a tenant has exactly these events.
fn stored_are(tenant: &Tenant, ids: &[&String]) {
    tenant.all_shown_as("pending", ids);
    let stored: HashSet<_> = tables::all_stored(tenant, 1).into_iter().map(|head| head.id).collect();
    assert_eq!(stored, ids.iter().map(|id| (*id).clone()).collect());
}

#[test]
fn a_second_post_with_the_same_dedup_id_answers_409_with_the_first_id() {
    let tenant = Tenant::new();
    let first = post(&tenant, 1, "order 1").expect(202).id();
    for _ in 0..3 {
        let repeat = post(&tenant, 1, "order 1").expect(409);
        assert_eq!((repeat.id(), &repeat.json()["status"]), (first.clone(), &json!("duplicate")));
        assert!(repeat.header("x-request-id").is_some());
    }
    let other = post(&tenant, 1, "order 2").expect(202).id();
    stored_are(&tenant, &[&first, &other]);
}

#[test]
fn the_same_dedup_id_with_other_content_is_refused() {
    let tenant = Tenant::new();
    let first = post(&tenant, 1, "order 1").expect(202).id();
    post(&tenant, 2, "order 1").problem(422, "idempotency-mismatch");
    let other_type = tenant.post_event(r#"{"type":"b","payload":1,"dedup_id":"order 1"}"#);
    other_type.problem(422, "idempotency-mismatch");
    let other_bytes = tenant.post_event(r#"{"type":"a","payload":1.0,"dedup_id":"order 1"}"#);
    other_bytes.problem(422, "idempotency-mismatch");
    stored_are(&tenant, &[&first]);
}

#[test]
fn an_idempotency_key_replays_the_first_202() {
    let tenant = Tenant::new();
    let first = post_with_key(&tenant, 1, "request 1").expect(202);
    assert_eq!(first.header("idempotency-replayed"), None);
    let replay = post_with_key(&tenant, 1, "request 1").expect(202);
    assert_eq!(replay.header("idempotency-replayed"), Some("true"));
    assert_eq!(replay.json(), first.json());
    post_with_key(&tenant, 2, "request 1").problem(422, "idempotency-mismatch");
    let shown = tenant.shown_as("pending", &first.id());
    assert_eq!(shown.get("dedup_id"), None, "the key names the request, not the event");
    stored_are(&tenant, &[&first.id()]);
}

#[test]
fn a_dedup_id_and_an_idempotency_key_of_the_same_text_never_meet() {
    let tenant = Tenant::new();
    let by_name = post(&tenant, 1, "same").expect(202).id();
    let by_key = post_with_key(&tenant, 2, "same").expect(202).id();
    stored_are(&tenant, &[&by_name, &by_key]);
}

#[test]
fn two_tenants_with_the_same_dedup_id_never_meet() {
    let (one, two) = (Tenant::new(), Tenant::new());
    let of_one = post(&one, 1, "order 1").expect(202).id();
    let of_two = post(&two, 2, "order 1").expect(202).id();
    assert_eq!(post(&one, 1, "order 1").expect(409).id(), of_one);
    assert_eq!(post(&two, 2, "order 1").expect(409).id(), of_two);
    stored_are(&one, &[&of_one]);
    stored_are(&two, &[&of_two]);
}

#[test]
fn sixteen_posts_at_once_make_one_event() {
    let (tenant, receiver) = (Tenant::new(), Receiver::answering(200));
    tenant.set_webhook(&receiver.url());
    let replies: Vec<Reply> = thread::scope(|scope| {
        let posts: Vec<_> = (0..16).map(|_| scope.spawn(|| post(&tenant, 1, "at once"))).collect();
        posts.into_iter().map(|post| post.join().unwrap()).collect()
    });
    let ids: HashSet<String> = replies.iter().map(Reply::id).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let count = |status| replies.iter().filter(|reply| reply.status == status).count();
    assert_eq!((count(202), count(409)), (1, 15));

    let id = ids.into_iter().next().unwrap();
    tenant.stored_as("delivered", &id);
    let after = post(&tenant, 1, "afterwards").expect(202).id();
    tenant.stored_as("delivered", &after);
    assert_eq!(tables::all_stored(&tenant, 1).len(), 2, "the one event and the one sent afterwards");
    let of_event = receiver.received().iter().filter(|webhook| webhook.id() == id).count();
    assert!(of_event >= 1, "at least once");
    println!("16 posts at once: 1 event, {of_event} webhooks");
}

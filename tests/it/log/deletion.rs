//! Deleting an event: nothing of it is left, and nothing brings it back.

use std::collections::BTreeSet;

use domain::delivery::DeliveryMessage;
use domain::delivery::attempt::Attempt;
use domain::delivery::verdict::Answer as Outcome;
use domain::delivery::verdict::Verdict;
use domain::testing::START;
use serde_json::{Value, json};

use super::{busy, endpoint, large_payload, page, tried};
use crate::pipeline::Pipeline;
use crate::support::client::{Reply, Tenant, ids};
use crate::support::receiver::Receiver;
use crate::support::{eventually, tables};

fn delete(tenant: &Tenant, id: &str) -> Reply {
    tenant.call("DELETE", &format!("/api/events/{id}"), &[], "")
}

/// Waits until so many events have left their queue.
fn consumed(tenant: &Tenant, count: u64) {
    eventually("they were taken from their queue", || {
        (tenant.get("/api/stats").expect(200).json()["accepted"] == count).then_some(())
    });
}

/// Checks that the table holds nothing of an event but that it was deleted.
#[track_caller]
fn nothing_is_left(tenant: &Tenant, id: &str) {
    let left = tables::all_of(tenant, id);
    assert_eq!(left.len(), 1, "{left:#?}");
    let names: BTreeSet<&str> = left[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["deliveries", "pk", "rev", "sk", "status", "ttl", "type"].into());
    assert_eq!((&left[0]["status"]["S"], &left[0]["type"]["S"]), (&json!("deleted"), &json!("deleted")));
    assert_eq!(left[0]["deliveries"]["M"], json!({}));
}

#[test]
fn a_deleted_event_is_gone_everywhere_and_its_repeat_does_not_bring_it_back() {
    for bytes in [10, 3_000, 250_000] {
        let (tenant, busy) = (Tenant::new(), busy());
        let endpoint = endpoint(&tenant, &busy.url(), "*");
        let event = format!(r#"{{"type":"a","payload":{},"dedup_id":"one"}}"#, large_payload(bytes));
        let id = tenant.post_event(event.clone()).expect(202).id();
        tried(&tenant, &id);
        let before = tables::all_of(&tenant, &id);
        assert_eq!(before.len(), if bytes < 700 { 2 } else { 3 }, "a head, an attempt, a large payload");

        delete(&tenant, &id).expect(204);
        nothing_is_left(&tenant, &id);
        assert_eq!((ids(&page(&tenant, "")), tenant.inbox_ids("")), (vec![], vec![]));
        tenant.get(&format!("/api/events/{id}")).problem(404, "not-found");
        tenant.acknowledge(&id).problem(404, "not-found");
        tenant.post(&format!("/api/events/{id}/replay"), "").problem(404, "not-found");
        let attempts = tenant.get(&format!("/api/endpoints/{endpoint}/attempts")).expect(200).json();
        eventually("nothing is listed of its attempts", || (attempts["attempts"] == json!([])).then_some(()));

        assert_eq!(tenant.post_event(event).expect(409).id(), id);
        consumed(&tenant, 2);
        nothing_is_left(&tenant, &id);
        assert_eq!(delete(&tenant, &id).expect(204).text(), "");
        nothing_is_left(&tenant, &id);
        assert_eq!(busy.received().len(), 1);
    }
}

#[test]
fn a_webhook_that_is_under_way_leaves_nothing_of_a_deleted_event() {
    for status in [200, 500] {
        let (tenant, receiver) = (Tenant::new(), Receiver::answering(status));
        receiver.hold();
        let endpoint = endpoint(&tenant, &receiver.url(), "*");
        let id = tenant.accepted("a");
        receiver.wait_for(1);
        delete(&tenant, &id).expect(204);
        receiver.release();
        let shown = || tenant.get(&format!("/api/endpoints/{endpoint}")).expect(200).json();
        if status == 500 {
            eventually("its failure is known", || (shown()["failures"] == 1).then_some(()));
        } else {
            tried(&tenant, &tenant.accepted("another"));
        }
        nothing_is_left(&tenant, &id);
        tenant.get(&format!("/api/events/{id}")).problem(404, "not-found");
        assert_eq!(tenant.inbox_ids(""), [""; 0]);
        assert_eq!(shown()["last_error"].is_null(), status == 200);
    }
}

#[tokio::test]
async fn an_attempt_whose_process_died_after_logging_it_goes_with_its_deleted_event() {
    let (pipeline, id) = Pipeline::stored_event(1).await;
    let (head, first) = (pipeline.only_head(), pipeline.delivery_messages().remove(0));
    let message = DeliveryMessage { fresh: false, ..first }; // as whoever comes back to it reads
    let attempt = Attempt {
        message: message.clone(),
        at: START,
        duration_ms: 5,
        answer: Outcome::Status { code: 500, retry_after: None, excerpt: "no".to_owned() },
        verdict: Verdict::RetryAt(START),
    };
    pipeline.events.log_attempt(&attempt, head.expires_at).await.unwrap();
    pipeline.events.put_tombstone(&pipeline.tenant, &head.tombstone(START)).await.unwrap();
    pipeline.drop_deliveries();
    pipeline.deliver_again(&message).await;
    assert_eq!((pipeline.tables.attempts(), pipeline.webhooks.received().len()), (vec![], 0));
    assert_eq!(pipeline.only_head(), head.tombstone(START));
    assert_eq!(pipeline.only_head().id, id);
}

#[test]
fn only_who_administers_a_tenant_deletes_and_only_what_is_there() {
    let tenant = Tenant::new();
    let id = tenant.accepted("a");
    tenant.shown_as("pending", &id);
    let reader = tenant.further_key(&["inbox:read", "inbox:ack"]);
    delete(&reader, &id).problem(403, "forbidden");
    delete(&Tenant::new(), &id).problem(404, "not-found");
    delete(&tenant, "evt_1").problem(404, "not-found");
    assert_eq!(tenant.inbox_ids(""), [id]);
}

#[test]
fn a_deleted_event_waits_no_more_and_counts_once() {
    let tenant = Tenant::new();
    let (gone, left) = (tenant.accepted("a"), tenant.accepted("a"));
    tenant.all_shown_as("pending", &[&gone, &left]);
    let pending = || tenant.get("/api/stats").expect(200).json()["pending"].take();
    eventually("both wait", || (pending() == 2).then_some(()));
    for _ in 0..2 {
        delete(&tenant, &gone).expect(204);
    }
    eventually("one waits", || (pending() == 1).then_some(()));
    let lease = tenant.post("/api/inbox/lease", "{}").expect(200).json();
    assert_eq!(lease["results"].as_array().map(Vec::len), Some(1));
    delete(&tenant, &left).expect(204);
    let late = json!({"lease_id": lease["lease_id"]});
    tenant.post("/api/inbox/ack", late.to_string()).problem(409, "lease-lost");
    assert_eq!(page(&tenant, "")["events"], Value::Array(vec![]));
}

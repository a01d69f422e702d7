//! Events that are not taken: their owner gets a notice before they expire. The clock of these
//! stories jumps over weeks.

use std::time::Duration;

use domain::event::id::EventId;
use domain::inbox::expiry::ExpiryBatch;
use domain::inbox::notice_type::EXPIRING;
use domain::inbox::{Head, Status};
use domain::tenant::tier::Tier;
use domain::testing::START;
use serde_json::{Value, json};
use store::clock::Clock;
use store::testing::faults::Fault;

use crate::pipeline::{Pipeline, id_of};

/// More calls than one visit makes.
const MANY: usize = 80;

/// Posts an event and stores it.
async fn stored(pipeline: &Pipeline, name: &str) -> EventId {
    let id = id_of(&pipeline.post_event(name).await);
    pipeline.consume().await;
    id
}

/// Reads the notices of expiry, with their payloads.
async fn notices(pipeline: &Pipeline) -> Vec<(Head, Value)> {
    let mut notices = Vec::new();
    for (tenant, head) in pipeline.tables.all_heads() {
        if head.event_type.as_str() == EXPIRING {
            let found = pipeline.events.head(&tenant, head.id).await.unwrap().unwrap();
            let payload = pipeline.events.payload(&tenant, &found).await.unwrap().unwrap();
            notices.push((head, serde_json::from_str(&payload).unwrap()));
        }
    }
    notices
}

/// The one row, and its time.
fn only_row(pipeline: &Pipeline) -> ExpiryBatch {
    let rows = pipeline.tables.expiring();
    assert_eq!(rows.len(), 1, "one for all events of a day: {rows:?}");
    rows[0].clone()
}

fn acknowledge(pipeline: &Pipeline, id: EventId) {
    let head = pipeline.tables.head(&pipeline.tenant, id).unwrap();
    pipeline.tables.overwrite_head(&pipeline.tenant, &head.acknowledge().unwrap());
}

#[tokio::test]
async fn an_event_that_nobody_takes_is_announced_before_it_ends() {
    let pipeline = Pipeline::with_endpoints(0);
    let oldest = stored(&pipeline, "one").await;
    pipeline.clock.advance(Duration::from_mins(30));
    for name in ["two", "taken"] {
        stored(&pipeline, name).await;
    }
    let newest = pipeline.tables.all_heads().iter().map(|(_, head)| head.id).max().unwrap();
    acknowledge(&pipeline, newest);
    let row = only_row(&pipeline);

    pipeline.run_until(row.notice_at()).await;
    pipeline.schedule().await;
    assert_eq!(notices(&pipeline).await, [], "it is not time yet");
    pipeline.clock.advance(Duration::from_mins(1));
    for _ in 0..3 {
        pipeline.schedule().await;
    }
    let sent = notices(&pipeline).await;
    let [(head, payload)] = sent.as_slice() else { panic!("one notice: {sent:?}") };
    assert_eq!((payload["count"].as_u64(), &payload["count_is_exact"]), (Some(2), &json!(true)));
    assert_eq!(
        (&payload["day"], &payload["oldest_event_id"]),
        (&json!("2023-11-14"), &json!(oldest.to_string()))
    );
    let ends = pipeline.tables.head(&pipeline.tenant, oldest).unwrap().expires_at;
    assert_eq!(payload["first_expires_at"], ends.to_string());
    assert!(ends.since(pipeline.clock.now()) >= Duration::from_hours(24), "there is time left");
    assert_eq!((head.status, head.deliveries.len()), (Status::Pending, 0));
    assert!(!head.is_expired_or_deleted(ends), "it is there as long as they are");
    assert_eq!(pipeline.tables.expiring(), []);
    let waiting = pipeline.limits.backlog(&pipeline.tenant).await.unwrap();
    assert_eq!(waiting.count(Tier::Pro, pipeline.clock.now()), 4, "three were stored, and this one");

    pipeline.clock.set(head.expires_at);
    pipeline.schedule().await;
    assert_eq!(notices(&pipeline).await.len(), 1, "a notice has no notice of its own");
}

#[tokio::test]
async fn an_event_that_somebody_took_is_not_announced() {
    let pipeline = Pipeline::with_endpoints(1);
    pipeline.webhooks.answer_by(|_, _| Some(500));
    let acked = stored(&pipeline, "acknowledged").await;
    stored(&pipeline, "delivered").await;
    pipeline.deliver().await;
    acknowledge(&pipeline, acked);
    pipeline.webhooks.answer_by(|_, _| Some(200));
    pipeline.run_until_quiet().await;
    let row = only_row(&pipeline);
    assert!(pipeline.clock.now() < START.after(Duration::from_hours(1)), "nobody waits for that row");
    pipeline.clock.set(row.notice_at().after(Duration::from_mins(1)));
    pipeline.schedule().await;
    assert_eq!((notices(&pipeline).await, pipeline.tables.expiring()), (vec![], vec![]));
}

#[tokio::test]
async fn an_event_whose_endpoint_is_down_is_announced_too_and_each_day_by_itself() {
    let pipeline = Pipeline::with_endpoints(1);
    pipeline.webhooks.answer_by(|_, _| Some(503));
    for day in 0..3 {
        pipeline.run_until(START.after(Duration::from_hours(24 * day))).await;
        stored(&pipeline, &format!("order-{day}")).await;
        pipeline.deliver().await;
    }
    let rows = pipeline.tables.expiring();
    assert_eq!(rows.len(), 3);
    pipeline.run_until_quiet().await; // the endpoint is disabled at last
    for (number, row) in rows.iter().enumerate() {
        pipeline.clock.set(row.notice_at().after(Duration::from_mins(1)));
        pipeline.schedule().await;
        assert_eq!(notices(&pipeline).await.len(), number + 1);
    }
    let counts: Vec<u64> =
        notices(&pipeline).await.iter().map(|(_, payload)| payload["count"].as_u64().unwrap()).collect();
    assert!(
        counts.iter().all(|count| (1..=2).contains(count)),
        "the notices of that day are counted too: {counts:?}"
    );
}

#[tokio::test]
async fn the_notice_is_sent_once_wherever_the_scheduler_dies() {
    let mut spoiled = 0;
    for fault in Fault::ALL {
        for call in 0..MANY {
            let pipeline = Pipeline::with_endpoints(0);
            stored(&pipeline, "one").await;
            pipeline.clock.set(only_row(&pipeline).notice_at().after(Duration::from_mins(1)));
            pipeline.faults.die_at(call, fault);
            pipeline.schedule().await;
            spoiled += usize::from(pipeline.faults.recover());
            pipeline.schedule().await;
            assert_eq!(notices(&pipeline).await.len(), 1, "{fault:?} at {call}");
            assert_eq!(pipeline.tables.expiring(), [], "{fault:?} at {call}");
        }
    }
    println!("{spoiled} deaths while a notice was sent");
    assert!((2 * 40..2 * MANY).contains(&spoiled), "every call of a visit failed in both ways: {spoiled}");
}

#[tokio::test]
async fn an_event_is_stored_whether_its_row_is_put_or_not_and_the_next_one_puts_it() {
    let mut without_row = 0;
    for fault in Fault::ALL {
        for call in 0..MANY {
            let pipeline = Pipeline::with_endpoints(0);
            pipeline.post_event("one").await;
            let batch = pipeline.events_queue.take();
            pipeline.faults.die_at(call, fault);
            let response = pipeline.consume_batch(batch.clone()).await;
            let died = pipeline.faults.recover();
            pipeline.events_queue.settle(&batch, &response);
            let is_done = response.batch_item_failures.is_empty();
            without_row += usize::from(is_done && pipeline.tables.expiring().is_empty());
            pipeline.run_until_quiet().await;
            assert_eq!(pipeline.only_head().status, Status::Pending, "{fault:?} at {call}");
            assert!(died || only_row(&pipeline).notice_at() > START, "without a fault it is put");
            stored(&pipeline, "two").await;
            only_row(&pipeline);
        }
    }
    assert_eq!(without_row, 1, "where the table refused that row alone, and nothing that the event needs");
}

//! The first three promises against a process that dies between any two of its steps: at every call to every table and
//! queue, before its effect and after it.

use std::sync::{Arc, Mutex};

use domain::inbox::Status;
use http::StatusCode;
use store::testing::faults::Fault;

use crate::pipeline::{Pipeline, id_of};

/// More calls than the longest of these runs makes.
const MANY: usize = 60;

#[tokio::test]
async fn an_accepted_event_is_durable_wherever_ingest_dies() {
    let mut spoiled = 0;
    for fault in Fault::ALL {
        for call in 0..MANY {
            let pipeline = Pipeline::with_endpoints(1);
            pipeline.faults.die_at(call, fault);
            let first = pipeline.post_event("order-1").await;
            let died = pipeline.faults.recover();
            spoiled += usize::from(died);
            let refused = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::ACCEPTED];
            assert!(refused.contains(&first.status()), "{fault:?} at {call}: {}", first.status());
            if first.status() == StatusCode::ACCEPTED {
                assert_eq!(
                    pipeline.events_queue.bodies().len(),
                    1,
                    "{fault:?} at {call}: a 202 without a message"
                );
            } else {
                assert!(first.headers().contains_key("retry-after"), "{fault:?} at {call}");
            }
            let second = pipeline.post_event("order-1").await;
            assert!(
                matches!(second.status().as_u16(), 202 | 409),
                "{fault:?} at {call}: {}",
                second.status()
            );
            pipeline.run_until_quiet().await;
            let head = pipeline.only_head();
            assert_eq!(head.id, id_of(&second), "{fault:?} at {call}");
            assert_eq!(head.status, Status::Delivered, "{fault:?} at {call}");
        }
    }
    assert_eq!(spoiled, 2 * 7, "key, its use, lease, two looks, claim and send each failed in both ways");
}

#[tokio::test]
async fn a_stored_event_reaches_both_endpoints_wherever_consumer_dies() {
    let mut spoiled = 0;
    for fault in Fault::ALL {
        for call in 0..MANY {
            let pipeline = Pipeline::with_endpoints(2);
            pipeline.post_event("order-1").await;
            pipeline.faults.die_at(call, fault);
            pipeline.consume().await;
            spoiled += usize::from(pipeline.faults.recover());
            pipeline.run_until_quiet().await;
            assert_eq!(pipeline.only_head().status, Status::Delivered, "{fault:?} at {call}");
            assert!(pipeline.webhooks.received().len() >= 2, "{fault:?} at {call}");
        }
    }
    assert!(spoiled >= 2 * 4, "endpoints, head and two messages each failed in both ways: {spoiled}");
}

#[tokio::test]
async fn an_event_reaches_its_endpoint_wherever_delivery_dies_at_a_first_attempt_or_at_a_retry() {
    let mut spoiled = 0;
    for fault in Fault::ALL {
        for first_answer in [200, 500, 429] {
            for call in 0..MANY {
                let (pipeline, _) = Pipeline::stored_event(1).await;
                pipeline.webhooks.answer(first_answer);
                pipeline.faults.die_at(call, fault);
                pipeline.deliver().await;
                spoiled += usize::from(pipeline.faults.recover());
                pipeline.run_until_quiet().await;
                let head = pipeline.only_head();
                assert_eq!(head.status, Status::Delivered, "{fault:?} at {call} after {first_answer}");
            }
        }
    }
    assert!(spoiled >= 2 * 3 * 4, "head, endpoint, payload and update each failed in both ways: {spoiled}");
}

#[tokio::test]
async fn a_process_that_dies_before_it_can_answer_its_queue_leaves_everything_right() {
    let pipeline = Pipeline::with_endpoints(2);
    pipeline.post_event("order-1").await;
    let batch = pipeline.events_queue.take();
    pipeline.consume_batch(batch).await; // all is done, and nobody was told
    pipeline.consume().await;
    assert_eq!(pipeline.delivery_messages().len(), 4, "each first attempt twice");
    let batch = pipeline.deliveries.take();
    pipeline.deliver_batch(batch).await;
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.only_head().status, Status::Delivered);
    assert_eq!(pipeline.webhooks.received().len(), 2, "equal messages of one batch are one");
    assert_eq!(pipeline.tables.counted().stored, 1);
}

#[tokio::test]
async fn without_a_fault_an_event_is_posted_exactly_once() {
    let pipeline = Pipeline::with_endpoints(3);
    assert_eq!(pipeline.post_event("order-1").await.status(), StatusCode::ACCEPTED);
    assert_eq!(pipeline.post_event("order-1").await.status(), StatusCode::CONFLICT);
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.webhooks.received().len(), 3);
    assert_eq!(pipeline.only_head().status, Status::Delivered);
    let counted = pipeline.tables.counted();
    assert_eq!((counted.stored, counted.delivered, counted.settled), (1, 3, 1));
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_and_its_next_events_wait_in_the_inbox() {
    let (pipeline, _) = Pipeline::stored_event(1).await;
    pipeline.webhooks.answer(410);
    pipeline.run_until_quiet().await;
    pipeline.post_event("two").await;
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.webhooks.received().len(), 1, "a disabled endpoint is not asked again");
    let heads = pipeline.tables.all_heads();
    let of_status = |status| heads.iter().filter(|(_, head)| head.status == status).count();
    assert_eq!(
        (of_status(Status::Failed), of_status(Status::Pending)),
        (2, 1),
        "the owner is told by an event"
    );
}

#[tokio::test]
async fn a_message_nobody_can_read_goes_back_and_is_kept_once_it_is_a_dead_letter() {
    let pipeline = Pipeline::with_endpoints(1);
    pipeline.events_queue.push("{}".to_owned(), std::time::Duration::ZERO);
    assert_eq!(pipeline.consume().await.batch_item_failures.len(), 1);
    assert!(pipeline.tables.unreadable().is_empty());
    let dead = Pipeline::dead_letter("{}");
    assert_eq!(pipeline.consume_batch(dead.clone()).await.batch_item_failures.len(), 0);
    assert_eq!(pipeline.consume_batch(dead).await.batch_item_failures.len(), 0);
    assert_eq!(pipeline.tables.unreadable().len(), 1);
}

#[tokio::test]
async fn a_message_that_kills_its_process_takes_nobody_with_it() {
    let pipeline = Pipeline::with_endpoints(1);
    for n in 0..3 {
        pipeline.post_event(&format!("order-{n}")).await;
    }
    pipeline.consume().await;
    let mut batch = pipeline.deliveries.take();
    let suspect = batch.records[0].message_id.clone().unwrap();
    batch.records[0].attributes.insert("ApproximateReceiveCount".to_owned(), "3".to_owned());
    let waiting = pipeline.deliveries.clone();
    let left = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&left);
    pipeline.webhooks.answer_by({
        let count = std::sync::atomic::AtomicUsize::new(0);
        move |_, _| {
            if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 2 {
                seen.lock().unwrap().extend(waiting.ids()); // here the process would die
            }
            Some(200)
        }
    });
    pipeline.deliver_batch(batch).await;
    assert_eq!(*left.lock().unwrap(), [suspect], "the others are done and deleted before it begins");
    pipeline.run_until_quiet().await;
    assert!(pipeline.tables.all_heads().iter().all(|(_, head)| head.status == Status::Delivered));
}

#[tokio::test]
async fn what_would_not_end_in_time_is_not_begun_and_goes_back() {
    let (pipeline, _) = Pipeline::stored_event(1).await;
    let response = pipeline.deliver_within(std::time::Duration::from_secs(19)).await;
    assert_eq!(response.batch_item_failures.len(), 1);
    assert!(pipeline.webhooks.received().is_empty());
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.only_head().status, Status::Delivered);
}

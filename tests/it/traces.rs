//! The ways to get the protocol wrong that an exhaustive search once found (docs/ARCHITECTURE.md, "Traces"), each as
//! a story over the real handlers.

use domain::delivery::run::Run;
use domain::delivery::schedule::{Parked, Source};
use domain::delivery::verdict::Verdict;
use domain::delivery::{DeliveryMessage, DeliveryState};
use domain::inbox::Status;
use domain::testing::attempted;
use domain::timestamp::Timestamp;
use store::envelope::delivery_body;
use store::keys;

use crate::pipeline::Pipeline;

/// Later than any of these stories.
const END: Timestamp = Timestamp::from_seconds(2_000_000_000);

fn only_message(pipeline: &Pipeline) -> DeliveryMessage {
    let messages = pipeline.delivery_messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    messages[0].clone()
}

#[tokio::test]
async fn trace_1_a_success_that_comes_back_after_an_acknowledgement_leaves_it_acknowledged() {
    let (pipeline, id) = Pipeline::stored_event(1).await;
    let (tables, tenant) = (pipeline.tables.clone(), pipeline.tenant.clone());
    pipeline.webhooks.during_next(move || {
        let acked = tables.head(&tenant, id).unwrap().acknowledge().unwrap();
        tables.overwrite_head(&tenant, &acked);
    });
    pipeline.deliver().await;
    let head = pipeline.only_head();
    assert_eq!(head.status, Status::Acked);
    assert!(head.deliveries.values().all(|delivery| delivery.state == DeliveryState::Acked));
    assert_eq!(pipeline.delivery_messages(), []);
}

#[tokio::test]
async fn trace_1_a_cancellation_whose_answer_was_lost_is_not_counted_twice() {
    let (pipeline, id) = Pipeline::stored_event(2).await;
    pipeline.tables.delete_endpoint(&pipeline.tenant, &Pipeline::endpoint(1).id);
    let first =
        pipeline.delivery_messages().into_iter().find(|m| m.endpoint == Pipeline::endpoint(1).id).unwrap();
    pipeline.tables.events.repeat_next_write();
    pipeline.deliver().await;
    pipeline.deliver_again(&first).await;
    let head = pipeline.tables.head(&pipeline.tenant, id).unwrap();
    assert_eq!(head.status, Status::Failed, "one took it, one is gone: it stays in the inbox");
    assert_eq!(head.rev, 3, "born, delivered, cancelled: nothing twice");
}

#[tokio::test]
async fn trace_2_an_update_that_lost_a_race_decides_again_on_what_is_there_now() {
    let (pipeline, id) = Pipeline::stored_event(2).await;
    let other = Pipeline::endpoint(2).id;
    let first = pipeline.delivery_messages().into_iter().find(|m| m.endpoint != other).unwrap();
    let (tables, tenant) = (pipeline.tables.clone(), pipeline.tenant.clone());
    let second = DeliveryMessage { endpoint: other, ..first.clone() };
    pipeline.drop_deliveries();
    pipeline.webhooks.during_next(move || {
        let gave_up = attempted(Verdict::GiveUp, "500");
        let failed = tables.head(&tenant, id).unwrap().record(&second, &gave_up).unwrap();
        tables.overwrite_head(&tenant, &failed);
    });
    pipeline.deliver_again(&first).await;
    let head = pipeline.only_head();
    assert_eq!(head.status, Status::Failed, "the other endpoint's failure is not overwritten");
    assert!(head.in_inbox);
}

#[tokio::test]
async fn trace_3_a_recorded_failure_whose_answer_was_lost_still_schedules_the_next_attempt() {
    let (pipeline, _) = Pipeline::stored_event(1).await;
    pipeline.webhooks.answer(500);
    pipeline.tables.events.repeat_next_write();
    pipeline.deliver().await;
    let next = only_message(&pipeline);
    assert_eq!(next.n, 2);
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.only_head().status, Status::Delivered);
    assert_eq!(pipeline.webhooks.received().len(), 2);
}

#[tokio::test]
async fn trace_4_a_dead_letter_that_finds_its_attempt_recorded_schedules_the_next_one() {
    let (pipeline, id) = Pipeline::stored_event(1).await;
    let message = only_message(&pipeline);
    pipeline.drop_deliveries();
    let head = pipeline.tables.head(&pipeline.tenant, id).unwrap();
    let retry = attempted(Verdict::RetryAt(head.id.accepted_at()), "500");
    pipeline.tables.overwrite_head(&pipeline.tenant, &head.record(&message, &retry).unwrap());
    let dead = Pipeline::dead_letter(&delivery_body(&message)); // its recorder died each time; now its count is 1 again
    assert!(pipeline.deliver_batch(dead).await.batch_item_failures.is_empty());
    assert_eq!(only_message(&pipeline).n, 2);
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.only_head().status, Status::Delivered);
    assert_eq!(pipeline.webhooks.received().len(), 1);
}

#[tokio::test]
async fn trace_5_a_later_message_reads_consistently() {
    let (pipeline, _) = Pipeline::stored_event(1).await;
    pipeline.webhooks.answer(500);
    pipeline.deliver().await;
    // The table in memory shows an eventually consistent reader the head before its last write: with it, message 2
    // would find no attempt recorded and drop itself.
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.only_head().status, Status::Delivered);
    assert_eq!(pipeline.webhooks.received().len(), 2);
}

#[tokio::test]
async fn trace_6_a_message_of_another_run_moves_nothing() {
    let (pipeline, _) = Pipeline::stored_event(1).await;
    let before = pipeline.only_head();
    let message = only_message(&pipeline);
    pipeline.drop_deliveries();
    pipeline.deliver_again(&DeliveryMessage { run: Run::from_stored("rpl_1"), ..message }).await;
    assert_eq!(pipeline.only_head(), before);
    assert!(pipeline.webhooks.received().is_empty());
}

#[tokio::test]
async fn trace_7_a_delivery_that_is_parked_again_while_it_is_drained_stays_parked() {
    let pipeline = Pipeline::parked(1).await;
    pipeline.deliver().await;
    let (tenant, id) = (pipeline.tenant.clone(), Pipeline::endpoint(1).id);
    let before = pipeline.tables.parked();
    let again = Parked { source: Source::Message("another".to_owned()), ..before[0].clone() };
    let tables = pipeline.tables.clone();
    pipeline.tables.change_endpoint(&tenant, &id, |endpoint| endpoint.health.open = None);
    pipeline.tables.schedule.after_query_of(keys::parked(&before[0].partition()), {
        let again = again.clone();
        move || tables.overwrite_parked(&again, END) // sent, met an open breaker, and parked again
    });
    pipeline.schedule().await;
    assert_eq!(pipeline.tables.parked(), [again]);
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.only_head().status, Status::Delivered);
}

#[tokio::test]
async fn trace_7_a_stale_copy_of_attempt_1_does_not_overwrite_the_parked_attempt_2() {
    let (pipeline, _) = Pipeline::stored_event(1).await;
    let first = only_message(&pipeline);
    pipeline.webhooks.answer(500);
    pipeline.deliver().await;
    pipeline
        .tables
        .change_endpoint(&pipeline.tenant, &Pipeline::endpoint(1).id, |endpoint| endpoint.is_paused = true);
    pipeline.clock.advance(std::time::Duration::from_secs(10));
    pipeline.deliver().await;
    pipeline.deliver_again(&first).await;
    let parked: Vec<u32> = pipeline.tables.parked().iter().map(|parked| parked.message.n).collect();
    assert!(parked.contains(&2), "{parked:?}");
    pipeline
        .tables
        .change_endpoint(&pipeline.tenant, &Pipeline::endpoint(1).id, |endpoint| endpoint.is_paused = false);
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.only_head().status, Status::Delivered);
}

#[tokio::test]
async fn trace_8_what_is_parked_while_the_scheduler_finds_nothing_is_looked_at_again() {
    let pipeline = Pipeline::parked(1).await;
    pipeline.deliver().await;
    let (tenant, id) = (pipeline.tenant.clone(), Pipeline::endpoint(1).id);
    let late = pipeline.tables.parked()[0].clone();
    pipeline.tables.remove_parked(&late);
    pipeline.tables.change_endpoint(&tenant, &id, |endpoint| endpoint.health.open = None);
    let tables = pipeline.tables.clone();
    pipeline
        .tables
        .schedule
        .after_query_of(keys::parked(&late.partition()), move || tables.overwrite_parked(&late, END)); // it read "open", and parks only now
    pipeline.schedule().await;
    assert_eq!(pipeline.tables.endpoint_rows().len(), 1, "its version was raised since it was read");
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.only_head().status, Status::Delivered);
}

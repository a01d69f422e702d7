//! Notices about an inbox that fills up, and about an event that is quarantined: one of each per tenant and day.

use std::time::Duration;

use domain::endpoint::pattern::Pattern;
use domain::inbox::Status;
use domain::inbox::notice_request::Reason;
use domain::tenant::backlog::Backlog;
use domain::tenant::tier::Tier;
use domain::testing::START;
use serde_json::{Value, json};
use store::clock::Clock;
use store::testing::faults::Fault;
use store::testing::table::usage::Operation;

use crate::api_crashes::ids;
use crate::pipeline::Pipeline;

/// More calls than one visit makes.
const MANY: usize = 80;

/// The notices of one type in the inbox, with their payloads, oldest first.
async fn notices(pipeline: &Pipeline, event_type: &str) -> Vec<(Status, Value)> {
    let mut notices = Vec::new();
    for (tenant, head) in pipeline.tables.all_heads() {
        if head.event_type.as_str() == event_type {
            let found = pipeline.events.head(&tenant, head.id).await.unwrap().unwrap();
            let payload = pipeline.events.payload(&tenant, &found).await.unwrap().unwrap();
            notices.push((head.id, head.status, serde_json::from_str(&payload).unwrap()));
        }
    }
    notices.sort_by_key(|(id, _, _)| *id);
    notices.into_iter().map(|(_, status, payload)| (status, payload)).collect()
}

/// Adds to the backlog of a day, counted from today.
async fn add(pipeline: &Pipeline, days_ago: u64, count: i64) {
    let day = pipeline.clock.now().days() - days_ago;
    pipeline.limits.change_backlog(&pipeline.tenant, &Backlog::of([(day, count)])).await.unwrap();
}

async fn store(pipeline: &Pipeline) {
    let name = format!("{} {}", pipeline.clock.now(), pipeline.tables.all_heads().len());
    assert_eq!(pipeline.post_event(&name).await.status(), 202);
    pipeline.consume().await;
}

/// A free tenant with this backlog of yesterday, and today one event less than a step.
async fn with_backlog(endpoints: u8, yesterday: i64) -> Pipeline {
    let pipeline = Pipeline::of_tier(Tier::Free, endpoints);
    add(&pipeline, 1, yesterday).await;
    add(&pipeline, 0, 99).await;
    pipeline
}

/// Makes the first endpoint get notices about the inbox and nothing else.
fn listen(pipeline: &Pipeline) {
    pipeline.tables.change_endpoint(&pipeline.tenant, &Pipeline::endpoint(1).id, |endpoint| {
        endpoint.event_types = vec![Pattern::from_stored("inbox.*")];
    });
}

#[tokio::test]
async fn an_inbox_that_passes_four_fifths_is_announced_once_a_day_and_to_the_endpoint_that_names_it() {
    let pipeline = with_backlog(1, 7_850).await;
    listen(&pipeline);
    store(&pipeline).await;
    assert_eq!(pipeline.tables.notice_requests().len(), 1, "a further hundredth of the maximum is reached");
    pipeline.schedule().await;
    assert_eq!(notices(&pipeline, Reason::FILLING).await, [], "7,950 are less than 80 % of 10,000");
    assert_eq!(pipeline.tables.notice_requests(), []);

    for _ in 0..3 {
        add(&pipeline, 0, 99).await;
        store(&pipeline).await;
        pipeline.clock.advance(Duration::from_mins(1));
        pipeline.schedule().await;
        pipeline.run_until_quiet().await;
    }
    let sent = notices(&pipeline, Reason::FILLING).await;
    assert_eq!(sent, [(Status::Delivered, json!({"pending": 8_050, "max_pending": 10_000}))]);
    assert_eq!(pipeline.webhooks.received().len(), 1);
    assert_eq!(pipeline.tables.notice_requests(), []);

    pipeline.clock.advance(Duration::from_hours(24));
    add(&pipeline, 0, 99).await;
    store(&pipeline).await;
    pipeline.schedule().await;
    assert_eq!(notices(&pipeline, Reason::FILLING).await.len(), 2, "the next day has its own");
}

#[tokio::test]
async fn an_ordinary_event_costs_no_request_and_a_count_that_swings_around_a_step_costs_one() {
    let pipeline = with_backlog(0, 0).await;
    add(&pipeline, 0, -50).await;
    store(&pipeline).await; // writes the row of what expires
    let requests = || pipeline.tables.schedule.usage().calls_of(Operation::Put);
    pipeline.tables.schedule.reset_usage();
    for _ in 0..40 {
        store(&pipeline).await;
    }
    assert_eq!(requests(), 0);
    add(&pipeline, 0, 10).await;
    for _ in 0..20 {
        add(&pipeline, 0, -1).await;
        store(&pipeline).await; // from 99 to 100
    }
    assert_eq!(requests(), 1);
}

#[tokio::test]
async fn the_first_event_of_a_day_that_is_quarantined_is_announced() {
    let pipeline = Pipeline::with_endpoints(1);
    listen(&pipeline);
    store(&pipeline).await;
    let first = pipeline.only_head().id;
    for n in 1..=20 {
        let leased =
            pipeline.post_json("/api/inbox/lease", json!({"lease_seconds": 60, "lease_limit": 1})).await;
        assert_eq!(ids(&leased).len(), 1);
        pipeline.schedule().await;
        let expected = usize::from(n >= 10);
        assert_eq!(notices(&pipeline, Reason::QUARANTINED).await.len(), expected, "lease {n}");
        pipeline.clock.advance(Duration::from_mins(2));
        if n == 10 {
            pipeline.run_until_quiet().await;
            store(&pipeline).await;
        }
    }
    let quarantined =
        pipeline.tables.all_heads().into_iter().filter(|(_, head)| head.status == Status::Quarantined);
    assert_eq!(quarantined.count(), 2);
    let sent = notices(&pipeline, Reason::QUARANTINED).await;
    assert_eq!(sent, [(Status::Delivered, json!({"event_id": first.to_string()}))]);
}

#[tokio::test]
async fn an_event_is_stored_wherever_consumer_dies_while_it_requests_a_notice_and_the_next_step_requests_it()
{
    let mut spoiled = 0;
    for fault in Fault::ALL {
        for call in 0..MANY {
            let pipeline = with_backlog(0, 7_950).await;
            pipeline.post_event("one").await;
            pipeline.faults.die_at(call, fault);
            pipeline.consume().await;
            spoiled += usize::from(pipeline.faults.recover());
            pipeline.run_until_quiet().await;
            assert_eq!(pipeline.only_head().status, Status::Pending, "{fault:?} at {call}");
            add(&pipeline, 0, 99).await; // the first event may be missing in the count
            store(&pipeline).await;
            store(&pipeline).await;
            pipeline.schedule().await;
            assert_eq!(notices(&pipeline, Reason::FILLING).await.len(), 1, "{fault:?} at {call}");
        }
    }
    println!("{spoiled} deaths while an event was stored and a notice requested");
    assert!((2 * 6..2 * MANY).contains(&spoiled), "{spoiled}");
}

#[tokio::test]
async fn a_notice_about_an_inbox_is_sent_once_and_arrives_wherever_the_scheduler_dies() {
    let mut spoiled = 0;
    for fault in Fault::ALL {
        for call in 0..MANY {
            let pipeline = with_backlog(1, 7_950).await;
            listen(&pipeline);
            store(&pipeline).await;
            pipeline.faults.die_at(call, fault);
            pipeline.schedule().await;
            spoiled += usize::from(pipeline.faults.recover());
            pipeline.clock.advance(Duration::from_mins(1));
            pipeline.schedule().await;
            pipeline.run_until_quiet().await;
            let sent = notices(&pipeline, Reason::FILLING).await;
            assert_eq!(sent.len(), 1, "{fault:?} at {call}");
            assert_eq!(sent[0].0, Status::Delivered, "{fault:?} at {call}");
            assert_eq!(pipeline.tables.notice_requests(), [], "{fault:?} at {call}");
        }
    }
    println!("{spoiled} deaths while a notice about an inbox was sent");
    assert!((2 * 40..2 * MANY).contains(&spoiled), "{spoiled}");
}

#[tokio::test]
async fn an_erased_tenant_gets_no_notice_about_its_inbox() {
    let pipeline = with_backlog(0, 7_950).await;
    store(&pipeline).await;
    pipeline.tables.erase(&pipeline.tenant);
    pipeline.schedule().await;
    assert_eq!(pipeline.tables.all_heads().len(), 1);
    assert_eq!(pipeline.tables.notice_requests(), []);
    assert!(pipeline.clock.now() == START, "at once");
}

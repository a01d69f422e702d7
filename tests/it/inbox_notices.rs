//! Notices about an inbox that fills up, and about an event that is quarantined: one of each per tenant and day.

use std::time::Duration;

use domain::endpoint::pattern::Pattern;
use domain::inbox::lease::LeaseId;
use domain::inbox::notice_request::{LastLease, NoticeRequest, Reason};
use domain::inbox::notice_type::{FILLING, QUARANTINED};
use domain::inbox::{Head, Status};
use domain::tenant::backlog::Backlog;
use domain::tenant::tier::Tier;
use domain::testing::START;
use serde_json::{Value, json};
use store::clock::Clock;
use store::testing::faults::Fault;
use store::testing::table::MemoryTable;
use store::testing::table::usage::Operation;

use crate::api_crashes::ids;
use crate::pipeline::{Pipeline, Response};

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
    assert_eq!(notices(&pipeline, FILLING).await, [], "7,950 are less than 80 % of 10,000");
    assert_eq!(pipeline.tables.notice_requests(), []);

    for _ in 0..3 {
        add(&pipeline, 0, 99).await;
        store(&pipeline).await;
        pipeline.clock.advance(Duration::from_mins(1));
        pipeline.schedule().await;
        pipeline.run_until_quiet().await;
    }
    let sent = notices(&pipeline, FILLING).await;
    assert_eq!(sent, [(Status::Delivered, json!({"pending": 8_050, "max_pending": 10_000}))]);
    assert_eq!(pipeline.webhooks.received().len(), 1);
    assert_eq!(pipeline.tables.notice_requests(), []);

    pipeline.clock.advance(Duration::from_hours(24));
    add(&pipeline, 0, 99).await;
    store(&pipeline).await;
    pipeline.schedule().await;
    assert_eq!(notices(&pipeline, FILLING).await.len(), 2, "the next day has its own");
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
        assert_eq!(notices(&pipeline, QUARANTINED).await.len(), expected, "lease {n}");
        pipeline.clock.advance(Duration::from_mins(2));
        if n == 10 {
            pipeline.run_until_quiet().await;
            store(&pipeline).await;
        }
    }
    let quarantined =
        pipeline.tables.all_heads().into_iter().filter(|(_, head)| head.status == Status::Quarantined);
    assert_eq!(quarantined.count(), 2);
    let sent = notices(&pipeline, QUARANTINED).await;
    assert_eq!(sent, [(Status::Delivered, json!({"event_id": first.to_string()}))]);
}

/// A tenant with this number of events that were leased as often as they may be, except for once.
async fn before_last_lease(events: usize) -> Pipeline {
    let pipeline = Pipeline::with_endpoints(0);
    for _ in 0..events {
        store(&pipeline).await;
    }
    for (tenant, head) in pipeline.tables.all_heads() {
        pipeline.tables.overwrite_head(&tenant, &Head { lease_count: 9, ..head });
    }
    pipeline
}

async fn lease(pipeline: &Pipeline) -> Response {
    pipeline.post_json("/api/inbox/lease", json!({"lease_seconds": 60, "lease_limit": 10})).await
}

fn quarantined(pipeline: &Pipeline) -> usize {
    let heads = pipeline.tables.all_heads();
    heads.iter().filter(|(_, head)| head.status == Status::Quarantined).count()
}

#[tokio::test]
async fn a_quarantined_event_is_announced_wherever_api_dies_while_it_leases() {
    let (mut spoiled, mut silent) = (0, 0);
    for fault in Fault::ALL {
        for call in 0..MANY {
            let pipeline = before_last_lease(3).await;
            pipeline.faults.die_at(call, fault);
            lease(&pipeline).await;
            spoiled += usize::from(pipeline.faults.recover());
            let expected = quarantined(&pipeline).min(1);
            silent += usize::from(expected == 0);
            for _ in 0..7 {
                pipeline.schedule().await;
                pipeline.clock.advance(Duration::from_mins(1));
            }
            assert_eq!(notices(&pipeline, QUARANTINED).await.len(), expected, "{fault:?} at {call}");
            assert_eq!(pipeline.tables.notice_requests(), [], "{fault:?} at {call}");
        }
    }
    println!("{spoiled} deaths while a lease quarantined events, {silent} before it did");
    assert!((2 * 8..2 * MANY).contains(&spoiled) && silent > 2, "{spoiled}, {silent}");
}

#[tokio::test]
async fn a_lease_that_stops_between_its_announcement_and_its_events_is_waited_for() {
    let pipeline = before_last_lease(1).await;
    let last = LastLease {
        id: Some(LeaseId::generate(&mut rand::rng())),
        events: vec![pipeline.only_head().id],
        at: pipeline.clock.now(),
    };
    let request = NoticeRequest::new(&pipeline.tenant, Reason::Quarantined(last), pipeline.clock.now());
    pipeline.schedule.request_notice(&request).await.unwrap();
    pipeline.schedule().await;
    assert_eq!(pipeline.tables.notice_requests().len(), 1);
    let (_, head) = pipeline.tables.all_heads().remove(0);
    let late = Head { status: Status::Quarantined, lease_count: 10, ..head };
    pipeline.tables.overwrite_head(&pipeline.tenant, &late); // its update was under way
    pipeline.schedule().await;
    assert_eq!(notices(&pipeline, QUARANTINED).await.len(), 1);
    assert_eq!(pipeline.tables.notice_requests(), []);
}

#[tokio::test]
async fn only_a_last_lease_is_announced_and_a_second_one_of_the_day_costs_one_read() {
    let pipeline = before_last_lease(2).await;
    pipeline.tables.limits.show_writes_at_once(); // a read that lags costs a further row
    let calls = || {
        let of = |table: &MemoryTable, operation| table.usage().calls_of(operation);
        let tables = &pipeline.tables;
        (of(&tables.limits, Operation::Get), of(&tables.schedule, Operation::Put))
    };
    let cost = async || {
        let before = calls();
        lease(&pipeline).await;
        let after = calls();
        (after.0 - before.0, after.1 - before.1)
    };
    assert_eq!(cost().await, (1, 1), "one for all events of the lease");
    pipeline.schedule().await;
    store(&pipeline).await;
    assert_eq!(cost().await, (0, 0), "an ordinary lease");
    for (tenant, head) in pipeline.tables.all_heads() {
        let free = Head { lease: None, lease_count: 9, ..head };
        pipeline.tables.overwrite_head(&tenant, &free);
    }
    assert_eq!(cost().await, (1, 0), "the notice of the day was made");
}

#[tokio::test]
async fn events_that_the_last_lease_acknowledged_are_not_announced() {
    let pipeline = before_last_lease(2).await;
    let leased = lease(&pipeline).await;
    assert_eq!(quarantined(&pipeline), 2);
    pipeline.post_json("/api/inbox/ack", json!({"lease_id": leased.body["lease_id"]})).await;
    assert_eq!(pipeline.tables.notice_requests().len(), 1);
    pipeline.schedule().await;
    assert_eq!(notices(&pipeline, QUARANTINED).await, []);
    assert_eq!(pipeline.tables.notice_requests(), [], "no event is left that the lease could take");
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
            assert_eq!(notices(&pipeline, FILLING).await.len(), 1, "{fault:?} at {call}");
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
            let sent = notices(&pipeline, FILLING).await;
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

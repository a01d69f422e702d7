//! Notices as webhooks: which endpoints get them, and that none is lost wherever a process dies.

use std::time::Duration;

use domain::endpoint::health::{Notice, NoticeKind};
use domain::endpoint::pattern::Pattern;
use domain::inbox::{Head, Status};
use domain::testing::START;
use domain::timestamp::Timestamp;
use store::testing::faults::Fault;

use crate::pipeline::Pipeline;

/// More calls than one step makes.
const MANY: usize = 80;

/// Makes a system whose endpoints have these patterns.
fn with_patterns(patterns: &[&[&'static str]]) -> Pipeline {
    let count = u8::try_from(patterns.len()).expect("few endpoints");
    let pipeline = Pipeline::with_endpoints(count);
    for (number, patterns) in (1..=count).zip(patterns) {
        pipeline.tables.change_endpoint(&pipeline.tenant, &Pipeline::endpoint(number).id, |endpoint| {
            endpoint.event_types = patterns.iter().copied().map(Pattern::from_stored).collect();
        });
    }
    pipeline
}

/// Returns the types of the events that an endpoint has received, in order.
fn received_by(pipeline: &Pipeline, number: u8) -> Vec<String> {
    let url = Pipeline::endpoint(number).url;
    let received = pipeline.webhooks.received();
    let ours = received.iter().filter(|request| request.url.as_str() == url);
    ours.map(|request| {
        let header = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-event-type"));
        header.expect("every webhook names its type").1.clone()
    })
    .collect()
}

/// Returns the heads of the notices of one type.
fn notices(pipeline: &Pipeline, event_type: &str) -> Vec<Head> {
    let heads = pipeline.tables.all_heads().into_iter().map(|(_, head)| head);
    heads.filter(|head| head.event_type.as_str() == event_type).collect()
}

#[tokio::test]
async fn notices_of_an_endpoint_go_to_healthy_endpoints_that_name_them_and_not_to_a_star() {
    let pipeline =
        with_patterns(&[&["order.*", "endpoint.*"], &["endpoint.*"], &["*"], &["endpoint.failing"]]);
    pipeline.tables.change_endpoint(&pipeline.tenant, &Pipeline::endpoint(4).id, |endpoint| {
        endpoint.is_paused = true;
    });
    let ends = START.after(Duration::from_hours(3));
    let failing = Pipeline::endpoint(1).url;
    pipeline.webhooks.answer_by(move |request, now: Timestamp| {
        Some(if request.url.as_str() == failing && now < ends { 503 } else { 200 })
    });
    for name in ["one", "two", "three"] {
        pipeline.post_event(name).await;
    }
    pipeline.run_until_quiet().await;
    assert_eq!(received_by(&pipeline, 2), ["endpoint.failing", "endpoint.recovered"]);
    assert_eq!(received_by(&pipeline, 3), ["order.created"; 3]);
    let own: Vec<String> =
        received_by(&pipeline, 1).into_iter().filter(|name| name != "order.created").collect();
    assert_eq!(own, ["endpoint.recovered"], "it gets no notice that it fails");
    assert!(received_by(&pipeline, 4).is_empty(), "it is paused");
    for event_type in ["endpoint.failing", "endpoint.recovered"] {
        let heads = notices(&pipeline, event_type);
        assert_eq!(heads.len(), 1, "{event_type}");
        assert_eq!(heads[0].status, Status::Delivered, "{event_type}");
    }
    let counted = pipeline.tables.counted();
    assert_eq!((counted.stored, counted.settled - counted.returned), (5, 5));
}

#[tokio::test]
async fn a_notice_about_events_that_expire_goes_to_the_endpoint_that_names_it() {
    let pipeline = with_patterns(&[&["inbox.*"], &["*.expiring"]]);
    pipeline.post_event("one").await;
    pipeline.consume().await;
    pipeline.clock.set(pipeline.tables.expiring()[0].notice_at().after(Duration::from_mins(1)));
    pipeline.schedule().await;
    pipeline.run_until_quiet().await;
    assert_eq!(
        (received_by(&pipeline, 1), received_by(&pipeline, 2)),
        (vec!["inbox.expiring".to_owned()], vec![])
    );
    assert_eq!(notices(&pipeline, "inbox.expiring")[0].status, Status::Delivered);
}

#[tokio::test]
async fn a_notice_of_an_endpoint_arrives_wherever_delivery_dies() {
    let mut spoiled = 0;
    for fault in Fault::ALL {
        for call in 0..MANY {
            let pipeline = with_patterns(&[&["order.*"], &["endpoint.*"]]);
            pipeline.tables.change_endpoint(&pipeline.tenant, &Pipeline::endpoint(1).id, |endpoint| {
                endpoint.health.notice = Some(Notice { kind: NoticeKind::Recovered, at: START });
            });
            pipeline.post_event("one").await;
            pipeline.consume().await;
            pipeline.faults.die_at(call, fault);
            pipeline.deliver().await;
            spoiled += usize::from(pipeline.faults.recover());
            pipeline.run_until_quiet().await;
            pipeline.post_event("two").await; // its attempt reads the endpoint again
            pipeline.run_until_quiet().await;
            let heads = notices(&pipeline, "endpoint.recovered");
            assert_eq!(heads.len(), 1, "{fault:?} at {call}");
            assert_eq!(heads[0].status, Status::Delivered, "{fault:?} at {call}");
            assert!(!received_by(&pipeline, 2).is_empty(), "{fault:?} at {call}");
            let id = Pipeline::endpoint(1).id;
            let endpoint = pipeline.tables.endpoint(&pipeline.tenant, &id).expect("an endpoint");
            assert_eq!(endpoint.health.notice, None, "{fault:?} at {call}");
        }
    }
    println!("{spoiled} deaths while the notice of an endpoint was sent");
    assert!((2 * 8..2 * MANY).contains(&spoiled), "{spoiled}");
}

#[tokio::test]
async fn a_notice_about_events_that_expire_arrives_wherever_the_scheduler_dies() {
    let mut spoiled = 0;
    for fault in Fault::ALL {
        for call in 0..MANY {
            let pipeline = with_patterns(&[&["inbox.expiring"]]);
            pipeline.post_event("one").await;
            pipeline.consume().await;
            pipeline.clock.set(pipeline.tables.expiring()[0].notice_at().after(Duration::from_mins(1)));
            pipeline.faults.die_at(call, fault);
            pipeline.schedule().await;
            spoiled += usize::from(pipeline.faults.recover());
            pipeline.schedule().await;
            pipeline.run_until_quiet().await;
            let heads = notices(&pipeline, "inbox.expiring");
            assert_eq!(heads.len(), 1, "{fault:?} at {call}");
            assert_eq!(heads[0].status, Status::Delivered, "{fault:?} at {call}");
            assert_eq!(pipeline.tables.expiring(), [], "{fault:?} at {call}");
        }
    }
    println!("{spoiled} deaths while a notice about events that expire was sent");
    assert!((2 * 40..2 * MANY).contains(&spoiled), "every call of a visit failed in both ways: {spoiled}");
}

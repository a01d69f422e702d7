//! Notices as webhooks: which endpoints get them, and that none is lost wherever a process dies.

use std::time::Duration;

use domain::endpoint::health::{Notice, NoticeKind};
use domain::endpoint::pattern::Pattern;
use domain::inbox::{Head, Status};
use domain::testing::START;
use domain::timestamp::Timestamp;
use serde_json::{Value, json};
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

#[tokio::test]
async fn explain_and_samples_show_a_notice_to_the_endpoints_that_get_it() {
    let pipeline =
        with_patterns(&[&["order.*"], &["*"], &["*", "endpoint.*"], &["*.failing"], &["endpoint.*"]]);
    pipeline.tables.change_endpoint(&pipeline.tenant, &Pipeline::endpoint(5).id, |endpoint| {
        endpoint.is_paused = true;
    });
    pipeline.tables.change_endpoint(&pipeline.tenant, &Pipeline::endpoint(1).id, |endpoint| {
        endpoint.health.notice = Some(Notice { kind: NoticeKind::Recovered, at: START });
    });
    pipeline.post_event("one").await;
    pipeline.run_until_quiet().await;
    let notice = "endpoint.recovered";
    let [head] = &notices(&pipeline, notice)[..] else { panic!("one notice") };
    let recipients: Vec<String> = head.deliveries.keys().map(ToString::to_string).collect();
    assert_eq!(recipients, [Pipeline::endpoint(3).id.to_string()]);

    let explained = pipeline.post_json("/api/explain", json!({"type": notice, "payload": {}})).await.body;
    assert_eq!(explained["notice"], true);
    for endpoint in explained["endpoints"].as_array().unwrap() {
        let gets = endpoint["endpoint_id"] == recipients[0].as_str();
        let expected = if gets { (json!("endpoint.*"), "send") } else { (Value::Null, "nothing") };
        assert_eq!(
            (&endpoint["matched_pattern"], endpoint["would"].as_str().unwrap()),
            (&expected.0, expected.1)
        );
        assert_eq!(
            (endpoint["matches"] == true, endpoint["request"].is_object()),
            (gets, gets),
            "{endpoint}"
        );
    }
    for (number, expected) in [(2, 1), (3, 2), (4, 0), (5, 1)] {
        let sample = sample(&pipeline, number).await;
        assert_eq!(sample.len(), expected, "{number}: {sample:?}");
        let has_notice = sample.iter().any(|kind| kind == notice);
        assert_eq!(has_notice, [3, 5].contains(&number), "{number}: a pattern names it");
    }
}

#[tokio::test]
async fn what_a_tenant_posts_under_the_type_of_a_notice_is_an_event_like_any_other() {
    let pipeline = with_patterns(&[&["*"], &["inbox.*"], &["order.*"]]);
    let event = json!({"type": "inbox.filling", "payload": {"room": 7}});
    assert_eq!(pipeline.post("/api/events", &event.to_string()).await.status(), 202);
    pipeline.run_until_quiet().await;
    for (number, count) in [(1, 1), (2, 1), (3, 0)] {
        assert_eq!(received_by(&pipeline, number).len(), count, "{number}");
        assert_eq!(sample(&pipeline, number).await.len(), count, "{number}");
    }
    let explained =
        pipeline.post_json("/api/explain", json!({"type": "order.created", "payload": {}})).await.body;
    assert_eq!(explained["notice"], false);
    let matched = explained["endpoints"].as_array().unwrap().iter().filter(|one| one["matches"] == true);
    assert_eq!(matched.count(), 2);
}

/// Returns the types of the sample events of an endpoint.
async fn sample(pipeline: &Pipeline, number: u8) -> Vec<String> {
    let path = format!("/api/endpoints/{}/sample", Pipeline::endpoint(number).id);
    let sample = pipeline.call("GET", &path, &Value::Null).await.body;
    sample.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

//! Endpoints that are down for long: what they are asked meanwhile, and that nothing is lost. Days pass in moments here.

use std::time::Duration;

use domain::delivery::verdict::Verdict;
use domain::delivery::{Bypass, DeliveryState};
use domain::endpoint::EndpointState;
use domain::endpoint::health::{Notice, NoticeKind};
use domain::inbox::Status;
use domain::testing::{START, attempted};
use domain::timestamp::Timestamp;
use store::envelope::delivery_body;
use store::testing::faults::Fault;

use crate::pipeline::Pipeline;

/// How many events an outage of six hours meets.
const EVENTS: usize = 500;

fn hours(hours: u64) -> Timestamp {
    START.after(Duration::from_hours(hours))
}

/// The header that names the event.
fn event_of(request: &domain::delivery::webhook_request::WebhookRequest) -> &str {
    &request.headers.iter().find(|(name, _)| name == "webhook-id").expect("it is signed").1
}

#[tokio::test]
async fn an_event_that_alone_is_refused_is_tried_fourteen_times_over_the_documented_span() {
    let pipeline = Pipeline::with_endpoints(1);
    pipeline.post_event("refused").await;
    pipeline.consume().await;
    let refused = pipeline.only_head().id;
    pipeline
        .webhooks
        .answer_by(move |request, _| Some(if event_of(request) == refused.to_string() { 500 } else { 200 }));
    let mut taken = 0;
    while pipeline.tables.head(&pipeline.tenant, refused).unwrap().status == Status::Delivering {
        let attempts =
            |pipeline: &Pipeline| pipeline.tables.head(&pipeline.tenant, refused).unwrap().attempts();
        let before = attempts(&pipeline);
        pipeline.run_while(|pipeline, _| attempts(pipeline) == before).await;
        pipeline.post_event(&format!("taken-{taken}")).await; // the endpoint itself is well
        pipeline.consume().await;
        pipeline.deliver().await;
        taken += 1;
    }
    pipeline.run_until_quiet().await;
    let log = pipeline.tables.attempts();
    let at: Vec<Timestamp> = log.iter().map(|attempt| attempt.at).collect();
    assert_eq!(at.len(), 14);
    let steps = [5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 57600, 86400, 86400, 86400];
    for (pair, step) in at.windows(2).zip(steps) {
        let (waited, step) = (pair[1].since(pair[0]).as_secs_f64(), f64::from(step));
        assert!((0.8 * step - 1.0..=1.2 * step + 61.0).contains(&waited), "{waited} s instead of {step} s");
    }
    let hours = at[13].since(at[0]).as_secs_f64() / 3600.0;
    println!(
        "14 attempts over {hours:.1} h (103.7 h without jitter); {taken} other events were taken meanwhile"
    );
    assert!((103.7 * 0.8..103.7 * 1.2).contains(&hours), "{hours} h");
    let head = pipeline.tables.head(&pipeline.tenant, refused).unwrap();
    assert!(head.status == Status::Failed && head.in_inbox);
}

#[tokio::test]
async fn an_endpoint_that_is_down_for_six_hours_gets_everything_afterwards_at_its_rate() {
    let pipeline = Pipeline::with_endpoints(1);
    let (ep, rate) = (Pipeline::endpoint(1).id, 2);
    pipeline.tables.change_endpoint(&pipeline.tenant, &ep, |endpoint| endpoint.rate_per_second = rate);
    pipeline.webhooks.answer_by(|_, now| Some(if now < hours(6) { 503 } else { 200 }));
    for n in 0..EVENTS {
        pipeline.run_until(START.after(Duration::from_secs(40 * u64::try_from(n).unwrap()))).await; // all within the outage
        let answer = pipeline.post_event(&format!("order-{n}")).await;
        assert_eq!(answer.status(), 202, "{n}: {}", answer.body());
        pipeline.consume().await;
        pipeline.deliver().await;
    }
    pipeline.run_until_quiet().await;
    let at = pipeline.webhooks.received_at();
    let during = at.iter().filter(|at| **at < hours(6)).count();
    let after: Vec<Timestamp> = at.into_iter().filter(|at| *at >= hours(6)).collect();
    let most = after.iter().map(|from| in_a_second(&after, *from)).max().unwrap();
    println!(
        "{EVENTS} events, 6 h down: {during} requests meanwhile; then {} requests over {:?}, at most {most} in a second",
        after.len(),
        after[after.len() - 1].since(hours(6)),
    );
    assert!(during <= 20, "{during} requests during the outage");
    assert!(
        most <= 2 * usize::try_from(rate).unwrap(),
        "{most} in one second: its rate, and a second's burst"
    );
    let heads = pipeline.tables.all_heads();
    let delivered = heads.iter().filter(|(_, head)| head.status == Status::Delivered).count();
    let told: Vec<&str> = heads
        .iter()
        .filter(|(_, head)| head.status == Status::Pending)
        .map(|(_, head)| head.event_type.as_str())
        .collect();
    assert_eq!(delivered, EVENTS);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.contains(&"endpoint.failing") && told.contains(&"endpoint.recovered"), "{told:?}");
    assert_eq!((pipeline.tables.parked(), pipeline.tables.endpoint_rows()), (vec![], vec![]));
}

fn in_a_second(all: &[Timestamp], from: Timestamp) -> usize {
    all.iter().filter(|at| **at >= from && at.since(from) < Duration::from_secs(1)).count()
}

#[tokio::test]
async fn an_endpoint_that_fails_for_five_days_is_disabled_and_its_events_wait_in_the_inbox() {
    let pipeline = Pipeline::with_endpoints(1);
    pipeline.webhooks.answer_by(|_, _| Some(500));
    for name in ["one", "two", "three"] {
        pipeline.post_event(name).await;
    }
    pipeline.run_until_quiet().await;
    let ep = pipeline.control.endpoint(&pipeline.tenant, &Pipeline::endpoint(1).id).await.unwrap().unwrap();
    assert_eq!(ep.state, EndpointState::Disabled);
    let requests = pipeline.webhooks.received_at();
    let last = requests.last().expect("some requests"); // a retry that is due later fails without a request
    let (days, requests) = (last.since(START).as_secs_f64() / 86_400.0, requests.len());
    println!("disabled after {days:.2} days and {requests} requests for three events");
    assert!((5.0..5.1).contains(&days), "{days}");
    let heads = pipeline.tables.all_heads();
    assert_eq!(heads.iter().filter(|(_, head)| head.status == Status::Failed).count(), 3);
    assert_eq!(heads.iter().filter(|(_, head)| head.event_type.as_str() == "endpoint.disabled").count(), 1);
    assert_eq!((pipeline.tables.parked(), pipeline.tables.endpoint_rows()), (vec![], vec![]));
}

#[tokio::test]
async fn what_is_parked_by_a_pause_goes_out_when_it_ends_fails_when_disabled_and_ends_when_deleted() {
    for (change, state) in [
        ("resume", DeliveryState::Delivered),
        ("disable", DeliveryState::Failed),
        ("delete", DeliveryState::Cancelled),
    ] {
        let (pipeline, _) = Pipeline::stored_event(1).await;
        let (tenant, id) = (pipeline.tenant.clone(), Pipeline::endpoint(1).id);
        pipeline.tables.change_endpoint(&tenant, &id, |endpoint| endpoint.is_paused = true);
        pipeline.deliver().await;
        for _ in 0..3 {
            pipeline.clock.advance(Duration::from_hours(10));
            pipeline.schedule().await;
            assert_eq!(
                (pipeline.delivery_messages(), pipeline.tables.parked().len()),
                (vec![], 1),
                "{change}"
            );
        }
        match change {
            "resume" => pipeline.tables.change_endpoint(&tenant, &id, |endpoint| endpoint.is_paused = false),
            "disable" => pipeline
                .tables
                .change_endpoint(&tenant, &id, |endpoint| endpoint.state = EndpointState::Disabled),
            _ => pipeline.tables.delete_endpoint(&tenant, &id),
        }
        pipeline.run_until_quiet().await;
        assert_eq!(pipeline.only_head().deliveries[&id].state, state, "{change}");
        assert_eq!(pipeline.tables.endpoint_rows(), [], "{change}");
    }
}

#[tokio::test]
async fn an_event_reaches_its_endpoint_wherever_scheduler_or_delivery_dies_while_it_is_parked() {
    let mut spoiled = 0;
    for fault in Fault::ALL {
        for dies_in in ["park", "probe visit", "probe", "drain visit"] {
            for call in 0..70 {
                let pipeline = Pipeline::parked(2).await;
                let step = async |name: &str| {
                    if name == dies_in {
                        pipeline.faults.die_at(call, fault);
                    }
                    match name {
                        "park" | "probe" => drop(pipeline.deliver().await),
                        _ => pipeline.schedule().await,
                    }
                    usize::from(name == dies_in && pipeline.faults.recover())
                };
                spoiled += step("park").await;
                pipeline.clock.advance(Duration::from_mins(1));
                spoiled += step("probe visit").await;
                spoiled += step("probe").await;
                pipeline.clock.advance(Duration::from_mins(1));
                spoiled += step("drain visit").await;
                pipeline.run_until_quiet().await;
                let open = pipeline
                    .tables
                    .all_heads()
                    .into_iter()
                    .filter(|(_, head)| head.status != Status::Delivered);
                assert_eq!(open.count(), 0, "{fault:?} at {call} in {dies_in}");
                assert_eq!(pipeline.tables.parked(), [], "{fault:?} at {call} in {dies_in}");
                assert_eq!(pipeline.tables.endpoint_rows(), [], "{fault:?} at {call} in {dies_in}");
            }
        }
    }
    println!("{spoiled} deaths while deliveries were parked, probed and drained");
    assert!(spoiled > 2 * 80, "{spoiled}");
}

#[tokio::test]
async fn a_probe_is_made_with_a_delivery_that_somebody_still_waits_for() {
    let pipeline = Pipeline::parked(3).await;
    pipeline.deliver().await;
    let parked = pipeline.tables.parked();
    for gone in &parked[..2] {
        let head = pipeline.tables.head(&pipeline.tenant, gone.message.event).unwrap();
        pipeline.tables.overwrite_head(&pipeline.tenant, &head.acknowledge().unwrap());
    }
    pipeline.clock.advance(Duration::from_mins(1));
    pipeline.schedule().await;
    let probes = pipeline.delivery_messages();
    assert_eq!(probes.len(), 1);
    assert_eq!((probes[0].event, probes[0].bypass), (parked[2].message.event, Bypass::Probe));
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.webhooks.received().len(), 1, "what was acknowledged is not sent");
}

#[tokio::test]
async fn a_probe_that_was_under_way_leaves_nothing_of_a_deleted_event() {
    let pipeline = Pipeline::parked(1).await;
    pipeline.deliver().await;
    pipeline.clock.advance(Duration::from_mins(1));
    pipeline.schedule().await;
    pipeline.webhooks.answer(500);
    let (tables, tenant, head) = (pipeline.tables.clone(), pipeline.tenant.clone(), pipeline.only_head());
    pipeline.webhooks.during_next(move || tables.overwrite_head(&tenant, &head.tombstone(START)));
    pipeline.deliver().await;
    assert_eq!((pipeline.tables.attempts().len(), pipeline.tables.parked().len()), (1, 1));
    pipeline.run_until_quiet().await;
    assert_eq!((pipeline.tables.attempts(), pipeline.tables.parked()), (vec![], vec![]));
}

#[tokio::test]
async fn what_nobody_told_the_owner_is_told_by_the_next_who_comes_by() {
    for state in [EndpointState::Active, EndpointState::Disabled] {
        let (pipeline, _) = Pipeline::stored_event(1).await;
        let id = Pipeline::endpoint(1).id;
        let notice = Notice { kind: NoticeKind::Recovered, at: START };
        pipeline.tables.change_endpoint(&pipeline.tenant, &id, |endpoint| {
            endpoint.health.notice = Some(notice);
            endpoint.state = state;
        });
        pipeline.run_until_quiet().await;
        let heads = pipeline.tables.all_heads();
        assert_eq!(
            heads.iter().filter(|(_, head)| head.event_type.as_str() == "endpoint.recovered").count(),
            1
        );
        let endpoint = pipeline.control.endpoint(&pipeline.tenant, &id).await.unwrap().unwrap();
        assert_eq!(endpoint.health.notice, None);
    }
}

#[tokio::test]
async fn an_answer_of_before_an_endpoint_was_enabled_again_does_not_disable_it_once_more() {
    let (pipeline, _) = Pipeline::stored_event(1).await;
    let (tables, tenant, id) = (pipeline.tables.clone(), pipeline.tenant.clone(), Pipeline::endpoint(1).id);
    pipeline.webhooks.during_next({
        let (tenant, id) = (tenant.clone(), id.clone());
        move || {
            tables.change_endpoint(&tenant, &id, |endpoint| {
                endpoint.rev += 2; // disabled by another attempt, and enabled by its owner
                endpoint.health.rev += 2;
            });
        }
    });
    pipeline.webhooks.answer(410);
    pipeline.deliver().await;
    let endpoint = pipeline.control.endpoint(&tenant, &id).await.unwrap().unwrap();
    assert_eq!((endpoint.state, endpoint.health.failures), (EndpointState::Active, 0));
}

#[tokio::test]
async fn an_event_whose_next_attempt_is_far_away_reaches_its_endpoint_wherever_scheduler_or_delivery_dies() {
    let (mut spoiled, due) = (0, START.after(Duration::from_hours(1)));
    for fault in Fault::ALL {
        for dies_in in ["put", "visit"] {
            for call in 0..60 {
                let (pipeline, id) = Pipeline::stored_event(1).await;
                let first = pipeline.delivery_messages()[0].delayed(Bypass::None);
                pipeline.drop_deliveries();
                pipeline.deliveries.push(delivery_body(&first), Duration::ZERO);
                let head = pipeline.tables.head(&pipeline.tenant, id).unwrap();
                let retry = attempted(Verdict::RetryAt(due), "503");
                pipeline.tables.overwrite_head(&pipeline.tenant, &head.record(&first, &retry).unwrap()); // its recorder died
                for step in ["put", "visit"] {
                    if step == dies_in {
                        pipeline.faults.die_at(call, fault);
                    }
                    if step == "put" {
                        pipeline.deliver().await;
                    } else {
                        pipeline.clock.set(due.before(Duration::from_secs(30)));
                        pipeline.schedule().await;
                    }
                    spoiled += usize::from(step == dies_in && pipeline.faults.recover());
                }
                pipeline.run_until_quiet().await;
                assert_eq!(
                    pipeline.only_head().status,
                    Status::Delivered,
                    "{fault:?} at {call} in {dies_in}"
                );
                let early = due.since(pipeline.webhooks.received_at()[0]);
                assert!(
                    early <= Duration::from_secs(1),
                    "{fault:?} at {call} in {dies_in}: {early:?} too early"
                );
                assert_eq!(pipeline.tables.next_due(), None, "{fault:?} at {call} in {dies_in}");
            }
        }
    }
    println!("{spoiled} deaths while a message waited for longer than a queue can delay");
    assert!(spoiled >= 2 * 40, "{spoiled}"); // every call: a batch of nothing is none
}

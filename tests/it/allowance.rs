//! What a tenant may send beyond what its events include: fan-out, large payloads, replays and tests wait for their time.

use std::time::Duration;

use domain::delivery::line::Line;
use domain::delivery::webhook_request::WebhookRequest;
use domain::inbox::Status;
use domain::tenant::allowance::{INCLUDED, units_of, units_per_minute};
use domain::tenant::tier::Tier;
use domain::testing::START;
use domain::timestamp::Timestamp;
use serde_json::{Value, json};
use store::clock::Clock;

use crate::pipeline::Pipeline;

/// Returns the units and the bytes of the requests in each minute after `START`.
fn by_minute(pipeline: &Pipeline, payload_bytes: usize) -> Vec<(u32, usize)> {
    let mut minutes: Vec<(u32, usize)> = Vec::new();
    for (at, WebhookRequest { body, .. }) in
        pipeline.webhooks.received_at().into_iter().zip(pipeline.webhooks.received())
    {
        let minute = usize::try_from(at.since(START).as_secs() / 60).unwrap();
        minutes.resize(minutes.len().max(minute + 1), (0, 0));
        minutes[minute].0 += units_of(payload_bytes);
        minutes[minute].1 += body.len();
    }
    minutes
}

/// Posts events with payloads of this size, all at once, and stores them.
async fn post(pipeline: &Pipeline, events: usize, payload_bytes: usize) {
    let payload = "a".repeat(payload_bytes - 2); // with its quotes
    for _ in 0..events {
        let accepted =
            pipeline.post("/api/events", &json!({"type": "a", "payload": payload}).to_string()).await;
        assert_eq!(accepted.status().as_u16(), 202);
    }
}

fn uses_allowance(pipeline: &Pipeline) -> bool {
    !pipeline.tables.limits.partition(&format!("t#{}#pace#allowance", pipeline.tenant)).is_empty()
}

#[tokio::test]
async fn a_small_event_to_ten_endpoints_takes_nothing_and_makes_no_further_call() {
    let pipeline = Pipeline::of_tier(Tier::Free, 10);
    post(&pipeline, 1, 1000).await;
    pipeline.run_until(START.after(Duration::from_secs(5))).await;
    assert_eq!(pipeline.webhooks.received().len(), 10);
    assert!(!uses_allowance(&pipeline));

    let wider = Pipeline::of_tier(Tier::Free, 11);
    post(&wider, 1, 1000).await;
    wider.run_until(START.after(Duration::from_secs(5))).await;
    assert_eq!(wider.webhooks.received().len(), 11);
    assert!(uses_allowance(&wider));
}

#[tokio::test]
async fn large_events_to_fifty_endpoints_wait_for_the_allowance_and_none_is_lost() {
    let (events, bytes) = (4, 100_000);
    let pipeline = Pipeline::of_tier(Tier::Free, 50);
    post(&pipeline, events, bytes).await;
    pipeline.run_until_quiet().await;

    let minutes = by_minute(&pipeline, bytes);
    println!("units and bytes by minute: {minutes:?}");
    let (units, included) = (units_per_minute(Tier::Free), u32::try_from(events).unwrap() * INCLUDED);
    assert_eq!(
        minutes.iter().map(|(taken, _)| taken).sum::<u32>(),
        4 * 50 * units_of(bytes),
        "each exactly once"
    );
    // The allowance of one minute can be used at once, and more comes free during the minute.
    assert!(minutes[0].0 <= 2 * units + included + units_of(bytes), "{minutes:?}");
    for (taken, _) in &minutes[1..] {
        assert!(*taken <= units + 2 * units_of(bytes), "{minutes:?}");
    }
    assert!(pipeline.tables.all_heads().iter().all(|(_, head)| head.status == Status::Delivered));
}

#[tokio::test]
async fn replays_take_from_the_allowance_from_their_first_delivery_on() {
    let pipeline = Pipeline::of_tier(Tier::Free, 50);
    post(&pipeline, 4, 1000).await;
    pipeline.run_until_quiet().await;
    let before = pipeline.webhooks.received().len();
    for _ in 0..9 {
        let replay = pipeline.post_json("/api/replays", json!({"since": "2020-01-01T00:00:00Z"})).await;
        assert_eq!(replay.status.as_u16(), 202, "{:?}", replay.body);
        pipeline.run_until(pipeline.clock.now().after(Duration::from_secs(61))).await;
    }
    pipeline.run_until_quiet().await;
    let replayed = pipeline.webhooks.received_at().split_off(before);
    assert!(replayed.len() >= 8 * 200, "{}", replayed.len()); // a replay leaves out what an earlier one has not delivered yet
    assert!(pipeline.tables.all_heads().iter().all(|(_, head)| head.status == Status::Delivered));
    let busiest = (0..replayed.len()).map(|first| {
        let end = replayed[first].after(Duration::from_mins(1));
        replayed[first..].iter().take_while(|at| **at < end).count()
    });
    let busiest = busiest.max().unwrap();
    println!("at most {busiest} replayed deliveries in a minute");
    assert!(busiest <= 2 * usize::try_from(units_per_minute(Tier::Free)).unwrap());
}

#[tokio::test]
async fn statistics_show_until_when_the_allowance_is_used_up() {
    let pipeline = Pipeline::of_tier(Tier::Free, 50);
    let allowance = async || {
        let stats = pipeline.call("GET", "/api/stats", &Value::Null).await;
        stats.body["delivery_allowance"].clone()
    };
    assert_eq!(allowance().await, json!({"units_per_minute": 1000, "used_until": null}));
    post(&pipeline, 4, 100_000).await;
    pipeline.consume().await;
    for _ in 0..20 {
        pipeline.deliver().await;
    }
    let until = allowance().await["used_until"].as_str().map(str::to_owned).unwrap();
    assert!(Timestamp::parse(&until).unwrap() > pipeline.clock.now(), "{until}");
}

#[tokio::test]
async fn a_test_counts_in_the_rate_of_its_endpoint_and_in_the_allowance() {
    let pipeline = Pipeline::of_tier(Tier::Free, 1);
    let id = Pipeline::endpoint(1).id;
    let path = format!("/api/endpoints/{id}/test");
    let test = async || pipeline.call("POST", &path, &Value::Null).await;
    pipeline.tables.change_endpoint(&pipeline.tenant, &id, |endpoint| endpoint.rate_per_second = 1);
    assert_eq!([test().await.status, test().await.status].map(|status| status.as_u16()), [200, 200]);
    let refused = test().await;
    assert_eq!(refused.status.as_u16(), 429, "{:?}", refused.body);
    assert!(refused.body["detail"].as_str().unwrap().contains("rate of the endpoint"), "{:?}", refused.body);
    assert!(refused.headers.contains_key("retry-after"));
    pipeline.clock.advance(Duration::from_secs(5));
    assert_eq!(test().await.status.as_u16(), 200, "the refused test took no time of the endpoint");
    assert!(uses_allowance(&pipeline));
}

#[tokio::test]
async fn what_waited_for_the_allowance_keeps_to_the_rate_of_its_endpoint_and_pays_once() {
    let pipeline = Pipeline::of_tier(Tier::Free, 50);
    pipeline.tables.change_endpoint(&pipeline.tenant, &Pipeline::endpoint(1).id, |endpoint| {
        endpoint.rate_per_second = 1;
    });
    post(&pipeline, 4, 100_000).await;
    pipeline.consume().await;
    for _ in 0..20 {
        pipeline.deliver().await;
    }
    for number in 2..=50 {
        pipeline.tables.change_endpoint(&pipeline.tenant, &Pipeline::endpoint(number).id, |endpoint| {
            endpoint.is_paused = true; // what waits is parked when its time comes
        });
    }
    let reserved = || pipeline.limits.reserved_until(&pipeline.tenant, Line::Allowance);
    let before = reserved().await.unwrap();
    pipeline.run_until(START.after(Duration::from_mins(10))).await;
    for number in 2..=50 {
        pipeline.tables.change_endpoint(&pipeline.tenant, &Pipeline::endpoint(number).id, |endpoint| {
            endpoint.is_paused = false;
        });
    }
    pipeline.run_until_quiet().await;
    assert_eq!(reserved().await.unwrap(), before, "parked deliveries pay once");
    assert_eq!(pipeline.webhooks.received().len(), 4 * 50, "each exactly once");
    let to_first = pipeline.webhooks.received().into_iter().zip(pipeline.webhooks.received_at());
    let first = Pipeline::endpoint(1).url;
    let mut times: Vec<Timestamp> =
        to_first.filter(|(request, _)| request.url.as_str() == first).map(|(_, at)| at).collect();
    times.sort_unstable();
    assert_eq!(times.len(), 4);
    assert!(times[3].since(times[0]) >= Duration::from_secs(2), "{times:?}");
}

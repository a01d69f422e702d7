//! The promises against an api that dies between any two of its steps: at every call to every table and queue, before its
//! effect and after it. The client then sends the same request again.

use std::time::Duration;

use domain::event::id::EventId;
use domain::inbox::Status;
use http::StatusCode;
use serde_json::{Value, json};
use store::clock::Clock;
use store::testing::faults::Fault;

use crate::pipeline::{Pipeline, Response};

/// More calls than the longest of these requests makes.
const MANY: usize = 200;

/// Kills api at each call of a request, and sends it again; `check` then looks at both responses and at what is stored.
/// Returns the number of deaths.
pub(crate) async fn at_every_call(
    prepare: impl AsyncFn() -> (Pipeline, Value),
    request: impl AsyncFn(&Pipeline, &Value) -> Response,
    check: impl AsyncFn(&Pipeline, &Value, [Response; 2], &str),
) -> usize {
    let mut deaths = 0;
    for fault in Fault::ALL {
        for call in 0..MANY {
            let (context, (pipeline, prepared)) = (format!("{fault:?} at {call}"), prepare().await);
            pipeline.faults.die_at(call, fault);
            let first = request(&pipeline, &prepared).await;
            let died = pipeline.faults.recover();
            let retry_after = first.headers.contains_key("retry-after");
            assert_eq!(retry_after, first.status == StatusCode::SERVICE_UNAVAILABLE, "{context}: {first:?}");
            assert!(first.status.is_success() || retry_after, "{context}: {first:?}");
            assert!(died || first.status.is_success(), "{context}: {first:?}");
            let second = request(&pipeline, &prepared).await;
            check(&pipeline, &prepared, [first, second], &context).await;
            if !died {
                break; // the request made no more calls
            }
            deaths += 1;
        }
    }
    deaths
}

/// A system with three events in the inbox; for `endpoints`, their deliveries are open.
async fn three_events(endpoints: u8) -> Pipeline {
    let pipeline = Pipeline::with_endpoints(endpoints);
    for n in 0..3 {
        pipeline.post_event(&n.to_string()).await;
    }
    pipeline.consume().await;
    pipeline
}

/// The same, and the id of one event.
async fn one_of_three(endpoints: u8) -> (Pipeline, Value) {
    let pipeline = three_events(endpoints).await;
    let id = pipeline.tables.all_heads()[0].1.id.to_string();
    (pipeline, json!({"event": id}))
}

/// The same, with all of them leased for a minute.
async fn three_leased() -> (Pipeline, Value) {
    let pipeline = three_events(0).await;
    let leased = lease(&pipeline).await;
    assert_eq!(ids(&leased).len(), 3);
    (pipeline, leased.body)
}

async fn lease(pipeline: &Pipeline) -> Response {
    pipeline.call("POST", "/api/inbox/lease", &json!({"lease_seconds": 60})).await
}

async fn act(pipeline: &Pipeline, verb: &str, lease: &Value, further: &Value) -> Response {
    let mut body = json!({"lease_id": lease["lease_id"]});
    body.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    pipeline.call("POST", &format!("/api/inbox/{verb}"), &body).await
}

/// The ids of the events in a response.
pub(crate) fn ids(response: &Response) -> Vec<&str> {
    let results = response.body["results"].as_array();
    results.into_iter().flatten().map(|event| event["id"].as_str().expect("an id")).collect()
}

/// The status of every stored event.
fn statuses(pipeline: &Pipeline) -> Vec<Status> {
    pipeline.tables.all_heads().into_iter().map(|(_, head)| head.status).collect()
}

/// Delivers once every read sees the last write: a webhook may overtake an acknowledgement of the same moment.
async fn deliver_later(pipeline: &Pipeline) {
    pipeline.tables.events.show_writes_at_once();
    pipeline.run_until_quiet().await;
}

/// The path of the event that was prepared, and what follows it.
fn path(prepared: &Value, tail: &str) -> String {
    format!("/api/events/{}{tail}", prepared["event"].as_str().expect("an id"))
}

#[tokio::test]
async fn an_event_has_one_holder_and_none_is_lost_wherever_api_dies_in_a_lease() {
    let deaths = at_every_call(
        async || (three_events(0).await, Value::Null),
        async |pipeline, _| lease(pipeline).await,
        async |pipeline, _, [first, second], context| {
            assert_eq!(second.status, StatusCode::OK, "{context}: {second:?}");
            assert!(ids(&second).iter().all(|id| !ids(&first).contains(id)), "{context}: two holders");
            pipeline.clock.advance(Duration::from_secs(61));
            let later = lease(pipeline).await;
            assert_eq!(ids(&later).len(), 3, "{context}: events without an acknowledgement are free again");
            let acknowledged = act(pipeline, "ack", &later.body, &json!({})).await;
            assert_eq!(acknowledged.body["acked"].as_array().unwrap().len(), 3, "{context}");
            assert_eq!(statuses(pipeline), [Status::Acked; 3], "{context}");
        },
    )
    .await;
    println!("{deaths} deaths in a lease");
    assert!(
        deaths >= 2 * 10,
        "key, candidates, and three heads, payloads and the list each failed in both ways: {deaths}"
    );
}

#[tokio::test]
async fn an_acknowledgement_that_is_sent_again_is_done_once_wherever_api_dies() {
    let deaths = at_every_call(
        three_leased,
        async |pipeline, lease| act(pipeline, "ack", lease, &json!({})).await,
        async |pipeline, leased, [_, second], context| {
            assert_eq!(second.status, StatusCode::OK, "{context}: {second:?}");
            assert_eq!(second.body["acked"].as_array().unwrap().len(), 3, "{context}: {leased}");
            assert_eq!(statuses(pipeline), [Status::Acked; 3], "{context}");
            assert!(pipeline.tables.counted().settled <= 3, "{context}: counted twice");
        },
    )
    .await;
    println!("{deaths} deaths in an acknowledgement");
    assert!(deaths >= 2 * 6, "{deaths}");
}

#[tokio::test]
async fn an_acknowledged_event_is_not_delivered_wherever_api_dies() {
    let deaths = at_every_call(
        async || one_of_three(1).await,
        async |pipeline, prepared| {
            let id = prepared["event"].as_str().expect("an id");
            pipeline.call("POST", &format!("/api/ack/{id}"), &Value::Null).await
        },
        async |pipeline, prepared, [_, second], context| {
            assert_eq!(second.status, StatusCode::OK, "{context}: {second:?}");
            deliver_later(pipeline).await;
            assert_eq!(pipeline.webhooks.received().len(), 2, "{context}");
            let id = EventId::parse(prepared["event"].as_str().unwrap()).unwrap();
            assert_eq!(
                pipeline.tables.head(&pipeline.tenant, id).unwrap().status,
                Status::Acked,
                "{context}"
            );
        },
    )
    .await;
    println!("{deaths} deaths in an acknowledgement by id");
    assert!(deaths >= 2 * 4, "{deaths}");
}

#[tokio::test]
async fn a_released_event_is_free_wherever_api_dies() {
    let deaths = at_every_call(
        three_leased,
        async |pipeline, lease| act(pipeline, "release", lease, &json!({})).await,
        async |pipeline, _, [_, second], context| {
            // Where the first request released all of them, its lease holds nothing more.
            assert!(matches!(second.status.as_u16(), 200 | 409), "{context}: {second:?}");
            assert_eq!(ids(&lease(pipeline).await).len(), 3, "{context}");
        },
    )
    .await;
    println!("{deaths} deaths in a release");
    assert!(deaths >= 2 * 5, "{deaths}");
}

#[tokio::test]
async fn an_extended_lease_holds_its_events_wherever_api_dies() {
    let deaths = at_every_call(
        three_leased,
        async |pipeline, lease| act(pipeline, "extend", lease, &json!({"lease_seconds": 600})).await,
        async |pipeline, leased, [_, second], context| {
            assert_eq!(second.status, StatusCode::OK, "{context}: {second:?}");
            pipeline.clock.advance(Duration::from_secs(300));
            assert_eq!(ids(&lease(pipeline).await).len(), 0, "{context}: they have a holder");
            let acknowledged = act(pipeline, "ack", leased, &json!({})).await;
            assert_eq!(
                acknowledged.body["acked"].as_array().unwrap().len(),
                3,
                "{context}: {acknowledged:?}"
            );
        },
    )
    .await;
    println!("{deaths} deaths in an extension");
    assert!(deaths >= 2 * 6, "{deaths}");
}

#[tokio::test]
async fn a_replayed_event_comes_once_or_once_per_request_wherever_api_dies() {
    let deaths = at_every_call(
        async || {
            let prepared = one_of_three(1).await;
            prepared.0.run_until_quiet().await;
            prepared
        },
        async |pipeline, prepared| pipeline.call("POST", &path(prepared, "/replay"), &json!({})).await,
        async |pipeline, _, [_, second], context| {
            // The first request may have opened the delivery already: then there is nothing to open.
            assert!(matches!(second.status.as_u16(), 202 | 409), "{context}: {second:?}");
            pipeline.run_until_quiet().await;
            assert_eq!(statuses(pipeline), [Status::Delivered; 3], "{context}");
            assert!((4..=5).contains(&pipeline.webhooks.received().len()), "{context}");
        },
    )
    .await;
    println!("{deaths} deaths in a replay");
    assert!(deaths >= 2 * 5, "{deaths}");
}

#[tokio::test]
async fn a_replay_of_many_ends_wherever_api_dies_when_it_is_asked_for_and_cancelled() {
    let deaths = at_every_call(
        async || {
            let pipeline = three_events(1).await;
            pipeline.run_until_quiet().await;
            let until = pipeline.clock.now().to_string();
            let since = pipeline.clock.now().before(Duration::from_hours(1)).to_string();
            (pipeline, json!({"since": since, "until": until}))
        },
        async |pipeline, filter| pipeline.call("POST", "/api/replays", filter).await,
        async |pipeline, _, [_, second], context| {
            assert_eq!(second.status, StatusCode::ACCEPTED, "{context}: {second:?}");
            let path = format!("/api/replays/{}", second.body["id"].as_str().expect("an id"));
            let cancelled = pipeline.call("DELETE", &path, &Value::Null).await;
            assert_eq!(cancelled.status, StatusCode::ACCEPTED, "{context}: {cancelled:?}");
            pipeline.run_until_quiet().await;
            assert!(pipeline.tables.jobs().iter().all(|job| job.ended_at.is_some()), "{context}");
            assert_eq!(statuses(pipeline), [Status::Delivered; 3], "{context}");
        },
    )
    .await;
    println!("{deaths} deaths in the request for a replay");
    assert!(deaths >= 2 * 3, "{deaths}");
}

#[tokio::test]
async fn a_deleted_event_is_gone_wherever_api_dies() {
    let deaths = at_every_call(
        async || one_of_three(1).await,
        async |pipeline, prepared| pipeline.call("DELETE", &path(prepared, ""), &Value::Null).await,
        async |pipeline, prepared, [_, second], context| {
            assert!(matches!(second.status.as_u16(), 204 | 404), "{context}: {second:?}");
            deliver_later(pipeline).await;
            assert_eq!(pipeline.webhooks.received().len(), 2, "{context}");
            let read = pipeline.call("GET", &path(prepared, ""), &Value::Null).await;
            assert_eq!(read.status, StatusCode::NOT_FOUND, "{context}");
            let inbox = pipeline.call("GET", "/api/events", &Value::Null).await;
            assert_eq!(inbox.body["events"].as_array().unwrap().len(), 2, "{context}");
        },
    )
    .await;
    println!("{deaths} deaths in the deletion of an event");
    assert!(deaths >= 2 * 5, "{deaths}");
}

#[tokio::test]
async fn an_erased_tenant_is_gone_wherever_api_dies_when_it_is_asked_to_erase() {
    let deaths = at_every_call(
        async || (three_events(1).await, Value::Null),
        async |pipeline, _| pipeline.call("DELETE", "/api/tenant", &json!({"confirm": "A tenant"})).await,
        async |pipeline, _, [first, second], context| {
            assert_eq!(second.status, StatusCode::ACCEPTED, "{context}: {second:?}");
            if first.status == StatusCode::ACCEPTED {
                assert_eq!(first.body["erasure_id"], second.body["erasure_id"], "{context}: one erasure");
            }
            pipeline.run_until_quiet().await;
            assert!(pipeline.tables.all_heads().is_empty(), "{context}");
            let gone = pipeline.call("GET", "/api/inbox", &Value::Null).await;
            assert_eq!(gone.status, StatusCode::UNAUTHORIZED, "{context}");
            let receipt = second.body["receipt_url"].as_str().expect("a path");
            let receipt = pipeline.call("GET", receipt, &Value::Null).await;
            assert_eq!(receipt.body["state"], "done", "{context}: {receipt:?}");
        },
    )
    .await;
    println!("{deaths} deaths in the request for an erasure");
    assert!(deaths >= 2 * 5, "{deaths}");
}

//! A tenant with 50 endpoints and 40 API keys: what its settings cost a batch of events, and that a change of an endpoint applies to
//! the next event, although consumer keeps the endpoints.

use std::time::Duration;

use domain::endpoint::{Endpoint, MAX_ENDPOINTS};
use domain::event::id::EventId;
use domain::tenant::api_key::Pepper;
use domain::tenant::tier::Tier;
use domain::testing::key_of;
use http::StatusCode;
use serde_json::{Value, json};
use store::testing::table::usage::Operation;

use crate::api_crashes::at_every_call;
use crate::pipeline::{Pipeline, Response, id_of};

/// The endpoints of the tenant when a story begins: one more fits.
const ENDPOINTS: u8 = 49;

const KEYS: usize = 40;

/// The batches after which consumer keeps the endpoints.
const BATCHES: usize = 3;

fn pipeline() -> Pipeline {
    assert_eq!(usize::from(ENDPOINTS) + 1, MAX_ENDPOINTS);
    let pipeline = Pipeline::of_tier(Tier::Enterprise, ENDPOINTS);
    for _ in 0..KEYS {
        let (key, record) = key_of(&pipeline.tenant, Tier::Enterprise);
        pipeline.tables.put_key(&key.hash(&Pepper::new("pepper")), &record);
    }
    pipeline
}

/// Posts an event of this type and lets consumer store it; returns its id.
async fn post(pipeline: &Pipeline, event_type: &str) -> EventId {
    let body = json!({"type": event_type, "payload": {}});
    let id = id_of(&pipeline.post("/api/events", &body.to_string()).await);
    let response = pipeline.consume().await;
    assert!(response.batch_item_failures.is_empty());
    id
}

/// A system whose consumer keeps the endpoints of the tenant.
async fn with_kept_endpoints() -> Pipeline {
    let pipeline = pipeline();
    for _ in 0..BATCHES {
        post(&pipeline, "order.created").await;
    }
    pipeline
}

/// Returns the number of messages for this event and endpoint that wait for delivery.
fn messages_for(pipeline: &Pipeline, event: EventId, endpoint: &str) -> usize {
    let messages = pipeline.delivery_messages();
    messages.iter().filter(|message| message.event == event && message.endpoint.as_str() == endpoint).count()
}

/// What consumer reads of `Control` for one batch, in half read units.
async fn half_reads_of_a_batch(pipeline: &Pipeline) -> u64 {
    pipeline.tables.control.reset_usage();
    let body = json!({"type": "order.created", "payload": {}}).to_string();
    pipeline.post("/api/events", &body).await;
    pipeline.tables.control.reset_usage();
    pipeline.consume().await;
    let usage = pipeline.tables.control.usage();
    let reads = usage.calls_of(Operation::Query) + usage.calls_of(Operation::Get);
    assert_eq!(reads, usage.calls.values().sum::<u64>(), "consumer writes nothing there");
    usage.half_reads
}

#[tokio::test]
async fn a_batch_of_a_tenant_with_many_endpoints_and_keys_reads_one_unit() {
    let pipeline = pipeline();
    let mut half_reads = Vec::new();
    for _ in 0..10 {
        half_reads.push(half_reads_of_a_batch(&pipeline).await);
    }
    println!("half read units of ten batches in five seconds: {half_reads:?}");
    let [first, second, others @ ..] = half_reads.as_slice() else { panic!("ten batches") };
    assert!(*first > 16 && *second > 10, "everything, then the endpoints: {half_reads:?}");
    assert!(others.iter().all(|half_reads| *half_reads == 2), "{half_reads:?}");
    pipeline.clock.advance(Duration::from_secs(5));
    assert_eq!(half_reads_of_a_batch(&pipeline).await, *second, "the health of the endpoints is read again");
}

#[tokio::test]
async fn a_batch_of_a_small_tenant_reads_one_unit() {
    let pipeline = Pipeline::with_endpoints(2);
    assert_eq!(half_reads_of_a_batch(&pipeline).await, 6, "the settings, the data key and the root key");
    for _ in 0..5 {
        assert_eq!(half_reads_of_a_batch(&pipeline).await, 2);
    }
}

/// Sends a request again and again, with a process that dies at each call of it, while consumer keeps the endpoints. Then posts an
/// event, which has a delivery to the endpoint or has none. `endpoint` returns the id of the endpoint, from the last response.
async fn applies_to_the_next_event(
    request: impl AsyncFn(&Pipeline) -> Response,
    endpoint: impl Fn(&Response) -> String,
    has_delivery: bool,
) {
    let prepare = async || (with_kept_endpoints().await, Value::Null);
    let deaths = at_every_call(
        prepare,
        async |pipeline, _| request(pipeline).await,
        async |pipeline, _, [_, second], context| {
            assert!(second.status.is_success(), "{context}: {second:?}");
            let event = post(pipeline, "order.created").await;
            let messages = messages_for(pipeline, event, &endpoint(&second));
            assert_eq!(messages, usize::from(has_delivery), "{context}");
        },
    )
    .await;
    println!("{deaths} deaths");
    assert!(deaths >= 4, "the key, the endpoint and its change fail in both ways: {deaths}");
}

#[tokio::test]
async fn an_endpoint_that_takes_no_more_orders_gets_no_delivery_of_the_next_one() {
    let Endpoint { id, .. } = Pipeline::endpoint(7);
    let path = format!("/api/endpoints/{id}");
    let change = json!({"event_types": ["invoice.*"]});
    let request = async |pipeline: &Pipeline| pipeline.call("PATCH", &path, &change).await;
    applies_to_the_next_event(request, |_| id.as_str().to_owned(), false).await;
}

#[tokio::test]
async fn a_deleted_endpoint_gets_no_delivery_of_the_next_event() {
    let Endpoint { id, .. } = Pipeline::endpoint(7);
    let path = format!("/api/endpoints/{id}");
    let request = async |pipeline: &Pipeline| pipeline.call("DELETE", &path, &Value::Null).await;
    applies_to_the_next_event(request, |_| id.as_str().to_owned(), false).await;
}

#[tokio::test]
async fn a_new_endpoint_gets_the_next_event() {
    let url = "https://new.example.com/";
    let new = json!({"url": url});
    let request = async |pipeline: &Pipeline| {
        let created = pipeline.post_json("/api/endpoints", new.clone()).await;
        if created.status != StatusCode::CONFLICT {
            return created;
        }
        // An earlier request created it before its process died.
        let endpoints = pipeline.call("GET", "/api/endpoints", &Value::Null).await;
        let listed = endpoints.body["endpoints"].as_array().unwrap();
        let found = listed.iter().find(|endpoint| endpoint["url"] == url).unwrap().clone();
        Response { body: found, ..endpoints }
    };
    let id = |response: &Response| response.body["id"].as_str().unwrap().to_owned();
    applies_to_the_next_event(request, id, true).await;
}

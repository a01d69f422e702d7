//! What we depend on does not answer: nothing is promised that cannot be kept, and nothing is dropped.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::deployed::support::runtime::{environment, invoke, invoke_http};
use crate::support::client::Tenant;
use crate::support::receiver::closed_address;
use crate::support::tables;

#[test]
fn an_unreachable_queue_is_told_and_never_answered_with_202() {
    let tenant = Tenant::deployed();
    let event = include_str!("../../../events/ingest-valid.json").replace("YOUR_API_KEY", &tenant.key);
    let environment = environment("ingest", &[("AWS_ENDPOINT_URL_SQS", closed_address())]);
    let reply = invoke_http("ingest", &environment, &event);
    reply.unavailable();
    assert!(tables::all_stored(&tenant, 1).is_empty());

    // Its name was claimed, yet nothing was sent: whoever follows the advice gets the event stored after all.
    let event: Value = serde_json::from_str(&event).unwrap();
    let body = BASE64.decode(event["body"].as_str().unwrap()).unwrap();
    let id = tenant.post_event(body).expect(202).id();
    tenant.shown_as("pending", &id);
    assert_eq!(tables::all_stored(&tenant, 1).len(), 1);
}

#[test]
fn a_batch_blames_the_queue_on_the_items_that_it_did_not_take() {
    let tenant = Tenant::deployed();
    let event = include_str!("../../../events/ingest-batch.json").replace("YOUR_API_KEY", &tenant.key);
    let environment = environment("ingest", &[("AWS_ENDPOINT_URL_SQS", closed_address())]);
    let answer = invoke_http("ingest", &environment, &event).expect(207).json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(0), &json!(3)));
    let statuses = [0, 1, 2].map(|index| answer["results"][index]["error"]["status"].clone());
    assert_eq!(statuses, [json!(503), json!(422), json!(503)]);
}

#[test]
fn unreachable_tables_let_nobody_in() {
    let tenant = Tenant::deployed();
    let event = include_str!("../../../events/ingest-valid.json").replace("YOUR_API_KEY", &tenant.key);
    let environment = environment("ingest", &[("AWS_ENDPOINT_URL_DYNAMODB", closed_address())]);
    let reply = invoke_http("ingest", &environment, &event);
    reply.unavailable();
}

#[test]
fn what_consumer_and_delivery_cannot_do_goes_back_to_its_queue() {
    let check = |function: &str, service: &str, event: &str| {
        let environment = environment(function, &[(service, closed_address())]);
        let answer = invoke(function, &environment, event);
        let event: Value = serde_json::from_str(event).unwrap();
        let records = event["Records"].as_array().unwrap();
        let all: Vec<Value> =
            records.iter().map(|record| json!({"itemIdentifier": record["messageId"]})).collect();
        assert_eq!(answer["batchItemFailures"], json!(all), "{function} without {service}");
    };
    let event = include_str!("../../../events/consumer-duplicate.json");
    check("consumer", "AWS_ENDPOINT_URL_DYNAMODB", event);
    check(
        "consumer",
        "AWS_ENDPOINT_URL_DYNAMODB",
        include_str!("../../../events/consumer-unreadable-dead-letter.json"),
    );
    check(
        "delivery",
        "AWS_ENDPOINT_URL_DYNAMODB",
        include_str!("../../../events/delivery-first-attempt.json"),
    );
}

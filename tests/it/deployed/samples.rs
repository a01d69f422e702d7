//! Every file of `events/`, given to the real function it is for. `cargo lambda invoke --data-file` takes them too.

use aws::system_clock::SystemClock;
use domain::testing;
use serde_json::{Value, json};
use store::clock::Clock;
use store::envelope::read_delivery;

use crate::deployed::support::runtime::{environment, invoke, invoke_http};
use crate::deployed::support::sqs::{queue, receive};
use crate::deployed::support::stack::shared;
use crate::support::aws::dynamodb;
use crate::support::client::Tenant;
use crate::support::receiver::Receiver;
use crate::support::tables;

/// The tenant and the event of the samples; a story puts its own in their place.
const SAMPLE_TENANT: &str = "018bcfe5687b7000800000000000000a";
const SAMPLE_EVENT: &str = "evt_018bcfe5687b7fff8fffffffffffff00";

fn with_key(sample: &str, tenant: &Tenant) -> String {
    sample.replace("YOUR_API_KEY", &tenant.key)
}

fn with_ids(sample: &str, tenant: &Tenant, event: &str) -> String {
    sample.replace(SAMPLE_TENANT, &tenant.id["org_".len()..]).replace(SAMPLE_EVENT, event)
}

/// The id of an event that is accepted at this moment.
fn event_id() -> String {
    testing::event(&testing::tenant(), "a", "1", SystemClock.now()).id.to_string()
}

/// The body of the first record of a batch.
fn body_of(sample: &str) -> String {
    let sample: Value = serde_json::from_str(sample).expect("JSON");
    sample["Records"][0]["body"].as_str().expect("a body").to_owned()
}

#[test]
fn ingest_accepts_a_valid_event() {
    let tenant = Tenant::deployed();
    let sample = with_key(include_str!("../../../events/ingest-valid.json"), &tenant);
    let reply = invoke_http("ingest", &environment("ingest", &[]), &sample).expect(202);
    let shown = tenant.shown_as("pending", &reply.id());
    assert_eq!((&shown["type"], &shown["dedup_id"]), (&json!("order.created"), &json!("order A-1042")));
    let again = invoke_http("ingest", &environment("ingest", &[]), &sample).expect(409);
    assert_eq!(again.id(), reply.id());
}

#[test]
fn ingest_accepts_a_cloudevent() {
    let tenant = Tenant::deployed();
    let sample = with_key(include_str!("../../../events/ingest-cloudevent.json"), &tenant);
    let id = invoke_http("ingest", &environment("ingest", &[]), &sample).expect(202).id();
    let shown = tenant.shown_as("pending", &id);
    assert_eq!(
        (&shown["type"], &shown["payload"]["subject"]),
        (&json!("order.created"), &json!("orders/1001"))
    );
    assert_eq!(shown["payload"]["data"], json!({"order_id": 1001, "total": 49.90}));
}

#[test]
fn ingest_refuses_a_malformed_event() {
    let tenant = Tenant::deployed();
    let sample = with_key(include_str!("../../../events/ingest-malformed.json"), &tenant);
    invoke_http("ingest", &environment("ingest", &[]), &sample).problem(400, "malformed");
}

#[test]
fn ingest_accepts_what_is_good_of_a_batch() {
    let tenant = Tenant::deployed();
    let sample = with_key(include_str!("../../../events/ingest-batch.json"), &tenant);
    let answer = invoke_http("ingest", &environment("ingest", &[]), &sample).expect(207).json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(2), &json!(1)));
    assert_eq!(answer["results"][1]["status"], "rejected");
    tenant.shown_as("pending", answer["results"][2]["id"].as_str().unwrap());
}

#[test]
fn consumer_stores_an_event_and_asks_for_its_delivery_which_delivery_makes_once() {
    let (tenant, receiver, event) = (Tenant::deployed(), Receiver::answering(200), event_id());
    tenant.set_webhook(&receiver.url());
    let deliveries = queue(&json!({})); // where the stack's own delivery does not look
    let to_queue = [("DELIVERIES_QUEUE_URL", deliveries.as_str())];
    let all_done = json!({"batchItemFailures": []});

    let sample = with_ids(include_str!("../../../events/consumer-event.json"), &tenant, &event);
    assert_eq!(invoke("consumer", &environment("consumer", &to_queue), &sample), all_done);
    let shown = tenant.get(&format!("/api/events/{event}")).expect(200).json();
    assert_eq!(shown["status"], "delivering");
    assert_eq!(shown["payload"], json!({"order": "A-1042", "total": 79.90, "currency": "EUR"}));
    let asked = receive(&deliveries);
    assert_eq!(asked.len(), 1);
    let first = with_ids(include_str!("../../../events/delivery-first-attempt.json"), &tenant, &event);
    assert_eq!(asked[0]["Body"], body_of(&first));

    let environment = environment("delivery", &to_queue);
    assert_eq!(invoke("delivery", &environment, &first), all_done);
    assert_eq!(receiver.received()[0].id(), event);
    assert_eq!(tenant.stored_as("delivered", &event).deliveries, [(1, "delivered".to_owned())]);

    let stale = with_ids(include_str!("../../../events/delivery-stale.json"), &tenant, &event);
    assert_eq!(invoke("delivery", &environment, &stale), all_done);
    assert_eq!(receiver.received().len(), 1, "nothing is left to do");
    assert!(receive(&deliveries).is_empty());
}

#[test]
fn consumer_stores_a_duplicate_once_and_asks_for_its_delivery_until_it_was_tried() {
    let (tenant, event) = (Tenant::deployed(), event_id());
    tenant.set_webhook("https://hooks.example.com/a");
    let deliveries = queue(&json!({}));
    let environment = environment("consumer", &[("DELIVERIES_QUEUE_URL", deliveries.as_str())]);
    let sample = with_ids(include_str!("../../../events/consumer-duplicate.json"), &tenant, &event);
    for _ in 0..2 {
        assert_eq!(invoke("consumer", &environment, &sample), json!({"batchItemFailures": []}));
        let asked = receive(&deliveries);
        assert!(!asked.is_empty(), "the process that stored it may have died before it asked");
        for message in asked {
            let message = read_delivery(message["Body"].as_str().unwrap()).unwrap();
            assert_eq!((message.event.to_string(), message.n), (event.clone(), 1));
        }
    }
    assert_eq!(tables::all_stored(&tenant, 1).len(), 1);
}

#[test]
fn consumer_keeps_a_dead_letter_that_nobody_can_read() {
    let sample = include_str!("../../../events/consumer-unreadable-dead-letter.json");
    let answer = invoke("consumer", &environment("consumer", &[]), sample);
    assert_eq!(answer, json!({"batchItemFailures": []}), "it leaves the queue");
    let record: Value = serde_json::from_str(sample).unwrap();
    let record = &record["Records"][0];
    let text = |name: &str| record[name].as_str().unwrap();
    let sort_key = format!("{}#{}", text("eventSourceARN"), text("messageId"));
    let key = json!({"pk": {"S": "unreadable"}, "sk": {"S": sort_key}});
    let input = json!({"TableName": shared().summary().tables["Events"], "Key": key});
    let kept = dynamodb(&shared().summary().emulator, "GetItem", &input).expect(200).json();
    assert_eq!(kept["Item"]["body"]["S"], record["body"]);
}

#[test]
fn api_shows_the_inbox() {
    let tenant = Tenant::deployed();
    let id = tenant.accepted("a");
    tenant.shown_as("pending", &id);
    let sample = with_key(include_str!("../../../events/api-inbox.json"), &tenant);
    let page = invoke_http("api", &environment("api", &[]), &sample).expect(200).json();
    assert_eq!(page, tenant.inbox("?limit=10&order=asc"));
}

#[test]
fn api_tells_that_it_lives() {
    let sample = include_str!("../../../events/api-health.json");
    let reply = invoke_http("api", &environment("api", &[]), sample).expect(200);
    assert_eq!(reply.json()["status"], "healthy");
}

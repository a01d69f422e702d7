//! The two lanes of deliveries in the deployed template: the real consumer chooses the slow lane, the real delivery moves a message
//! to it, and the stack delivers what is on it.

use std::time::Duration;

use aws::system_clock::SystemClock;
use domain::testing;
use serde_json::json;
use store::clock::Clock;

use crate::deployed::support::runtime::{environment, invoke};
use crate::deployed::support::sqs::{queue, receive};
use crate::support::client::Tenant;
use crate::support::eventually;
use crate::support::receiver::Receiver;

/// The tenant, the event and the queue of the samples; a story puts its own in their place.
const SAMPLE_TENANT: &str = "018bcfe5687b7000800000000000000a";
const SAMPLE_EVENT: &str = "evt_018bcfe5687b7fff8fffffffffffff00";
const SAMPLE_QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:triggers-deliveries";

/// Longer than a quick answer takes, shorter than an attempt may take.
const SLOW: Duration = Duration::from_secs(3);

/// A tenant whose endpoint is known to be slow, and its receiver.
fn known_to_be_slow() -> (Tenant, Receiver) {
    let (tenant, receiver) = (Tenant::deployed(), Receiver::answering(200));
    receiver.answer_after(SLOW);
    tenant.set_webhook(&receiver.url());
    let first = tenant.accepted("a");
    tenant.stored_as("delivered", &first);
    (tenant, receiver)
}

/// The sample with the ids of a tenant and of a new event; the id of the event.
fn with_ids(sample: &str, tenant: &Tenant) -> (String, String) {
    let event = testing::event(&testing::tenant(), "a", "1", SystemClock.now()).id.to_string();
    let sample = sample.replace(SAMPLE_TENANT, &tenant.id["org_".len()..]).replace(SAMPLE_EVENT, &event);
    (sample, event)
}

#[test]
fn an_event_for_a_slow_endpoint_goes_by_the_slow_queue() {
    let (tenant, receiver) = known_to_be_slow();
    let quick = queue(&json!({})); // no delivery function reads it
    let environment = environment("consumer", &[("DELIVERIES_QUEUE_URL", quick.as_str())]);
    let (sample, event) = with_ids(include_str!("../../../events/consumer-event.json"), &tenant);
    assert_eq!(invoke("consumer", &environment, &sample), json!({"batchItemFailures": []}));
    tenant.stored_as("delivered", &event);
    assert_eq!(receiver.received().len(), 2);
    assert!(receive(&quick).is_empty());
}

#[test]
fn delivery_moves_a_message_for_a_slow_endpoint_from_the_quick_queue_and_handles_it_on_the_slow_one() {
    let (tenant, receiver) = known_to_be_slow();
    let [quick, slow] = [(); 2].map(|()| queue(&json!({}))); // where the stack's own delivery does not look
    let lanes = [("DELIVERIES_QUEUE_URL", quick.as_str()), ("SLOW_DELIVERIES_QUEUE_URL", slow.as_str())];
    let all_done = json!({"batchItemFailures": []});
    let (sample, event) = with_ids(include_str!("../../../events/consumer-event.json"), &tenant);
    assert_eq!(invoke("consumer", &environment("consumer", &lanes), &sample), all_done);
    assert_eq!((receive(&quick).len(), receive(&slow).len()), (0, 1));

    let environment = environment("delivery", &lanes);
    let first = include_str!("../../../events/delivery-first-attempt.json");
    let first = first.replace(SAMPLE_TENANT, &tenant.id["org_".len()..]).replace(SAMPLE_EVENT, &event);
    assert_eq!(invoke("delivery", &environment, &first), all_done);
    assert_eq!((receive(&quick).len(), receive(&slow).len()), (0, 1), "it has moved");
    assert_eq!(receiver.received().len(), 1, "without an attempt");

    let on_slow_lane = first.replace(SAMPLE_QUEUE, &environment["SLOW_DELIVERIES_QUEUE_ARN"]);
    assert_eq!(invoke("delivery", &environment, &on_slow_lane), all_done);
    assert_eq!(receiver.received().len(), 2);
    tenant.stored_as("delivered", &event);
}

/// Api and the scheduler send by the slow lane too, each with its own role.
#[test]
fn replays_for_a_slow_endpoint_go_by_the_slow_queue_and_its_owner_sees_the_attempts() {
    let (tenant, receiver) = known_to_be_slow();
    let event = tenant.accepted("b");
    tenant.stored_as("delivered", &event);
    tenant.post(&format!("/api/events/{event}/replay"), "{}").expect(202);
    receiver.wait_for(3);
    tenant.stored_as("delivered", &event); // a replay opens no delivery that is open
    tenant.post("/api/replays", json!({"since": "2024-01-01T00:00:00Z"}).to_string()).expect(202);
    eventually("both events are replayed", || {
        tenant.place.run_scheduler();
        (receiver.received().len() >= 5).then_some(())
    });
    let endpoint = tenant.get("/api/endpoints").expect(200).json()["endpoints"][0]["id"].take();
    let path = format!("/api/endpoints/{}/attempts", endpoint.as_str().expect("an id"));
    assert!(tenant.get(&path).expect(200).json()["attempts"].is_array(), "of the index `attempts`");
    assert!(tenant.get("/api/stats").expect(200).json()["delivery_allowance"].is_object());
}

//! When an event is in the inbox: from its birth if no endpoint matches, else from the first outcome that is no success. Until
//! then a queue or a row of `Schedule` knows it, wherever a process dies.

use std::time::Duration;

use domain::delivery::DeliveryState;
use domain::delivery::line::Line;
use domain::endpoint::id::EndpointId;
use domain::endpoint::pace::Span;
use domain::inbox::{Head, Status};
use domain::tenant::backlog::Backlog;
use domain::testing::START;
use store::clock::Clock;
use store::testing::faults::Fault;

use crate::pipeline::{Pipeline, id_of};

/// More calls than one batch makes.
const MANY: usize = 40;

async fn backlog(pipeline: &Pipeline) -> Backlog {
    pipeline.limits.backlog(&pipeline.tenant).await.expect("the table answers")
}

/// The ids that `GET /api/inbox` lists.
async fn listed(pipeline: &Pipeline) -> Vec<String> {
    let page = pipeline.call("GET", "/api/inbox", &serde_json::Value::Null).await;
    let events = page.body["events"].as_array().expect("a list");
    events.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}

/// Whether a queue, a row or the inbox knows each open delivery of the event.
fn is_known(pipeline: &Pipeline, head: &Head) -> bool {
    let id = head.id.to_string();
    let is_stored_message = pipeline.events_queue.bodies().iter().any(|body| body.contains(&id));
    let messages = pipeline.deliveries.bodies();
    let parked = pipeline.tables.parked();
    let has_message = |endpoint: &EndpointId| {
        messages.iter().any(|body| body.contains(&id) && body.contains(endpoint.as_str()))
            || parked.iter().any(|row| row.message.event == head.id && row.message.endpoint == *endpoint)
    };
    let mut open = head.deliveries.iter().filter(|(_, delivery)| delivery.state == DeliveryState::Open);
    head.in_inbox || is_stored_message || open.all(|(endpoint, _)| has_message(endpoint))
}

fn assert_in_inbox(pipeline: &Pipeline, why: &str) {
    let head = pipeline.only_head();
    assert!(head.in_inbox, "{why}: {head:?}");
    assert_eq!(pipeline.tables.expiring().len(), 1, "{why}: its owner will hear before it expires");
}

#[tokio::test]
async fn an_event_that_is_delivered_at_once_costs_the_inbox_nothing() {
    let (pipeline, id) = Pipeline::stored_event(2).await;
    let head = pipeline.only_head();
    assert_eq!((head.status, head.in_inbox), (Status::Delivering, false));
    assert_eq!(listed(&pipeline).await, Vec::<String>::new());
    let shown = pipeline.call("GET", &format!("/api/events/{id}"), &serde_json::Value::Null).await;
    assert_eq!(shown.body["status"], "delivering", "the log shows it");
    pipeline.deliver().await;
    assert_eq!(pipeline.only_head().status, Status::Delivered);
    assert_eq!((backlog(&pipeline).await, pipeline.tables.expiring().len()), (Backlog::default(), 0));
    let stats = pipeline.call("GET", "/api/stats", &serde_json::Value::Null).await.body;
    assert_eq!(
        ["accepted", "stored", "delivered", "pending"].map(|name| stats[name].as_u64().unwrap()),
        [1, 1, 2, 0]
    );
}

#[tokio::test]
async fn an_event_enters_with_the_first_failure_and_leaves_when_every_endpoint_has_it() {
    let (pipeline, id) = Pipeline::stored_event(2).await;
    let failing = Pipeline::endpoint(2).url;
    pipeline
        .webhooks
        .answer_by(move |request, _| Some(if request.url.as_str() == failing { 500 } else { 200 }));
    pipeline.deliver().await;
    assert_in_inbox(&pipeline, "one of two failed");
    assert_eq!(listed(&pipeline).await, [id.to_string()]);
    assert_eq!(backlog(&pipeline).await, Backlog::stored(id.accepted_at()));
    pipeline.webhooks.answer_by(|_, _| Some(200));
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.only_head().status, Status::Delivered);
    assert_eq!((listed(&pipeline).await, backlog(&pipeline).await), (vec![], Backlog::default()));
}

#[tokio::test]
async fn an_event_whose_delivery_is_parked_is_in_the_inbox() {
    let (pipeline, _) = Pipeline::stored_event(1).await;
    pipeline.tables.change_endpoint(&pipeline.tenant, &Pipeline::endpoint(1).id, |endpoint| {
        endpoint.is_paused = true;
    });
    pipeline.deliver().await;
    assert_in_inbox(&pipeline, "the endpoint is paused");
    assert_eq!(pipeline.only_head().attempts(), 0);
}

#[tokio::test]
async fn an_event_that_waits_longer_than_a_queue_holds_a_message_is_in_the_inbox() {
    for (minutes, enters) in [(5, false), (30, true)] {
        let (pipeline, _) = Pipeline::stored_event(1).await;
        let endpoint = Pipeline::endpoint(1).id;
        let length = minutes * 60_000_000;
        let span = Span { earliest: pipeline.clock.now().millis() * 1000, length };
        pipeline.limits.reserve(&pipeline.tenant, Line::Endpoint(&endpoint), span).await.expect("reserved");
        pipeline.deliver().await;
        assert_eq!(pipeline.only_head().in_inbox, enters, "{minutes} minutes");
        assert_eq!(pipeline.tables.next_due().is_some(), enters, "{minutes} minutes");
        pipeline.run_until_quiet().await;
        assert_eq!(
            (pipeline.only_head().status, backlog(&pipeline).await),
            (Status::Delivered, Backlog::default())
        );
    }
}

#[tokio::test]
async fn an_event_whose_message_keeps_failing_enters_before_the_queue_can_lose_it() {
    let (pipeline, _) = Pipeline::stored_event(1).await;
    for mut item in pipeline.tables.control.items().into_iter().filter(|item| item.has("url")) {
        item.insert("url", 7_u64); // no receipt can read the endpoint
        pipeline.tables.control.put_item(item);
    }
    for receipt in 1..=3 {
        assert!(!pipeline.only_head().in_inbox, "before receipt {receipt}");
        let batch = pipeline.deliveries.take();
        let response = pipeline.deliver_batch(batch.clone()).await;
        pipeline.deliveries.settle(&batch, &response);
        assert_eq!(response.batch_item_failures.len(), 1, "receipt {receipt} fails");
        pipeline.clock.advance(Duration::from_mins(10));
    }
    assert_in_inbox(&pipeline, "its message was received three times");
    let head = pipeline.only_head();
    assert_eq!(
        backlog(&pipeline).await,
        Backlog::stored(head.id.accepted_at()),
        "counted although it failed"
    );
}

#[tokio::test]
async fn an_event_can_be_acknowledged_while_its_first_attempt_is_under_way() {
    let (pipeline, id) = Pipeline::stored_event(1).await;
    let acked =
        pipeline.post_json("/api/inbox/ack", serde_json::json!({"event_ids": [id.to_string()]})).await;
    assert_eq!(acked.body["acked"], serde_json::json!([id.to_string()]));
    assert_eq!((pipeline.only_head().status, backlog(&pipeline).await), (Status::Acked, Backlog::default()));
    pipeline.tables.events.show_writes_at_once(); // the first receipt reads eventually consistently
    pipeline.deliver().await;
    assert!(pipeline.webhooks.received().is_empty());
    let stats = pipeline.call("GET", "/api/stats", &serde_json::Value::Null).await.body;
    assert_eq!((&stats["acked"], &stats["pending"]), (&1.into(), &0.into()));
}

#[tokio::test]
async fn a_queue_a_row_or_the_inbox_knows_every_event_wherever_a_process_dies() {
    let mut spoiled = 0;
    for fault in Fault::ALL {
        for receiver in ["takes it", "fails", "asks to wait", "is paused", "has gone"] {
            for call in 0..MANY {
                let pipeline = Pipeline::with_endpoints(2);
                let code = match receiver {
                    "fails" => 500,
                    "asks to wait" => 429,
                    "has gone" => 410,
                    _ => 200,
                };
                pipeline.webhooks.answer_by(move |_, _| Some(code));
                if receiver == "is paused" {
                    let id = Pipeline::endpoint(1).id;
                    pipeline
                        .tables
                        .change_endpoint(&pipeline.tenant, &id, |endpoint| endpoint.is_paused = true);
                }
                pipeline.post_event("one").await;
                pipeline.faults.die_at(call, fault);
                pipeline.consume().await;
                pipeline.deliver().await;
                spoiled += usize::from(pipeline.faults.recover());
                for _ in 0..4 {
                    for (_, head) in pipeline.tables.all_heads() {
                        assert!(is_known(&pipeline, &head), "{fault:?} at {call}, it {receiver}: {head:?}");
                        assert!(
                            !head.in_inbox || !pipeline.tables.expiring().is_empty(),
                            "{fault:?} at {call}"
                        );
                    }
                    pipeline.clock.advance(Duration::from_mins(7));
                    pipeline.consume().await;
                    pipeline.deliver().await;
                }
                let heads = pipeline.tables.all_heads(); // a notice may come after the event
                let head =
                    heads.iter().map(|(_, head)| head).min_by_key(|head| head.id).expect("it is stored");
                let expected = (receiver != "takes it", receiver == "takes it");
                let seen = (head.in_inbox, head.status == Status::Delivered);
                assert_eq!(seen, expected, "{fault:?} at {call}, it {receiver}: {head:?}");
            }
        }
    }
    println!("{spoiled} deaths");
    assert!(spoiled > 2 * 5 * 12, "every call of consumer and delivery failed in both ways: {spoiled}");
}

#[tokio::test]
async fn an_event_whose_dead_letter_cannot_be_read_is_in_the_inbox() {
    let (pipeline, id) = Pipeline::stored_event(1).await;
    let body = pipeline.deliveries.bodies()[0].replace(r#""v":"1""#, r#""v":"9""#);
    pipeline.drop_deliveries();
    let response = pipeline.deliver_batch(Pipeline::dead_letter(&body)).await;
    assert_eq!((response.batch_item_failures.len(), pipeline.tables.unreadable().len()), (0, 1));
    assert_in_inbox(&pipeline, "an operator alone has its message");
    assert_eq!(listed(&pipeline).await, [id.to_string()]);
}

#[tokio::test]
async fn an_event_without_its_data_key_is_in_the_inbox() {
    let (pipeline, _) = Pipeline::stored_event(1).await;
    pipeline.tables.drop_data_key(&pipeline.tenant);
    pipeline.clock.advance(Duration::from_mins(6)); // no instance has it in memory
    let response = pipeline.deliver().await;
    assert_eq!(response.batch_item_failures.len(), 0);
    assert_in_inbox(&pipeline, "the key may be restored from a backup");
}

#[tokio::test]
async fn while_delivery_is_stopped_new_events_are_in_the_inbox_from_their_birth() {
    let pipeline = Pipeline::with_endpoints(1);
    let post = async |name: &str, seconds: u64| {
        pipeline.clock.set(START.after(Duration::from_secs(seconds)));
        let id = id_of(&pipeline.post_event(name).await);
        pipeline.consume().await;
        pipeline.tables.head(&pipeline.tenant, id).expect("it is stored").in_inbox
    };
    assert!(!post("at once", 0).await, "delivery has not failed yet");
    assert!(!post("soon", 60).await);
    assert!(post("late", 150).await, "nothing was received for two minutes");
    assert_eq!(listed(&pipeline).await.len(), 1);
    let day = pipeline.clock.now().days();
    assert_eq!(backlog(&pipeline).await, Backlog::of([(day, 1)]));

    pipeline.deliver().await;
    assert!(post("after a long wait", 185).await, "the messages that were received had waited for long");
    pipeline.deliver().await;
    assert!(!post("after a short one", 250).await, "delivery keeps up again");
    pipeline.run_until_quiet().await;
    assert_eq!((listed(&pipeline).await, backlog(&pipeline).await), (vec![], Backlog::default()));
    let stats = pipeline.call("GET", "/api/stats", &serde_json::Value::Null).await.body;
    assert_eq!(["accepted", "stored", "delivered"].map(|name| stats[name].as_u64().unwrap()), [5, 5, 5]);
    let counted = pipeline.tables.counted();
    assert_eq!((counted.stored, counted.settled - counted.returned), (5, 5));
}

//! The lanes of deliveries: each sender chooses the lane of the endpoint. A message on the quick lane moves if its endpoint is
//! slow.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use domain::delivery::line::Line;
use domain::delivery::schedule::Due;
use domain::delivery::{Bypass, DeliveryMessage};
use domain::endpoint::health::Health;
use domain::endpoint::health::window::Window;
use domain::endpoint::pace::Span;
use domain::endpoint::pattern::Pattern;
use domain::endpoint::slowness::Slowness;
use domain::endpoint::{Endpoint, EndpointState};
use domain::event::id::EventId;
use domain::inbox::lease::LeaseId;
use domain::inbox::notice_request::{LastLease, NoticeRequest, Reason};
use domain::inbox::{Head, Status};
use domain::testing::{START, failed};
use serde_json::{Value, json};
use store::clock::Clock;
use store::envelope::{delivery_body, read_delivery};
use store::testing::queue::MemoryQueue;

use crate::pipeline::Pipeline;
use crate::support::template::settings;

/// Records that the endpoint answered slowly just now, or that it is quick.
pub(crate) fn set_slow(pipeline: &Pipeline, is_slow: bool) {
    let slowness = is_slow.then(|| Slowness { seconds: 12, at: pipeline.clock.now() });
    let id = Pipeline::endpoint(1).id;
    pipeline.tables.change_endpoint(&pipeline.tenant, &id, |endpoint| endpoint.slowness = slowness);
}

fn messages(queue: &MemoryQueue) -> Vec<DeliveryMessage> {
    queue.bodies().iter().map(|body| read_delivery(body).expect("our own form")).collect()
}

/// Takes the messages from both lanes.
fn empty(pipeline: &Pipeline) {
    for queue in [&pipeline.deliveries, &pipeline.slow_deliveries] {
        queue.settle(&queue.take(), &SqsBatchResponse::default());
        assert!(queue.bodies().is_empty(), "one batch takes all");
    }
}

/// What sends the message of a delivery.
#[derive(Clone, Copy, Debug)]
enum Sender {
    Consumer,
    RetryOfDelivery,
    PaceOfDelivery,
    Due,
    Drain,
    Probe,
    ReplayOfOne,
    ReplayOfMany,
    Notice,
}

const SENDERS: [Sender; 9] = [
    Sender::Consumer,
    Sender::RetryOfDelivery,
    Sender::PaceOfDelivery,
    Sender::Due,
    Sender::Drain,
    Sender::Probe,
    Sender::ReplayOfOne,
    Sender::ReplayOfMany,
    Sender::Notice,
];

impl Sender {
    /// Prepares what this sender sends, while the endpoint is quick, with nothing on the lanes.
    async fn prepare(self) -> (Pipeline, EventId) {
        let (pipeline, id) = Pipeline::stored_event(1).await;
        let first = messages(&pipeline.deliveries).pop().expect("a message");
        match self {
            Self::Consumer | Self::RetryOfDelivery | Self::PaceOfDelivery => {}
            Self::Notice => {
                let listen = |endpoint: &mut Endpoint| {
                    endpoint.event_types = vec![Pattern::from_stored("inbox.*")];
                };
                pipeline.tables.change_endpoint(&pipeline.tenant, &Pipeline::endpoint(1).id, listen);
            }
            Self::Due => {
                let due = Due { message: first, at: pipeline.clock.now() };
                pipeline.schedule.put_due(&due, START.after(Duration::from_hours(1))).await.expect("put");
            }
            Self::Drain | Self::Probe => {
                Self::change_health(&pipeline, 10);
                pipeline.deliver().await;
                assert_eq!(pipeline.tables.parked().len(), 1);
            }
            Self::ReplayOfOne | Self::ReplayOfMany => {
                pipeline.deliver().await;
                assert_eq!(pipeline.only_head().status, Status::Delivered);
            }
        }
        empty(&pipeline);
        pipeline.clock.advance(Duration::from_mins(2));
        (pipeline, id)
    }

    /// Closes the circuit breaker, and opens it again if there are failures.
    fn change_health(pipeline: &Pipeline, failures: u32) {
        pipeline.tables.change_endpoint(&pipeline.tenant, &Pipeline::endpoint(1).id, |endpoint| {
            endpoint.health = Health::default();
            for _ in 0..failures {
                let change = endpoint.health.after_failure(&failed(false), &Window::default(), START);
                endpoint.health = change.expect("a change").health;
            }
        });
    }

    /// Sends one message.
    async fn send(self, pipeline: &Pipeline, id: EventId) {
        match self {
            Self::Consumer => {
                pipeline.post_event("two").await;
                pipeline.consume().await;
            }
            Self::RetryOfDelivery => {
                pipeline.webhooks.answer(500);
                self.handle_one(pipeline, id).await;
            }
            Self::PaceOfDelivery => {
                let endpoint = Pipeline::endpoint(1).id;
                let span = Span { earliest: pipeline.clock.now().millis() * 1000, length: 60_000_000 };
                let line = Line::Endpoint(&endpoint);
                pipeline.limits.reserve(&pipeline.tenant, line, span).await.expect("reserved");
                self.handle_one(pipeline, id).await;
            }
            Self::Due | Self::Probe => pipeline.schedule().await,
            Self::Drain => {
                Self::change_health(pipeline, 0);
                pipeline.schedule().await;
            }
            Self::ReplayOfOne => {
                let path = format!("/api/events/{id}/replay");
                assert_eq!(pipeline.call("POST", &path, &Value::Null).await.status, 202);
            }
            Self::ReplayOfMany => {
                let body = json!({"since": "2020-01-01T00:00:00Z"});
                assert_eq!(pipeline.post_json("/api/replays", body).await.status, 202);
                pipeline.schedule().await;
            }
            Self::Notice => {
                let head = pipeline.tables.head(&pipeline.tenant, id).expect("it is stored");
                let quarantined = Head { status: Status::Quarantined, ..head };
                pipeline.tables.overwrite_head(&pipeline.tenant, &quarantined);
                let (lease, now) = (Some(LeaseId::generate(&mut rand::rng())), pipeline.clock.now());
                let reason = Reason::Quarantined(LastLease { id: lease, events: vec![id], at: now });
                let request = NoticeRequest::new(&pipeline.tenant, reason, now);
                pipeline.schedule.request_notice(&request).await.expect("put");
                pipeline.schedule().await;
            }
        }
    }

    /// Lets delivery handle the first message on the slow lane, where it does not move.
    async fn handle_one(self, pipeline: &Pipeline, id: EventId) {
        let head = pipeline.tables.head(&pipeline.tenant, id).expect("it is stored");
        let (endpoint, delivery) = head.deliveries.first_key_value().expect("a delivery");
        let first = DeliveryMessage::first(&pipeline.tenant, id, endpoint, delivery, false);
        pipeline.slow_deliveries.push(delivery_body(&first.delayed(Bypass::None)), Duration::ZERO);
        pipeline.deliver_slowly().await;
    }
}

#[tokio::test]
async fn whoever_sends_a_message_chooses_the_lane_by_what_the_endpoint_is_then() {
    for sender in SENDERS {
        for (is_slow, expected) in [(true, (0, 1)), (false, (1, 0))] {
            let (pipeline, id) = sender.prepare().await;
            set_slow(&pipeline, true);
            set_slow(&pipeline, is_slow);
            sender.send(&pipeline, id).await;
            let sent = (messages(&pipeline.deliveries).len(), messages(&pipeline.slow_deliveries).len());
            assert_eq!(sent, expected, "{sender:?}, slow: {is_slow}");
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_was_quick_for_long_enough_gets_its_events_by_the_quick_lane_again() {
    let pipeline = Pipeline::with_endpoints(1);
    set_slow(&pipeline, true);
    let mut lanes = Vec::new();
    for minute in 0..5 {
        pipeline.clock.set(START.after(Duration::from_mins(minute)));
        pipeline.post_event(&format!("order-{minute}")).await;
        pipeline.consume().await;
        lanes.push((pipeline.deliveries.bodies().len(), pipeline.slow_deliveries.bodies().len()));
        pipeline.run_while(|pipeline, _| pipeline.webhooks.received().len() as u64 <= minute).await;
    }
    assert_eq!(lanes, [(0, 1), (0, 1), (0, 1), (0, 1), (1, 0)], "12 s, 12 s, 6 s, 3 s, 1 s");
}

#[tokio::test]
async fn a_message_that_meets_a_slow_endpoint_on_the_quick_lane_moves_without_an_attempt_and_once() {
    for is_slow_later in [true, false] {
        let (pipeline, _) = Pipeline::stored_event(1).await;
        let before = messages(&pipeline.deliveries);
        set_slow(&pipeline, true);
        pipeline.deliver().await;
        assert!(pipeline.webhooks.received().is_empty() && pipeline.deliveries.bodies().is_empty());
        let moved = messages(&pipeline.slow_deliveries);
        let expected = DeliveryMessage { fresh: false, counts_event: false, ..before[0].clone() };
        assert_eq!(moved, [expected], "its event was counted when it moved");
        assert!(pipeline.only_head().in_inbox, "the slow lane may be behind");
        set_slow(&pipeline, is_slow_later);
        pipeline.deliver_slowly().await;
        let head = pipeline.only_head();
        assert_eq!((head.status, head.in_inbox), (Status::Delivered, false), "slow later: {is_slow_later}");
        assert_eq!(pipeline.webhooks.received().len(), 1);
        let stats = pipeline.call("GET", "/api/stats", &Value::Null).await.body;
        assert_eq!(["accepted", "stored", "delivered"].map(|name| stats[name].as_u64().unwrap()), [1, 1, 1]);
    }
}

#[tokio::test]
async fn a_message_that_moves_keeps_its_run_its_number_its_units_and_what_it_bypasses() {
    for bypass in Bypass::ALL {
        let (pipeline, _) = Pipeline::stored_event(1).await;
        let first = messages(&pipeline.deliveries).remove(0);
        let message = DeliveryMessage { units: 3, has_waited: true, ..first.delayed(bypass) };
        empty(&pipeline);
        set_slow(&pipeline, true);
        pipeline.deliver_again(&message).await;
        assert_eq!(messages(&pipeline.slow_deliveries), [message]);
    }
}

#[tokio::test]
async fn what_needs_no_request_does_not_move() {
    for change in ["paused", "disabled", "deleted", "acknowledged"] {
        let (pipeline, id) = Pipeline::stored_event(1).await;
        set_slow(&pipeline, true);
        let endpoint = Pipeline::endpoint(1).id;
        let (tables, tenant) = (&pipeline.tables, &pipeline.tenant);
        match change {
            "paused" => tables.change_endpoint(tenant, &endpoint, |endpoint| endpoint.is_paused = true),
            "disabled" => tables.change_endpoint(tenant, &endpoint, |endpoint| {
                endpoint.state = EndpointState::Disabled;
            }),
            "deleted" => tables.delete_endpoint(tenant, &endpoint),
            _ => {
                let body = json!({"event_ids": [id.to_string()]});
                assert_eq!(pipeline.post_json("/api/inbox/ack", body).await.status, 200);
                tables.events.show_writes_at_once(); // the first receipt reads eventually consistently
            }
        }
        pipeline.deliver().await;
        let left = (pipeline.deliveries.bodies().len(), pipeline.slow_deliveries.bodies().len());
        assert_eq!((left, pipeline.webhooks.received().len()), ((0, 0), 0), "{change}");
    }
}

#[tokio::test]
async fn a_dead_letter_is_handled_where_it_is_whichever_lane_its_endpoint_has() {
    for is_slow in [true, false] {
        let (pipeline, _) = Pipeline::stored_event(1).await;
        let dead = Pipeline::dead_letter(&pipeline.deliveries.bodies()[0]);
        let unreadable =
            Pipeline::dead_letter(&pipeline.deliveries.bodies()[0].replace("\"v\":\"1\"", "\"v\":\"9\""));
        empty(&pipeline);
        set_slow(&pipeline, is_slow);
        assert!(pipeline.deliver_batch(unreadable).await.batch_item_failures.is_empty());
        assert_eq!(pipeline.tables.unreadable().len(), 1, "slow: {is_slow}: kept for an operator");
        assert!(pipeline.only_head().in_inbox, "slow: {is_slow}");
        assert!(pipeline.deliver_batch(dead).await.batch_item_failures.is_empty());
        assert_eq!((pipeline.only_head().status, pipeline.webhooks.received().len()), (Status::Delivered, 1));
        let moved = pipeline.deliveries.bodies().len() + pipeline.slow_deliveries.bodies().len();
        assert_eq!(moved, 0, "slow: {is_slow}: it did not move");
    }
}

#[test]
fn the_queues_of_both_lanes_have_the_same_settings_and_the_same_dead_letter_queue() {
    let of_both =
        |name| ["DeliveriesQueue", "SlowDeliveriesQueue"].map(|queue| settings::<String>(queue, name));
    for name in ["SqsManagedSseEnabled", "VisibilityTimeout", "MessageRetentionPeriod", "maxReceiveCount"] {
        let [quick, slow] = of_both(name);
        assert!(quick == slow && quick.len() == 1, "{name}: {quick:?} and {slow:?}");
    }
    assert_eq!(
        of_both("deadLetterTargetArn"),
        ["!GetAtt DeliveriesDlq.Arn"; 2].map(|arn| vec![arn.to_owned()])
    );
    assert_eq!(settings::<usize>("DeliveryFunction", "BatchSize"), [10, 10, 1]);
}

#[tokio::test]
async fn a_slow_lane_that_stands_still_puts_its_own_events_into_the_inbox_and_no_others() {
    let pipeline = Pipeline::with_endpoints(1);
    let post = async |name: &str| {
        pipeline.post_event(name).await;
        pipeline.consume().await;
        let heads = pipeline.tables.all_heads();
        heads.iter().map(|(_, head)| head).max_by_key(|head| head.id).expect("it is stored").in_inbox
    };
    set_slow(&pipeline, true);
    assert!(!post("first").await);
    pipeline.clock.advance(Duration::from_secs(150));
    assert!(post("second").await, "nothing was received from the slow lane for two minutes");
    set_slow(&pipeline, false);
    pipeline.clock.advance(Duration::from_secs(1));
    assert!(!post("third").await, "the quick lane is not late");
}

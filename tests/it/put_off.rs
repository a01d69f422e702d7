//! Receivers that answer 429: their deliveries are put off, spend no attempt, and are neither lost nor doubled.

use std::time::Duration;

use domain::delivery::DeliveryState;
use domain::delivery::verdict::Verdict;
use domain::endpoint::EndpointState;
use domain::inbox::Status;
use domain::testing::{START, attempted};
use serde_json::{Value, json};
use store::envelope::delivery_body;

use crate::pipeline::Pipeline;

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn a_receiver_that_answers_429_alone_for_four_days_gets_every_event_afterwards() {
    let pipeline = Pipeline::with_endpoints(1);
    let free_again = START.after(4 * DAY);
    pipeline.webhooks.answer_by(move |_, now| Some(if now < free_again { 429 } else { 200 }));
    for n in 0..20 {
        pipeline.post_event(&format!("order-{n}")).await;
    }
    pipeline.run_until_quiet().await;
    let requests = pipeline.webhooks.received_at();
    let refused = requests.iter().filter(|at| **at < free_again).count();
    let last = requests.last().unwrap().since(free_again);
    println!("429 for four days, 20 events: {refused} requests meanwhile, the last event {last:?} later");
    assert!(refused <= 20 * 160, "{refused}");
    let heads = pipeline.tables.all_heads();
    assert_eq!(heads.len(), 20, "no notice");
    for (_, head) in &heads {
        assert_eq!((head.status, head.attempts()), (Status::Delivered, 1), "no attempt was spent by a 429");
    }
    assert!(last < 2 * Duration::from_hours(1), "{last:?}");
    let id = Pipeline::endpoint(1).id;
    let endpoint = pipeline.control.endpoint(&pipeline.tenant, &id).await.unwrap().unwrap();
    assert_eq!((endpoint.state, endpoint.health.failures), (EndpointState::Active, 0));
    assert_eq!((pipeline.tables.parked(), pipeline.tables.next_due()), (vec![], None));
}

#[tokio::test]
async fn a_delivery_that_is_only_ever_answered_429_fails_in_the_end_with_its_attempts() {
    let pipeline = Pipeline::with_endpoints(1);
    pipeline.webhooks.answer_by(|_, _| Some(429));
    pipeline.post_event("one").await;
    pipeline.run_until_quiet().await;
    let (head, requests) = (pipeline.only_head(), pipeline.webhooks.received_at());
    let delivery = head.deliveries.values().next().unwrap();
    let span = requests.last().unwrap().since(START);
    println!("only 429: {} requests over {:.1} h", requests.len(), span.as_secs_f64() / 3600.0);
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Failed, 14));
    assert!((7 * DAY..11 * DAY).contains(&span), "103 h put off, and 103 h of attempts: {span:?}");
    let event = pipeline.call("GET", &format!("/api/events/{}", head.id), &Value::Null).await.body;
    let history = event["deliveries"][0]["history"].as_array().unwrap();
    let of = |verdict: &str| history.iter().filter(|attempt| attempt["verdict"] == verdict).count();
    assert_eq!((of("retry"), of("give_up"), of("put_off")), (13, 1, requests.len() - 14));
    assert_eq!(history.last().unwrap()["status"], 429);
}

#[tokio::test]
async fn a_message_that_finds_its_attempt_put_off_sends_itself_again_and_posts_nothing() {
    let (pipeline, id) = Pipeline::stored_event(1).await;
    let message = pipeline.delivery_messages()[0].clone();
    pipeline.drop_deliveries();
    let head = pipeline.tables.head(&pipeline.tenant, id).unwrap();
    let put_off = attempted(Verdict::PutOff(START.after(DAY)), "429");
    pipeline.tables.overwrite_head(&pipeline.tenant, &head.record(&message, &put_off).unwrap());
    for _ in 0..3 {
        let dead = Pipeline::dead_letter(&delivery_body(&message)); // its recorder died, whatever the receive count is
        assert!(pipeline.deliver_batch(dead).await.batch_item_failures.is_empty());
    }
    assert_eq!(pipeline.webhooks.received().len(), 0);
    assert_eq!(pipeline.tables.next_due(), Some(START.after(DAY)));
    pipeline.run_until_quiet().await;
    assert_eq!(pipeline.webhooks.received().len(), 1, "three messages of one time are one row");
    assert_eq!(pipeline.only_head().status, Status::Delivered);
}

#[tokio::test]
async fn a_429_whose_record_was_repeated_or_made_twice_leaves_one_message() {
    for is_by_another in [false, true] {
        let (pipeline, id) = Pipeline::stored_event(1).await;
        let message = pipeline.delivery_messages()[0].clone();
        pipeline.webhooks.answer_after(429, DAY);
        if is_by_another {
            let (tables, tenant) = (pipeline.tables.clone(), pipeline.tenant.clone());
            pipeline.webhooks.during_next(move || {
                let put_off = attempted(Verdict::PutOff(START.after(2 * DAY)), "429");
                let head = tables.head(&tenant, id).unwrap().record(&message, &put_off).unwrap();
                tables.overwrite_head(&tenant, &head);
            });
        } else {
            pipeline.tables.events.repeat_next_write();
        }
        pipeline.deliver().await;
        let at = START.after(if is_by_another { 2 * DAY } else { DAY });
        assert_eq!((pipeline.tables.next_due(), pipeline.delivery_messages()), (Some(at), vec![]));
        pipeline.run_until_quiet().await;
        assert_eq!(pipeline.webhooks.received().len(), 2, "the 429 and one more");
        assert_eq!(pipeline.only_head().status, Status::Delivered);
    }
}

#[tokio::test]
async fn the_lower_rate_of_an_endpoint_is_shown_while_it_holds() {
    let pipeline = Pipeline::with_endpoints(1);
    let path = format!("/api/endpoints/{}", Pipeline::endpoint(1).id);
    let shown = async || {
        let endpoint = pipeline.call("GET", &path, &Value::Null).await.body;
        let listed = pipeline.call("GET", "/api/endpoints", &Value::Null).await.body;
        assert_eq!(
            listed["endpoints"][0]["throttled_rate_per_minute"],
            endpoint["throttled_rate_per_minute"]
        );
        assert_eq!(endpoint["rate_per_second"], 30);
        endpoint["throttled_rate_per_minute"].clone()
    };
    assert_eq!(shown().await, Value::Null);
    pipeline.webhooks.answer(429);
    pipeline.post_event("one").await;
    pipeline.run_until(START.after(Duration::from_secs(1))).await;
    assert_eq!(shown().await, json!(900), "half of 30 per second");
    pipeline.clock.set(START.after(Duration::from_mins(3)));
    assert_eq!(shown().await, json!(1440), "80 %");
    pipeline.clock.set(START.after(Duration::from_mins(16)));
    assert_eq!(shown().await, Value::Null, "the configured rate again");
}

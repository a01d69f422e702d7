//! No answer grows beyond 4 MB as Lambda counts it, whatever receivers answered.

use std::time::Duration;

use domain::delivery::DeliveryMessage;
use domain::delivery::attempt::Attempt;
use domain::delivery::verdict::{Answer, Verdict};
use domain::inbox::Head;
use domain::testing::START;
use serde_json::{Value, json};

use crate::pipeline::Pipeline;

/// The most that an answer may have.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Returns the size of an answer in the response to Lambda, which is one JSON string.
fn encoded(body: &Value) -> usize {
    json!(body.to_string()).to_string().len()
}

/// Logs attempts at the first endpoint of an event, each with an answer of control characters.
async fn log_attempts(pipeline: &Pipeline, head: &Head, count: u32) {
    let (endpoint, delivery) = head.deliveries.first_key_value().unwrap();
    for n in 1..=count {
        let first = DeliveryMessage::first(&pipeline.tenant, head.id, endpoint, delivery, false);
        let at = START.after(Duration::from_secs(n.into()));
        let excerpt = "\u{1}".repeat(1024);
        let attempt = Attempt {
            message: DeliveryMessage { n, ..first },
            at,
            duration_ms: 1,
            answer: Answer::Status { code: 503, retry_after: None, excerpt },
            verdict: Verdict::RetryAt(at),
        };
        pipeline.events.log_attempt(&attempt, head.expires_at).await.unwrap();
    }
}

#[tokio::test]
async fn a_thousand_answers_of_control_characters_fit_into_an_answer_newest_first() {
    let (pipeline, id) = Pipeline::stored_event(2).await;
    log_attempts(&pipeline, &pipeline.only_head(), 999).await;
    let event = pipeline.call("GET", &format!("/api/events/{id}"), &Value::Null).await.body;
    let size = encoded(&event);
    assert!((MAX_BYTES - 16 * 1024..=MAX_BYTES).contains(&size), "{size} bytes");
    let [full, untouched] = [&event["deliveries"][0], &event["deliveries"][1]];
    let numbers: Vec<u64> =
        full["history"].as_array().unwrap().iter().map(|attempt| attempt["n"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers[0] > 1 && numbers.last() == Some(&999), "{numbers:?}");
    assert_eq!(u64::try_from(numbers.len()).unwrap(), 1000 - numbers[0], "the newest without a gap");
    assert_eq!(full["history_truncated"], true);
    assert_eq!((&untouched["history"], &untouched["history_truncated"]), (&json!([]), &json!(false)));

    let endpoint = full["endpoint_id"].as_str().unwrap();
    let page =
        pipeline.call("GET", &format!("/api/endpoints/{endpoint}/attempts?limit=100"), &Value::Null).await;
    assert_eq!(page.body["attempts"].as_array().map(Vec::len), Some(100));
    assert!(encoded(&page.body) < MAX_BYTES);
}

#[tokio::test]
async fn an_event_with_few_attempts_shows_all_of_them() {
    let (pipeline, id) = Pipeline::stored_event(1).await;
    log_attempts(&pipeline, &pipeline.only_head(), 14).await;
    let event = pipeline.call("GET", &format!("/api/events/{id}"), &Value::Null).await.body;
    let delivery = &event["deliveries"][0];
    assert_eq!(delivery["history"].as_array().map(Vec::len), Some(14));
    assert_eq!(delivery["history_truncated"], false);
}

//! W3C Trace Context: the trace of a request goes through both queues to the webhooks of its events, and into every line about them.

use std::collections::BTreeSet;

use domain::testing::data_key;
use domain::trace::HEADER;
use runtime::telemetry::subscriber;
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;

use crate::pipeline::Pipeline;
use crate::support::lines::Lines;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Returns the header of each webhook that was received.
fn received(pipeline: &Pipeline) -> Vec<Option<String>> {
    let headers = pipeline.webhooks.received().into_iter().map(|webhook| webhook.headers);
    let found =
        headers.map(|headers| headers.into_iter().filter(|(name, _)| name == HEADER).collect::<Vec<_>>());
    let only = |mut found: Vec<(String, String)>| {
        assert!(found.len() <= 1, "{found:?}");
        found.pop().map(|(_, value)| value)
    };
    found.map(only).collect()
}

#[tokio::test]
async fn each_webhook_of_an_event_has_its_trace_with_a_span_of_its_own_also_when_it_was_parked() {
    let pipeline = Pipeline::with_endpoints(2);
    pipeline.webhooks.answer(500);
    let event = r#"{"type":"order.created","payload":1}"#;
    pipeline.post_with("/api/events", &[(HEADER, SENT)], event.as_bytes()).await;
    let batch = format!(r#"{{"events":[{event}]}}"#);
    pipeline.post_with("/api/events/batch", &[(HEADER, SENT)], batch.as_bytes()).await;
    pipeline.consume().await;
    let paused = Pipeline::endpoint(1).id;
    pipeline.tables.change_endpoint(&pipeline.tenant, &paused, |endpoint| endpoint.is_paused = true);
    pipeline.deliver().await;
    pipeline.tables.change_endpoint(&pipeline.tenant, &paused, |endpoint| endpoint.is_paused = false);
    pipeline.run_until_quiet().await;
    let headers = received(&pipeline);
    assert_eq!(headers.len(), 5, "two events to two endpoints, and one retry");
    let spans: BTreeSet<String> = headers
        .into_iter()
        .map(|header| {
            let header = header.expect("a trace");
            let span = header.strip_prefix(&format!("00-{TRACE}-")).and_then(|rest| rest.strip_suffix("-01"));
            span.unwrap_or_else(|| panic!("{header}")).to_owned()
        })
        .collect();
    assert_eq!(spans.len(), 5, "{spans:?}");
    assert!(!spans.contains("00f067aa0ba902b7"));
}

#[tokio::test]
async fn without_a_valid_trace_there_is_no_header_and_the_owners_own_one_wins() {
    let pipeline = Pipeline::with_endpoints(1);
    pipeline.post_event("untraced").await;
    pipeline.post_with("/api/events", &[(HEADER, "00-invalid")], br#"{"type":"a","payload":1}"#).await;
    pipeline.run_until_quiet().await;
    assert_eq!(received(&pipeline), [None, None]);

    let id = Pipeline::endpoint(1).id;
    let own = json!({"secret": format!("whsec_{}", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "headers": [[HEADER, "own"]]});
    let sealed = data_key().seal(&pipeline.tenant, id.as_str(), own.to_string().as_bytes(), [9; 12]).unwrap();
    pipeline.tables.change_endpoint(&pipeline.tenant, &id, |endpoint| endpoint.sealed = sealed);
    pipeline.post_with("/api/events", &[(HEADER, SENT)], br#"{"type":"a","payload":1}"#).await;
    pipeline.run_until_quiet().await;
    assert_eq!(received(&pipeline)[2..], [Some("own".to_owned())]);
}

#[tokio::test]
async fn every_line_about_a_traced_event_has_the_id_of_the_trace() {
    let lines = Lines::default();
    let writer = lines.clone();
    let _logging = tracing::subscriber::set_default(subscriber(LevelFilter::DEBUG, move || writer.clone()));
    tracing::callsite::rebuild_interest_cache();
    let pipeline = Pipeline::with_endpoints(1);
    pipeline.post_with("/api/events", &[(HEADER, SENT)], br#"{"type":"a","payload":1}"#).await;
    pipeline.run_until_quiet().await;
    let mut steps = BTreeSet::new();
    for line in lines.take().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        if line["event"].is_string() {
            assert_eq!(line["trace"], TRACE, "{line}");
            steps.extend(line["step"].as_str().map(str::to_owned));
        }
    }
    assert_eq!(steps, ["accepted", "attempt", "delivered", "stored"].map(str::to_owned).into());
    let own = pipeline.lines.lock().unwrap();
    let answered: Value = serde_json::from_str(&own[0]).unwrap();
    assert_eq!((&answered["function"], &answered["trace"]), (&json!("triggers-ingest"), &json!(TRACE)));
}

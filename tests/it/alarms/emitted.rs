//! The metrics that the real functions write, each brought about once.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::testing::START;
use serde_json::Value;
use store::testing::faults::Fault;

use crate::pipeline::Pipeline;
use crate::support::configs::OWN_HOST;

/// Returns the functions and the names of all metrics in their lines.
pub(super) async fn emitted() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for pipeline in [failing_endpoint().await, refused_url().await, old_event().await, late_retry().await] {
        found.extend(metrics_of(&pipeline));
    }
    found.extend(metrics_of(&broken_scheduler().await));
    found.extend(metrics_of(&broken_drain().await));
    for call in 0..20 {
        found.extend(metrics_of(&broken_kms(call).await));
    }
    found
}

fn metrics_of(pipeline: &Pipeline) -> Vec<(String, String)> {
    let lines = pipeline.lines.lock().unwrap();
    let mut found = Vec::new();
    for line in lines.iter() {
        let line: Value = serde_json::from_str(line).unwrap();
        let function = line["function"].as_str().expect("a function").to_owned();
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().into_iter().flatten() {
            let name = metric["Name"].as_str().expect("a name").to_owned();
            let value = &line[&name];
            let is_list = value.as_array().is_some_and(|values| values.iter().all(Value::is_u64));
            assert!(value.is_u64() || is_list, "{name}: {line}");
            found.push((function.clone(), name));
        }
    }
    found
}

/// Accepts, stores, delivers; then the endpoint fails until it is disabled.
async fn failing_endpoint() -> Pipeline {
    let pipeline = Pipeline::with_endpoints(1);
    pipeline.post_event("delivered").await;
    pipeline.run_until_quiet().await;
    pipeline.webhooks.answer_by(|_, _| Some(500));
    for n in 0..10 {
        pipeline.post_event(&format!("failed-{n}")).await;
    }
    pipeline.run_until_quiet().await;
    pipeline
}

/// An endpoint leads to a host that gets no webhooks.
async fn refused_url() -> Pipeline {
    let pipeline = Pipeline::with_endpoints(1);
    pipeline.tables.change_endpoint(&pipeline.tenant, &Pipeline::endpoint(1).id, |endpoint| {
        endpoint.url = format!("https://{OWN_HOST}/");
    });
    pipeline.post_event("refused").await;
    pipeline.consume().await;
    pipeline.deliver().await;
    pipeline
}

/// An event waited so long that the next one is refused.
async fn old_event() -> Pipeline {
    let pipeline = Pipeline::with_endpoints(0);
    pipeline.post_event("waits").await;
    pipeline.clock.set(START.after(Duration::from_secs(700)));
    pipeline.consume().await;
    pipeline.post_event("one more").await;
    pipeline
}

/// The scheduler comes ten minutes after a retry was due.
async fn late_retry() -> Pipeline {
    let pipeline = Pipeline::with_endpoints(1);
    pipeline.webhooks.answer_after(503, Duration::from_secs(3000));
    pipeline.post_event("later").await;
    pipeline.consume().await;
    pipeline.deliver().await;
    pipeline.clock.set(START.after(Duration::from_secs(3600)));
    pipeline.schedule().await;
    pipeline
}

async fn broken_scheduler() -> Pipeline {
    let pipeline = Pipeline::with_endpoints(1);
    pipeline.faults.die_at(0, Fault::Refused);
    pipeline.schedule().await;
    pipeline
}

/// A call of drain fails: the read of the endpoint.
async fn broken_drain() -> Pipeline {
    let pipeline = Pipeline::parked(1).await;
    pipeline.deliver().await;
    for call in 0..40 {
        pipeline.faults.fail_at(call, Fault::Refused);
        pipeline.schedule().await;
        let _ = pipeline.faults.recover();
    }
    pipeline
}

/// One call of consumer fails; some of the calls are those of KMS.
async fn broken_kms(call: usize) -> Pipeline {
    let pipeline = Pipeline::with_endpoints(0);
    pipeline.post_event("sealed").await;
    pipeline.faults.fail_at(call, Fault::Refused);
    pipeline.consume().await;
    pipeline
}

//! One warm process of ingest whose calls to AWS go through a proxy.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::proxy::Proxy;
use super::runtime::{Process, environment, post};
use crate::support::client::{Reply, Tenant};

/// How many events a process has taken when it is warm.
pub(crate) const WARMED: usize = 101;

/// The process and its way to AWS.
pub(crate) struct FrontDoor {
    pub(crate) proxy: Proxy,
    process: Process,
}

impl FrontDoor {
    /// A process that sends events where they belong.
    pub(crate) fn open() -> Self {
        Self::with(&[])
    }

    /// A process that sends events to this queue.
    pub(crate) fn onto(queue: &str) -> Self {
        Self::with(&[("EVENTS_QUEUE_URL", queue)])
    }

    /// A process whose environment differs so.
    pub(crate) fn with(changes: &[(&str, &str)]) -> Self {
        Self::opened(environment("ingest", changes))
    }

    fn opened(mut environment: BTreeMap<String, String>) -> Self {
        let proxy = Proxy::start();
        environment.insert("AWS_ENDPOINT_URL".to_owned(), proxy.url());
        let process = Process::start("ingest", &environment);
        process.wait_until_started();
        proxy.take_calls(); // those of its start
        Self { proxy, process }
    }

    /// Posts one event.
    pub(crate) fn post(&self, tenant: &Tenant, event: &Value) -> Reply {
        self.post_with(tenant, &[], event)
    }

    /// Posts one event with these headers besides.
    pub(crate) fn post_with(&self, tenant: &Tenant, headers: &[(&str, &str)], event: &Value) -> Reply {
        self.send("/api/events", tenant, headers, event)
    }

    /// Posts these events as a batch.
    pub(crate) fn post_batch(&self, tenant: &Tenant, events: &[Value]) -> Reply {
        self.send("/api/events/batch", tenant, &[], &json!({"events": events}))
    }

    fn send(&self, path: &str, tenant: &Tenant, headers: &[(&str, &str)], body: &Value) -> Reply {
        let key = ("X-API-Key", tenant.key.as_str());
        self.process.invoke_http(&post(path, &[&[key], headers].concat(), &body.to_string()))
    }

    /// Posts events that are accepted; afterwards the process knows the key, and holds tokens, as many as it has spent.
    #[track_caller]
    pub(crate) fn warm(&self, tenant: &Tenant) {
        self.post_batch(tenant, &vec![plain(); WARMED - 1]).expect(202);
        self.post(tenant, &plain()).expect(202);
        self.proxy.take_calls();
        self.proxy.take_repeats();
    }
}

/// A small event without a name.
pub(crate) fn plain() -> Value {
    json!({"type": "order.created", "payload": {"order": 1}})
}

/// A small event of this name.
pub(crate) fn named(dedup_id: &str) -> Value {
    json!({"type": "order.created", "payload": {"order": 1}, "dedup_id": dedup_id})
}

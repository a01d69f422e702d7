//! A client of the API for one tenant.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Request;

use crate::stack;
use crate::tools::eventually;

/// A tenant of its own on the shared stack.
pub(crate) struct Api {
    pub(crate) url: String,
    pub(crate) key: String,
}

impl Api {
    /// Creates a tenant of the largest tier.
    pub(crate) fn sign_up(name: &str) -> Self {
        let summary = stack::shared().summary();
        let body = json!({"organization_name": name, "tier": "enterprise"}).to_string();
        let url = format!("{}/api/keys/generate", summary.url);
        let headers = [("content-type", "application/json"), ("x-admin-token", summary.admin_token.as_str())];
        let (status, text) = send("POST", &url, &headers, body);
        let created: Value = serde_json::from_str(&text).unwrap_or_default();
        let key = created["api_key"].as_str().unwrap_or_else(|| panic!("{status} {text}"));
        Self { url: summary.url.clone(), key: key.to_owned() }
    }

    /// Returns the variables that every example reads.
    pub(crate) fn variables(&self) -> [(&'static str, &str); 2] {
        [("URL", &self.url), ("KEY", &self.key)]
    }

    /// Creates a key with these scopes, for a program that needs no others.
    pub(crate) fn with_scopes(&self, scopes: &[&str]) -> Self {
        let created = self.call("POST", "/api/keys", &json!({"name": "example", "scopes": scopes}));
        let key = created["api_key"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned();
        Self { url: self.url.clone(), key }
    }

    /// Sends a request that must succeed. Returns the JSON of the answer.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let headers = [("content-type", "application/json"), ("x-api-key", self.key.as_str())];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, text) = send(method, &format!("{}{path}", self.url), &headers, body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Posts an event. Returns its id.
    pub(crate) fn post(&self, event_type: &str, payload: &Value) -> String {
        let accepted = self.call("POST", "/api/events", &json!({"type": event_type, "payload": payload}));
        accepted["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until as many events are stored. Returns them.
    pub(crate) fn stored(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} events are stored"), || {
            let page = self.call("GET", "/api/events?limit=1000", &Value::Null);
            let events = page["events"].as_array().expect("events").clone();
            (events.len() >= count).then_some(events)
        })
    }

    /// Waits until an event has a status.
    pub(crate) fn wait_for(&self, id: &str, status: &str) {
        eventually(&format!("{id} is {status}"), || {
            let events = self.statuses();
            (events.get(id).map(String::as_str) == Some(status)).then_some(())
        });
    }

    /// Returns the status of each event by its id.
    pub(crate) fn statuses(&self) -> BTreeMap<String, String> {
        let page = self.call("GET", "/api/events?limit=1000", &Value::Null);
        let text = |event: &Value, member: &str| event[member].as_str().expect("a text").to_owned();
        page["events"]
            .as_array()
            .expect("events")
            .iter()
            .map(|event| (text(event, "id"), text(event, "status")))
            .collect()
    }
}

/// Sends one request. Returns the status and the body of the answer.
pub(crate) fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> (u16, String) {
    let agent: Agent = Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.into()).expect("a request");
    let mut response = agent.run(request).unwrap_or_else(|error| panic!("{method} {url}: {error}"));
    let text = response.body_mut().read_to_string().expect("a text");
    (response.status().as_u16(), text)
}

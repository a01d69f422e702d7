//! Callers of the API: every status is an answer, no redirect is followed, each call has a connection of its own.

use std::time::Duration;

use http::{HeaderMap, Request};
use serde_json::{Value, json};
use ureq::Agent;

use super::eventually;
use super::place::Place;
use super::tables::{self, Stored};
use super::watchdog;

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// One tenant of its own, with the key it was given.
pub(crate) struct Tenant {
    pub(crate) id: String,
    pub(crate) key: String,
    /// Where it lives.
    pub(crate) place: Place,
}

/// Sends one request.
pub(crate) fn call(method: &str, url: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Reply {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0) // the emulator closes idle ones without a word
        .timeout_global(Some(Duration::from_secs(40)))
        .proxy(None)
        .build();
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.into()).expect("a request that can be sent");
    let agent: Agent = config.into();
    let mut answer = agent.run(request).unwrap_or_else(|error| panic!("{method} {url}: {error}"));
    let body = answer.body_mut().read_to_vec().unwrap_or_else(|error| panic!("{method} {url}: {error}"));
    Reply { status: answer.status().as_u16(), headers: answer.headers().clone(), body }
}

impl Reply {
    /// The reply itself, if it has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} {:?}", self.text(), self.headers);
        self
    }

    /// Checks that an error is told as the contract says; its document.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, slug: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        let document = self.json();
        let has_text = |name: &str| document[name].as_str().is_some_and(|text| !text.is_empty());
        assert_eq!(document["type"], format!("urn:triggers:problem:{slug}"), "{document}");
        assert_eq!(document["status"], status, "{document}");
        assert!(has_text("title") && has_text("detail"), "{document}");
        assert_eq!(document["error"], document["detail"], "{document}");
        assert_eq!(document["instance"].as_str(), self.header("x-request-id"), "{document}");
        document
    }

    /// Checks that it says: not now, but soon.
    #[track_caller]
    pub(crate) fn unavailable(&self) {
        self.problem(503, "unavailable");
        assert!((1..=60).contains(&self.retry_after()), "{:?}", self.headers);
    }

    /// The seconds of `Retry-After`.
    #[track_caller]
    pub(crate) fn retry_after(&self) -> u32 {
        let seconds = self.header("retry-after").and_then(|text| text.parse().ok());
        seconds.unwrap_or_else(|| panic!("no Retry-After: {:?}", self.headers))
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The `id` of the body.
    #[track_caller]
    pub(crate) fn id(&self) -> String {
        self.json()["id"].as_str().unwrap_or_else(|| panic!("no id: {}", self.text())).to_owned()
    }
}

impl Tenant {
    /// Makes a tenant of the tier pro on the memory stack.
    pub(crate) fn new() -> Self {
        Self::of_tier("pro")
    }

    /// Makes a tenant of this tier on the memory stack.
    pub(crate) fn of_tier(tier: &str) -> Self {
        Self::at(Place::memory(), tier)
    }

    /// Makes a tenant of this tier.
    pub(crate) fn at(place: Place, tier: &str) -> Self {
        Self::named(place, "A story", tier)
    }

    /// Makes a tenant of this name and tier.
    pub(crate) fn named(place: Place, name: &str, tier: &str) -> Self {
        watchdog::start();
        let url = format!("{}/api/keys/generate", place.url());
        let body = json!({"organization_name": name, "tier": tier}).to_string();
        let made = call("POST", &url, &[("content-type", "application/json")], body).expect(201).json();
        let text = |name: &str| made[name].as_str().expect("a text").to_owned();
        Self { id: text("organization_id"), key: text("api_key"), place }
    }

    /// The same tenant with another key.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self { id: self.id.clone(), key: key.to_owned(), place: self.place }
    }

    /// The same tenant with a further key of these scopes.
    pub(crate) fn further_key(&self, scopes: &[&str]) -> Self {
        let body = json!({"name": "further", "scopes": scopes}).to_string();
        let made = self.post("/api/keys", body).expect(201).json();
        self.with_key(made["api_key"].as_str().expect("a key"))
    }

    /// Sends one request with the tenant's key and these headers besides.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Reply {
        let url = format!("{}{path}", self.place.url());
        let key = ("x-api-key", self.key.as_str());
        call(method, &url, &[&[key], headers].concat(), body)
    }

    /// Gets a path.
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &[], "")
    }

    /// Posts JSON.
    pub(crate) fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Reply {
        self.call("POST", path, &[("content-type", "application/json")], body)
    }

    /// Posts the body of an event.
    pub(crate) fn post_event(&self, body: impl Into<Vec<u8>>) -> Reply {
        self.post("/api/events", body)
    }

    /// Posts an event of this type that is accepted; its id.
    #[track_caller]
    pub(crate) fn accepted(&self, event_type: &str) -> String {
        let body = json!({"type": event_type, "payload": {"n": 1}});
        self.post_event(body.to_string()).expect(202).id()
    }

    /// Sets the webhook; its secret, if this created it.
    #[track_caller]
    pub(crate) fn set_webhook(&self, url: &str) -> Option<String> {
        let body = json!({"webhook_url": url}).to_string();
        let answer = self.post("/api/webhook/config", body).expect(200).json();
        assert_eq!((&answer["success"], &answer["webhook_url"]), (&json!(true), &json!(url)));
        answer["secret"].as_str().map(str::to_owned)
    }

    /// Acknowledges an event.
    pub(crate) fn acknowledge(&self, id: &str) -> Reply {
        self.post(&format!("/api/ack/{id}"), "")
    }

    /// A page of the inbox.
    #[track_caller]
    pub(crate) fn inbox(&self, query: &str) -> Value {
        self.get(&format!("/api/inbox{query}")).expect(200).json()
    }

    /// The ids of a page of the inbox.
    #[track_caller]
    pub(crate) fn inbox_ids(&self, query: &str) -> Vec<String> {
        ids(&self.inbox(query))
    }

    /// Waits until the inbox shows this event with this status, and gives it back as shown.
    pub(crate) fn shown_as(&self, status: &str, id: &str) -> Value {
        eventually(&format!("{id} is {status} in the inbox"), || {
            let mut page = self.inbox("?limit=1000");
            let found = page["events"].as_array_mut()?.iter_mut().find(|event| event["id"] == id)?;
            (found["status"] == status).then(|| found.take())
        })
    }

    /// Waits until the inbox shows every one of these events with this status.
    pub(crate) fn all_shown_as(&self, status: &str, ids: &[impl AsRef<str>]) {
        for id in ids {
            self.shown_as(status, id.as_ref());
        }
    }

    /// Waits until the table holds this event with this status, and gives it back as stored.
    pub(crate) fn stored_as(&self, status: &str, id: &str) -> Stored {
        eventually(&format!("{id} is {status} in the table"), || {
            tables::stored(self, id).filter(|stored| stored.status == status)
        })
    }
}

/// The ids of a list of events, in order.
pub(crate) fn ids(page: &Value) -> Vec<String> {
    let events = page["events"].as_array().expect("a list of events");
    events.iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}

//! The endpoint of `cargo dev listen`: created at its start, removed at its end.
//!
//! A `listen` that is killed leaves its endpoint behind. The next one removes it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::ApiClient;
use crate::error::Error;
use crate::http::agent_without_redirects;
use crate::output::note;

/// The description of each endpoint that `listen` creates.
const DESCRIPTION: &str = "cargo dev listen";

/// The answer to a `GET` on the URL of such an endpoint, as long as its `listen` runs.
pub(super) const PRESENCE: &str = "cargo dev listen receives webhooks here";

/// How long a running `listen` may take to answer that it runs.
const PRESENCE_TIMEOUT: Duration = Duration::from_secs(2);

/// An endpoint. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Endpoint {
    api: ApiClient,
    path: String,
    /// The secret that signs its webhooks.
    pub(super) secret: String,
}

/// Returns a path that no other `listen` has, also none that had the same port before.
pub(super) fn choose_path() -> String {
    format!("/{:016x}", rand::random::<u64>())
}

impl Endpoint {
    /// Creates an endpoint with a URL, and with patterns if there are any.
    pub(super) fn create(api: ApiClient, url: &str, types: &[String]) -> Result<Self, Error> {
        let mut body = json!({"url": url, "description": DESCRIPTION});
        if !types.is_empty() {
            body["event_types"] = types.into();
        }
        let created = api.post("/api/endpoints", body.to_string())?;
        let text = |member: &str| created[member].as_str().unwrap_or_default().to_owned();
        let id = text("id");
        note!("POST /api/endpoints {body}\ncreated the endpoint {id}");
        Ok(Self { api, path: format!("/api/endpoints/{id}"), secret: text("secret") })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        match self.api.delete(&self.path) {
            Ok(()) => note!("removed the endpoint"),
            Err(error) => {
                note!("the endpoint is not removed: {error}. The next `cargo dev listen` removes it");
            }
        }
    }
}

/// Removes the endpoints of each `listen` that ended and could not remove its own.
pub(super) fn remove_stale(api: &ApiClient) -> Result<(), Error> {
    let list = api.get("/api/endpoints")?;
    for endpoint in list["endpoints"].as_array().into_iter().flatten() {
        let (id, url) = (text(endpoint, "id"), text(endpoint, "url"));
        if text(endpoint, "description") == DESCRIPTION && is_abandoned(url) {
            api.delete(&format!("/api/endpoints/{id}"))?;
            note!("removed the endpoint {id} of a `cargo dev listen` that has ended");
        }
    }
    Ok(())
}

fn text<'a>(endpoint: &'a Value, member: &str) -> &'a str {
    endpoint[member].as_str().unwrap_or_default()
}

/// Whether the `listen` that created this URL has ended: the URL is on this machine, and nothing accepts a connection there,
/// or something answers that is not this `listen`, because the port has another owner now.
///
/// A `listen` that accepts the connection and does not answer in time is stopped (Ctrl-Z) or busy, so it keeps its endpoint.
fn is_abandoned(url: &str) -> bool {
    if !url.starts_with("http://127.0.0.1:") {
        return false;
    }
    let agent = agent_without_redirects(PRESENCE_TIMEOUT);
    match agent.get(url).call().and_then(|mut answer| answer.body_mut().read_to_string()) {
        Ok(text) => text != PRESENCE,
        Err(error) => !matches!(error, ureq::Error::Timeout(_)),
    }
}

//! The request to an endpoint. Its body has the members of the inbox event, and it is signed for one attempt.

use serde_json::json;

use crate::delivery::run::Run;
use crate::delivery::signature::{SigningSecrets, content, sign};
use crate::endpoint::private::Private;
use crate::endpoint::url::EndpointUrl;
use crate::endpoint::{Endpoint, Signing};
use crate::event::event_type::EventType;
use crate::event::id::EventId;
use crate::timestamp::Timestamp;
use crate::trace;

/// Headers that every request to an endpoint has. An owner's own headers cannot set, change or remove them, because their
/// names are reserved.
pub const MARKS: [&str; 3] = ["webhook-id", "webhook-signature", "webhook-attempt"];

/// The header `User-Agent` of every request to an endpoint.
pub const USER_AGENT: &str = concat!("Triggers/", env!("CARGO_PKG_VERSION"));

/// A signed request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebhookRequest {
    /// The URL to send it to.
    pub url: EndpointUrl,
    /// The name and the value of each header, except those of the connection.
    pub headers: Vec<(String, String)>,
    /// The exact bytes that are signed.
    pub body: Vec<u8>,
}

/// The event that a request carries.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// The event's id.
    pub id: EventId,
    /// The event's type.
    pub event_type: &'a EventType,
    /// The payload, exactly as it was accepted.
    pub payload: &'a str,
}

impl Content<'_> {
    /// Returns the body for the event. It has the payload byte for byte.
    #[must_use]
    pub fn body(&self) -> String {
        let id = self.id;
        let event_type = json!(self.event_type.as_str());
        let created_at = json!(id.accepted_at().to_string());
        let payload = self.payload;
        format!(r#"{{"id":"{id}","type":{event_type},"created_at":{created_at},"payload":{payload}}}"#)
    }
}

/// The attempt that a request makes, so that a receiver can tell a retry or a replay from a first attempt.
#[derive(Clone, Copy, Debug)]
pub struct AttemptOf<'a> {
    /// The number of the attempt, from 1.
    pub n: u32,
    /// The run that the attempt belongs to.
    pub run: &'a Run,
    /// The header `traceparent`; `None` outside of a trace.
    pub traceparent: Option<&'a str>,
}

impl AttemptOf<'_> {
    /// The first attempt of the original run.
    pub const FIRST: Self = Self { n: 1, run: &Run::Original, traceparent: None };
}

/// Makes the signed request for an attempt at `now`.
#[must_use]
pub fn request(
    url: EndpointUrl,
    endpoint: &Endpoint,
    private: &Private,
    signing: &SigningSecrets,
    event: Content<'_>,
    attempt: AttemptOf<'_>,
    now: Timestamp,
) -> WebhookRequest {
    // 1. Sign the exact bytes of the body.
    let id = event.id.to_string();
    let body = event.body();
    let content = content(&id, now, body.as_bytes());
    let mut signatures: Vec<String> = private.secrets.at(now).map(|secret| sign(secret, &content)).collect();
    if endpoint.signing == Signing::Ed25519 {
        signatures.extend(signing.keys_of(&endpoint.id).sign(&content));
    }

    // 2. Add our headers, then the owner's.
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in [
        ("content-type", "application/json".to_owned()),
        ("user-agent", USER_AGENT.to_owned()),
        ("webhook-id", id.clone()),
        ("webhook-timestamp", now.seconds().to_string()),
        ("webhook-signature", signatures.join(" ")),
        ("webhook-attempt", attempt.n.to_string()),
        ("x-event-id", id),
        ("x-event-type", event.event_type.to_header()),
    ] {
        headers.push((name.to_owned(), value));
    }
    headers.extend(further_headers(attempt, private));
    WebhookRequest { url, headers, body: body.into_bytes() }
}

/// Returns the headers that say more about the attempt, and the owner's own. The owner's `traceparent` wins.
fn further_headers(attempt: AttemptOf<'_>, private: &Private) -> Vec<(String, String)> {
    let is_set = private.headers.iter().any(|(name, _)| name == trace::HEADER);
    let replay = attempt.run.replay_id().map(|replay| ("webhook-replay", replay));
    let traceparent = attempt.traceparent.filter(|_| !is_set).map(|value| (trace::HEADER, value));
    let all = replay.into_iter().chain(traceparent).chain(private.headers.iter());
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

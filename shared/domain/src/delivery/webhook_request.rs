//! The request to an endpoint. Its body has the members of the inbox event, and it is signed for one attempt.

use serde_json::json;

use crate::delivery::signature::{SigningSecrets, content, sign};
use crate::endpoint::private::Private;
use crate::endpoint::url::EndpointUrl;
use crate::endpoint::{Endpoint, Signing};
use crate::inbox::Head;
use crate::timestamp::Timestamp;

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

/// Returns the body for an event. It has the payload byte for byte as it was accepted.
#[must_use]
pub fn body(head: &Head, payload: &str) -> String {
    let event_type = json!(head.event_type.as_str());
    let created_at = json!(head.id.accepted_at().to_string());
    format!(r#"{{"id":"{}","type":{event_type},"created_at":{created_at},"payload":{payload}}}"#, head.id)
}

/// Makes the signed request for an attempt at `now`.
#[must_use]
pub fn request(
    url: EndpointUrl,
    endpoint: &Endpoint,
    private: &Private,
    signing: &SigningSecrets,
    (head, payload): (&Head, &str),
    now: Timestamp,
) -> WebhookRequest {
    // 1. Sign the exact bytes of the body.
    let id = head.id.to_string();
    let body = body(head, payload);
    let content = content(&id, now, body.as_bytes());
    let mut signatures: Vec<String> = private.secrets.at(now).map(|secret| sign(secret, &content)).collect();
    if endpoint.signing == Signing::Ed25519 {
        signatures.extend(signing.keys_of(&endpoint.id).sign(&content));
    }

    // 2. Add our headers, then the owner's.
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in [
        ("content-type", "application/json".to_owned()),
        ("user-agent", concat!("Triggers/", env!("CARGO_PKG_VERSION")).to_owned()),
        ("webhook-id", id.clone()),
        ("webhook-timestamp", now.seconds().to_string()),
        ("webhook-signature", signatures.join(" ")),
        ("x-event-id", id),
        ("x-event-type", head.event_type.as_str().to_owned()),
    ] {
        headers.push((name.to_owned(), value));
    }
    for (name, value) in private.headers.iter() {
        headers.push((name.to_owned(), value.to_owned()));
    }
    WebhookRequest { url, headers, body: body.into_bytes() }
}

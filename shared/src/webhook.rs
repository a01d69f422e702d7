//! The request that an endpoint gets: the inbox's own members as its body, signed for this attempt.

use crate::endpoint::{EndpointUrl, Secret};
use crate::inbox::Head;
use crate::ports::WebhookRequest;
use crate::signature::sign;
use crate::timestamp::Timestamp;
use serde_json::json;

/// The signed request for an attempt at `now`. The payload stands in it byte for byte as it was accepted.
#[must_use]
pub fn request(
    url: EndpointUrl,
    secret: &Secret,
    head: &Head,
    payload: &str,
    now: Timestamp,
) -> WebhookRequest {
    let id = head.id.to_string();
    let (event_type, created_at) =
        (json!(head.event_type.as_str()), json!(head.id.accepted_at().to_string()));
    let body =
        format!(r#"{{"id":"{id}","type":{event_type},"created_at":{created_at},"payload":{payload}}}"#);
    let headers = vec![
        ("webhook-id", id.clone()),
        ("webhook-timestamp", now.seconds().to_string()),
        ("webhook-signature", sign(secret, &id, now, body.as_bytes())),
        ("x-event-id", id),
        ("x-event-type", head.event_type.as_str().to_owned()),
    ];
    WebhookRequest { url, headers, body: body.into_bytes() }
}

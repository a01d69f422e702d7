//! A webhook that `cargo dev listen` received.

use serde::Deserialize;
use serde_json::value::RawValue;
use standardwebhooks::WebhookError;
use time::OffsetDateTime;
use ureq::http::StatusCode;

use super::forward::{Forwarded, Target};
use crate::receiver::{Answer, Request};

/// A received webhook, and how it was answered.
#[derive(Debug)]
pub(super) struct Webhook {
    /// When it arrived.
    pub(super) received_at: OffsetDateTime,
    /// The event's type. It is what the body says, or else the header.
    pub(super) event_type: String,
    /// The event's id: the header `webhook-id`.
    pub(super) id: String,
    /// The number of the attempt: the header `webhook-attempt`.
    pub(super) attempt: String,
    /// The id of the replay that the attempt belongs to: the header `webhook-replay`.
    pub(super) replay: Option<String>,
    /// The payload as it was sent. Without an event in the body, it is the body.
    pub(super) payload: Payload,
    /// Why it does not verify, if it does not.
    pub(super) refusal: Option<&'static str>,
    /// What forwarding resulted in, if it was forwarded.
    pub(super) forwarded: Option<Forwarded>,
    /// The status of the answer.
    pub(super) answer: u16,
}

/// What a webhook carries.
#[derive(Debug)]
pub(super) enum Payload {
    /// The payload of an event.
    Json(Box<RawValue>),
    /// A body that is no event.
    Text(String),
}

/// The members of a body that are shown.
#[derive(Deserialize)]
struct Body {
    #[serde(rename = "type")]
    event_type: String,
    payload: Box<RawValue>,
}

/// Verifies a request, and forwards it if it verifies. Returns it with its answer.
pub(super) fn receive(request: &Request, secret: &str, forward: Option<&Target>) -> (Webhook, Answer) {
    let received_at = OffsetDateTime::now_utc();
    let refusal = request.verify(secret).err().map(|error| explain(&error));
    let (forwarded, answer) = match (refusal, forward) {
        (Some((status, reason)), _) => (None, Answer::new(status, reason)),
        (None, None) => (None, Answer::new(StatusCode::OK, "")),
        (None, Some(target)) => {
            let (forwarded, answer) = target.forward(request);
            (Some(forwarded), answer)
        }
    };
    let (event_type, payload) = read_event(request);
    let header = |name| request.header(name).to_owned();
    let webhook = Webhook {
        received_at,
        event_type,
        id: header("webhook-id"),
        attempt: header("webhook-attempt"),
        replay: Some(header("webhook-replay")).filter(|replay| !replay.is_empty()),
        payload,
        refusal: refusal.map(|(_, reason)| reason),
        forwarded,
        answer: answer.status.as_u16(),
    };
    (webhook, answer)
}

/// Returns the type and the payload of the event in the body. Without an event, returns the type of the header, and the
/// body.
fn read_event(request: &Request) -> (String, Payload) {
    if let Ok(body) = serde_json::from_slice::<Body>(&request.body) {
        return (body.event_type, Payload::Json(body.payload));
    }
    let text = String::from_utf8_lossy(&request.body).into_owned();
    (request.header("x-event-type").to_owned(), Payload::Text(text))
}

/// Returns the status for a request that does not verify, and the reason.
fn explain(error: &WebhookError) -> (StatusCode, &'static str) {
    match error {
        WebhookError::MissingHeader("id") => (StatusCode::BAD_REQUEST, "it has no header `webhook-id`"),
        WebhookError::MissingHeader("timestamp") => {
            (StatusCode::BAD_REQUEST, "it has no header `webhook-timestamp`")
        }
        WebhookError::MissingHeader(_) => (StatusCode::BAD_REQUEST, "it has no header `webhook-signature`"),
        WebhookError::InvalidHeader(_) => (StatusCode::BAD_REQUEST, "a `webhook-` header is not ASCII"),
        WebhookError::InvalidTimestamp => {
            (StatusCode::BAD_REQUEST, "`webhook-timestamp` is not a number of seconds")
        }
        WebhookError::InvalidPayload => (StatusCode::BAD_REQUEST, "the body is not UTF-8"),
        WebhookError::TimestampTooOldError => {
            (StatusCode::UNAUTHORIZED, "`webhook-timestamp` is more than 5 minutes ago")
        }
        WebhookError::FutureTimestampError => {
            (StatusCode::UNAUTHORIZED, "`webhook-timestamp` is more than 5 minutes ahead")
        }
        WebhookError::InvalidSignature | WebhookError::InvalidSecret(_) => {
            (StatusCode::UNAUTHORIZED, "no signature matches the body and the secret of the endpoint")
        }
    }
}

//! What a message says on the wire: tagged by a version, so that consumers can read the current and the previous
//! one while a new release is rolled out. The golden files under `events/` are kept for ever.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::compression::{compress, decompress};
use domain::delivery::{Bypass, DeliveryMessage};
use domain::endpoint::id::EndpointId;
use domain::event::Event;
use domain::event::claim::DedupId;
use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;

/// A message of a form that no version of ours writes.
#[derive(Debug, Error)]
#[error("the message is of an unknown form: {0}")]
pub struct UnknownForm(String);

#[derive(Deserialize, Serialize)]
#[serde(tag = "v")]
enum EventEnvelope {
    #[serde(rename = "1")]
    V1(EventV1),
}

/// The payload is base64 of zstd, since the queue refuses some characters that JSON allows.
#[derive(Deserialize, Serialize)]
struct EventV1 {
    tenant: String,
    tier: String,
    event: String,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dedup_id: Option<String>,
    payload: String,
}

#[derive(Deserialize, Serialize)]
#[serde(tag = "v")]
enum DeliveryEnvelope {
    #[serde(rename = "1")]
    V1(DeliveryV1),
}

#[derive(Deserialize, Serialize)]
struct DeliveryV1 {
    tenant: String,
    event: String,
    endpoint: String,
    generation: String,
    n: u32,
    #[serde(default)]
    fresh: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pass: Option<String>,
}

/// The message that carries an accepted event.
///
/// # Errors
/// When the payload cannot be compressed.
pub fn event_body(event: &Event) -> std::io::Result<String> {
    Ok(json(&EventEnvelope::V1(EventV1 {
        tenant: event.tenant.to_string(),
        tier: event.tier.as_str().to_owned(),
        event: event.id.to_string(),
        event_type: event.event_type.as_str().to_owned(),
        dedup_id: event.dedup_id.as_ref().map(|id| id.as_str().to_owned()),
        payload: BASE64.encode(compress(&event.payload)?),
    })))
}

/// The event of a message from the queue `events`.
///
/// # Errors
/// [`UnknownForm`] for a message that no version of ours writes.
pub fn read_event(body: &str) -> Result<Event, UnknownForm> {
    let EventEnvelope::V1(v1) = serde_json::from_str(body).map_err(unknown)?;
    let payload = BASE64.decode(&v1.payload).map_err(unknown)?;
    Ok(Event {
        id: EventId::parse(&v1.event).ok_or_else(|| unknown("event"))?,
        tenant: stored_tenant(v1.tenant),
        tier: Tier::parse(&v1.tier).ok_or_else(|| unknown("tier"))?,
        event_type: EventType::parse(v1.event_type).map_err(unknown)?,
        payload: decompress(&payload).map_err(unknown)?,
        dedup_id: v1.dedup_id.map(DedupId::from_stored),
    })
}

/// The message that carries a delivery.
#[must_use]
pub fn delivery_body(message: &DeliveryMessage) -> String {
    json(&DeliveryEnvelope::V1(DeliveryV1 {
        tenant: message.tenant.to_string(),
        event: message.event.to_string(),
        endpoint: message.endpoint.to_string(),
        generation: message.generation.clone(),
        n: message.n,
        fresh: message.fresh,
        pass: (message.bypass != Bypass::None).then(|| message.bypass.as_str().to_owned()),
    }))
}

/// The delivery of a message from the queue `deliveries`.
///
/// # Errors
/// [`UnknownForm`] for a message that no version of ours writes.
pub fn read_delivery(body: &str) -> Result<DeliveryMessage, UnknownForm> {
    let DeliveryEnvelope::V1(v1) = serde_json::from_str(body).map_err(unknown)?;
    Ok(DeliveryMessage {
        tenant: stored_tenant(v1.tenant),
        event: EventId::parse(&v1.event).ok_or_else(|| unknown("event"))?,
        endpoint: EndpointId::from_stored(v1.endpoint),
        generation: v1.generation,
        n: v1.n,
        fresh: v1.fresh,
        bypass: v1
            .pass
            .map_or(Some(Bypass::None), |name| Bypass::parse(&name))
            .ok_or_else(|| unknown("pass"))?,
    })
}

/// Returns the tenant that a message names. Our own code wrote it, for a tenant that a credential had named.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads a tenant id of a message")]
fn stored_tenant(text: String) -> TenantId {
    TenantId::from_stored(text)
}

fn json(envelope: &impl Serialize) -> String {
    serde_json::to_string(envelope).unwrap_or_default() // strings, numbers and booleans alone cannot fail
}

fn unknown(error: impl std::fmt::Display) -> UnknownForm {
    UnknownForm(format!("{error}"))
}

#[cfg(test)]
mod tests {
    use domain::testing::tenant;
    use domain::timestamp::Timestamp;

    use super::*;

    fn event() -> Event {
        Event {
            id: EventId::generate(Timestamp::from_millis(1), 1, &mut rand::rng()),
            tenant: tenant(),
            tier: Tier::Pro,
            event_type: EventType::parse("order.created").unwrap(),
            payload: "{\"a\": \"\\u0000 \u{fffe}\"}".to_owned(),
            dedup_id: DedupId::parse("order 7"),
        }
    }

    #[test]
    fn an_event_comes_out_as_it_went_in() {
        let event = event();
        assert_eq!(read_event(&event_body(&event).unwrap()).unwrap(), event);
    }

    #[test]
    fn a_delivery_comes_out_as_it_went_in() {
        for pass in Bypass::ALL {
            let message = DeliveryMessage {
                tenant: tenant(),
                event: event().id,
                endpoint: EndpointId::from_stored("ep_1"),
                generation: "0".to_owned(),
                n: 3,
                fresh: true,
                bypass: pass,
            };
            assert_eq!(read_delivery(&delivery_body(&message)).unwrap(), message);
        }
    }

    #[test]
    fn another_form_is_told_and_nothing_panics() {
        for body in ["", "{}", "nope", r#"{"v":"9"}"#, r#"{"v":"1","tenant":"org_1"}"#, "[1]"] {
            assert!(read_event(body).is_err(), "{body}");
            assert!(read_delivery(body).is_err(), "{body}");
        }
    }
}

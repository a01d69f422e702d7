//! The bodies of queue messages. Each has a version, so that a release can read the messages of the previous release
//! during a rollout. The golden files under `events/` must stay readable.

use std::num::NonZeroU64;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::compression::{compress, decompress};
use domain::delivery::run::Run;
use domain::delivery::share::{ParkedEndpoint, Share};
use domain::delivery::{Bypass, DeliveryMessage};
use domain::endpoint::id::EndpointId;
use domain::event::Event;
use domain::event::claim_name::DedupId;
use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::timestamp::Timestamp;
use domain::trace::Trace;

/// The span in a message. It is not used.
const OWN_SPAN: NonZeroU64 = NonZeroU64::MIN;

/// A message whose format this version cannot read.
#[derive(Debug, Error)]
#[error("the format of the message is unknown: {0}")]
pub struct UnknownFormat(String);

#[derive(Deserialize, Serialize)]
#[serde(tag = "v")]
enum EventEnvelope {
    #[serde(rename = "1")]
    V1(EventV1),
}

/// The payload is compressed with zstd and encoded in base64, because SQS refuses some characters that JSON allows.
#[derive(Deserialize, Serialize)]
struct EventV1 {
    tenant: String,
    tier: String,
    event: String,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dedup_id: Option<String>,
    /// The previous version does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
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
    /// Says more about `pass`. The previous version reads `pass` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// The previous version does not know it: its deliveries take nothing from the allowance.
    #[serde(default, skip_serializing_if = "is_default")]
    units: u32,
    /// The previous version does not know it either.
    #[serde(default, skip_serializing_if = "is_default")]
    waited: bool,
    /// The previous version does not count by it: the statistics miss an event of a rollout.
    #[serde(default, skip_serializing_if = "is_default")]
    counts: bool,
    /// The previous version does not know it: a delivery that it sends later has no trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(tag = "v")]
enum ShareEnvelope {
    #[serde(rename = "1")]
    V1(ShareV1),
}

#[derive(Deserialize, Serialize)]
struct ShareV1 {
    /// In milliseconds since the epoch.
    until: u64,
    endpoints: Vec<ParkedEndpointV1>,
}

#[derive(Deserialize, Serialize)]
struct ParkedEndpointV1 {
    tenant: String,
    endpoint: String,
    /// The number of each part and the version of its row.
    parts: Vec<(u8, u64)>,
}

/// Returns whether a member has the value that a message without it has.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Returns the body of the message for an accepted event.
///
/// # Errors
/// If the payload cannot be compressed.
pub fn event_body(event: &Event) -> std::io::Result<String> {
    Ok(json(&EventEnvelope::V1(EventV1 {
        tenant: event.tenant.to_string(),
        tier: event.tier.as_str().to_owned(),
        event: event.id.to_string(),
        event_type: event.event_type.as_str().to_owned(),
        dedup_id: event.dedup_id.as_ref().map(|id| id.as_str().to_owned()),
        trace: event.trace.map(|trace| trace.to_header(OWN_SPAN)),
        payload: BASE64.encode(compress(&event.payload)?),
    })))
}

/// Reads the event of a message from the queue `events`.
///
/// # Errors
/// [`UnknownFormat`] if this version cannot read the message.
pub fn read_event(body: &str) -> Result<Event, UnknownFormat> {
    let EventEnvelope::V1(v1) = serde_json::from_str(body).map_err(unknown)?;
    let payload = BASE64.decode(&v1.payload).map_err(unknown)?;
    Ok(Event {
        id: EventId::parse(&v1.event).ok_or_else(|| unknown("event"))?,
        tenant: stored_tenant(v1.tenant),
        tier: Tier::parse(&v1.tier).ok_or_else(|| unknown("tier"))?,
        event_type: EventType::parse(v1.event_type).map_err(unknown)?,
        payload: decompress(&payload).map_err(unknown)?,
        dedup_id: v1.dedup_id.map(DedupId::from_stored),
        trace: v1.trace.as_deref().and_then(Trace::parse),
    })
}

/// Returns the body of the message for a delivery.
#[must_use]
pub fn delivery_body(message: &DeliveryMessage) -> String {
    json(&DeliveryEnvelope::V1(DeliveryV1 {
        tenant: message.tenant.to_string(),
        event: message.event.to_string(),
        endpoint: message.endpoint.to_string(),
        generation: message.run.to_string(),
        n: message.n,
        fresh: message.fresh,
        pass: known_to_previous(message.bypass).map(|bypass| bypass.as_str().to_owned()),
        kind: (known_to_previous(message.bypass).unwrap_or_default() != message.bypass)
            .then(|| message.bypass.as_str().to_owned()),
        units: message.units,
        waited: message.has_waited,
        counts: message.counts_event,
        trace: message.trace.map(|trace| trace.to_header(OWN_SPAN)),
    }))
}

/// Returns the bypass that the previous version reads instead of this one; `None` for no bypass.
const fn known_to_previous(bypass: Bypass) -> Option<Bypass> {
    match bypass {
        Bypass::None => None,
        Bypass::Paced | Bypass::Throttled => Some(Bypass::Paced),
        Bypass::Probe | Bypass::SpendingProbe => Some(Bypass::Probe),
    }
}

/// Reads the delivery of a message from the queue `deliveries`.
///
/// # Errors
/// [`UnknownFormat`] if this version cannot read the message.
pub fn read_delivery(body: &str) -> Result<DeliveryMessage, UnknownFormat> {
    let DeliveryEnvelope::V1(v1) = serde_json::from_str(body).map_err(unknown)?;
    let bypass = match v1.kind.or(v1.pass) {
        Some(name) => Bypass::parse(&name).ok_or_else(|| unknown("pass"))?,
        None => Bypass::None,
    };
    Ok(DeliveryMessage {
        tenant: stored_tenant(v1.tenant),
        event: EventId::parse(&v1.event).ok_or_else(|| unknown("event"))?,
        endpoint: EndpointId::from_stored(v1.endpoint),
        run: Run::from_stored(&v1.generation),
        n: v1.n,
        fresh: v1.fresh,
        bypass,
        units: v1.units,
        has_waited: v1.waited,
        counts_event: v1.counts,
        trace: v1.trace.as_deref().and_then(Trace::parse),
    })
}

/// Returns the body of the message for a share.
#[must_use]
pub fn share_body(share: &Share) -> String {
    let endpoint = |ParkedEndpoint { tenant, id, parts }: &ParkedEndpoint| ParkedEndpointV1 {
        tenant: tenant.to_string(),
        endpoint: id.to_string(),
        parts: parts.iter().map(|(part, version)| (*part, *version)).collect(),
    };
    json(&ShareEnvelope::V1(ShareV1 {
        until: share.until.millis(),
        endpoints: share.endpoints.iter().map(endpoint).collect(),
    }))
}

/// Reads the share of a message from the queue `drains`.
///
/// # Errors
/// [`UnknownFormat`] if this version cannot read the message.
pub fn read_share(body: &str) -> Result<Share, UnknownFormat> {
    let ShareEnvelope::V1(v1) = serde_json::from_str(body).map_err(unknown)?;
    let endpoint = |ParkedEndpointV1 { tenant, endpoint, parts }| ParkedEndpoint {
        tenant: stored_tenant(tenant),
        id: EndpointId::from_stored(endpoint),
        parts: parts.into_iter().collect(),
    };
    Ok(Share {
        until: Timestamp::from_millis(v1.until),
        endpoints: v1.endpoints.into_iter().map(endpoint).collect(),
    })
}

/// Returns the tenant and the event that the body of a delivery message names, whatever its version.
#[must_use]
pub fn event_of_delivery(body: &str) -> Option<(TenantId, EventId)> {
    let named: serde_json::Value = serde_json::from_str(body).ok()?;
    let event = EventId::parse(named.get("event")?.as_str()?)?;
    Some((TenantId::of_message(body)?, event))
}

/// Returns the tenant id of a message. Our own code wrote it, from a credential.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads a tenant id of a message")]
fn stored_tenant(text: String) -> TenantId {
    TenantId::from_stored(text)
}

fn json(envelope: &impl Serialize) -> String {
    serde_json::to_string(envelope).unwrap_or_default() // strings, numbers and booleans cannot fail
}

fn unknown(error: impl std::fmt::Display) -> UnknownFormat {
    UnknownFormat(format!("{error}"))
}

#[cfg(test)]
mod tests {
    use domain::testing::tenant;

    use super::*;

    fn event() -> Event {
        Event {
            id: EventId::generate(Timestamp::from_millis(1), 1, &mut rand::rng()),
            tenant: tenant(),
            tier: Tier::Pro,
            event_type: EventType::parse("order.created").unwrap(),
            payload: "{\"a\": \"\\u0000 \u{fffe}\"}".to_owned(),
            dedup_id: DedupId::parse("order 7"),
            trace: Trace::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        }
    }

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let event = event();
        assert_eq!(read_event(&event_body(&event).unwrap()).unwrap(), event);
    }

    #[test]
    fn a_delivery_is_read_as_it_was_written() {
        for bypass in Bypass::ALL {
            let message = DeliveryMessage {
                tenant: tenant(),
                event: event().id,
                endpoint: EndpointId::from_stored("ep_1"),
                run: Run::Original,
                n: 3,
                fresh: true,
                bypass,
                units: 54,
                has_waited: true,
                counts_event: true,
                trace: event().trace,
            };
            assert_eq!(read_delivery(&delivery_body(&message)).unwrap(), message);
        }
    }

    #[test]
    fn a_share_is_read_as_it_was_written() {
        let endpoint = |number: u8| ParkedEndpoint {
            tenant: tenant(),
            id: EndpointId::from_stored(format!("ep_{number}")),
            parts: (0..number).map(|part| (part, 7)).collect(),
        };
        let share = Share { until: Timestamp::from_millis(1), endpoints: vec![endpoint(1), endpoint(4)] };
        assert_eq!(read_share(&share_body(&share)).unwrap(), share);
        assert!(read_share(r#"{"v": "2"}"#).is_err());
    }

    #[test]
    fn the_previous_version_reads_a_bypass_that_it_knows() {
        for (bypass, known) in [
            (Bypass::None, None),
            (Bypass::Paced, Some("paced")),
            (Bypass::Throttled, Some("paced")),
            (Bypass::Probe, Some("probe")),
            (Bypass::SpendingProbe, Some("probe")),
        ] {
            let endpoint = domain::testing::endpoint(1).id;
            let head = domain::inbox::Head::new(&event(), [endpoint.clone()]);
            let first =
                DeliveryMessage::first(&tenant(), head.id, &endpoint, &head.deliveries[&endpoint], false);
            let body: serde_json::Value =
                serde_json::from_str(&delivery_body(&first.delayed(bypass))).unwrap();
            assert_eq!(body.get("pass").and_then(serde_json::Value::as_str), known);
        }
    }

    #[test]
    fn a_message_without_a_trace_or_with_an_unreadable_one_is_read_without_one() {
        let body = event_body(&event()).unwrap();
        let mut message: serde_json::Value = serde_json::from_str(&body).unwrap();
        for trace in [Some("of a later version"), None] {
            message["trace"] = trace.into();
            assert_eq!(read_event(&message.to_string()).unwrap(), Event { trace: None, ..event_of(&body) });
        }
        let without = event_body(&Event { trace: None, ..event() }).unwrap();
        assert!(!without.contains("trace"), "the previous version writes the same: {without}");
    }

    fn event_of(body: &str) -> Event {
        read_event(body).unwrap()
    }

    #[test]
    fn a_message_of_a_later_version_names_its_event() {
        let (tenant, event) = (tenant(), event().id);
        let later = serde_json::json!({"v": "9", "tenant": tenant.as_str(), "event": event.to_string()});
        assert_eq!(event_of_delivery(&later.to_string()), Some((tenant, event)));
        for body in ["", "{}", r#"{"tenant":"org_1"}"#, r#"{"event":"x"}"#] {
            assert_eq!(event_of_delivery(body), None, "{body}");
        }
    }

    #[test]
    fn an_unknown_format_is_an_error() {
        for body in ["", "{}", "nope", r#"{"v":"9"}"#, r#"{"v":"1","tenant":"org_1"}"#, "[1]"] {
            assert!(read_event(body).is_err(), "{body}");
            assert!(read_delivery(body).is_err(), "{body}");
        }
    }
}

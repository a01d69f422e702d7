//! Builders for tests. Each builder takes only what matters to a test.

use crate::delivery::LastAttempt;
use crate::delivery::verdict::Verdict;
use crate::endpoint::headers::Headers;
use crate::endpoint::health::{Failed, Health};
use crate::endpoint::id::EndpointId;
use crate::endpoint::pattern::Pattern;
use crate::endpoint::private::Private;
use crate::endpoint::secret::{Secret, Secrets};
use crate::endpoint::{DEFAULT_RATE_PER_SECOND, Endpoint, EndpointState, Signing};
use crate::event::event_type::EventType;
use crate::event::id::EventId;
use crate::event::{Event, NewEvent};
use crate::inbox::Outcome;
use crate::job::id::JobId;
use crate::sealed::{DataKey, Sealed};
use crate::tenant::api_key::{ApiKey, KeyRecord, Pepper, Scope};
use crate::tenant::id::TenantId;
use crate::tenant::spread::Spread;
use crate::tenant::tier::Tier;
use crate::timestamp::Timestamp;

/// The time at which tests start: 2023-11-14T22:13:20Z.
pub const START: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// Makes a new tenant id.
#[must_use]
pub fn tenant() -> TenantId {
    TenantId::generate(START, &mut rand::rng())
}

/// Makes the id of an erasure, for a new API key.
#[must_use]
pub fn erasure_id() -> JobId {
    JobId::derive_erasure(&ApiKey::generate(&mut rand::rng()).hash(&Pepper::new("pepper")))
}

/// Makes an API key with every scope, and its record.
#[must_use]
pub fn key_of(tenant: &TenantId, tier: Tier) -> (ApiKey, KeyRecord) {
    let key = ApiKey::generate(&mut rand::rng());
    let record = KeyRecord {
        id: format!("key_{:032x}", rand::random::<u128>()),
        tenant: tenant.clone(),
        tier,
        spread: Spread::of(tier),
        is_suspended: false,
        name: "test".to_owned(),
        scopes: Scope::ALL.to_vec(),
        last4: key.last4().to_owned(),
        created_at: START,
        expires_at: None,
        events_per_minute: None,
        last_used_at: None,
    };
    (key, record)
}

/// Makes the data key of all tenants in tests.
///
/// # Panics
/// Never: the key has 32 bytes.
#[must_use]
pub fn data_key() -> DataKey {
    DataKey::new(&[7; 32]).expect("32 bytes")
}

/// Makes the private part of all endpoints in tests: one fixed secret and no headers.
///
/// # Panics
/// Never: the secret has the form of Standard Webhooks.
#[must_use]
pub fn private() -> Private {
    let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
    Private { secrets: Secrets::new(secret), headers: Headers::default() }
}

/// Makes an active endpoint of this tenant that gets every event. Each number gives another endpoint.
///
/// # Panics
/// Never: the private part can be encrypted.
#[must_use]
pub fn endpoint_of(tenant: &TenantId, number: u8) -> Endpoint {
    let endpoint = endpoint(number);
    let sealed = private().seal(&data_key(), tenant, &endpoint.id, rand::random()).expect("it can be sealed");
    Endpoint { sealed, ..endpoint }
}

/// Makes an active endpoint without a readable private part. Each number gives another endpoint.
#[must_use]
pub fn endpoint(number: u8) -> Endpoint {
    Endpoint {
        id: EndpointId::from_stored(format!("ep_{number:032x}")),
        url: format!("https://receiver-{number}.example.com/hook"),
        description: String::new(),
        event_types: vec![Pattern::any()],
        signing: Signing::Hmac,
        sealed: Sealed::from_bytes(Vec::new()),
        created_at: START,
        rev: 1,
        state: EndpointState::Active,
        is_paused: false,
        is_suspended: false,
        rate_per_second: DEFAULT_RATE_PER_SECOND,
        health: Health::default(),
        last_delivered_at: None,
        slowness: None,
        needs_handshake: false,
        permission: None,
    }
}

/// Makes an event that was accepted at `now`.
///
/// # Panics
/// If the event type is not valid.
#[must_use]
pub fn event(tenant: &TenantId, event_type: &str, payload: &str, now: Timestamp) -> Event {
    let event_type = EventType::parse(event_type).expect("a valid type");
    let new = NewEvent { event_type, payload: payload.to_owned(), name: None };
    let id = EventId::generate(now, 1, &mut rand::rng());
    new.into_event(id, tenant.clone(), Tier::Free)
}

/// Makes the outcome of an attempt at [`START`] with this answer and this verdict.
#[must_use]
pub fn attempted(verdict: Verdict, answer: &str) -> Outcome {
    Outcome::Attempted(verdict, LastAttempt { at: START, duration_ms: 1, answer: answer.to_owned() })
}

/// Makes a failed attempt of an event of its own.
#[must_use]
pub fn failed(is_probe: bool) -> Failed {
    let event = EventId::generate(START, 1, &mut rand::rng());
    Failed { event, error: "500".to_owned(), not_before: None, is_probe, is_gone: false }
}

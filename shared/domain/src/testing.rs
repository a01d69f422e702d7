//! Things to test with; each builder asks only for what matters.

use crate::delivery::LastAttempt;
use crate::delivery::verdict::Verdict;
use crate::endpoint::headers::Headers;
use crate::endpoint::health::Health;
use crate::endpoint::id::EndpointId;
use crate::endpoint::pattern::Pattern;
use crate::endpoint::private::Private;
use crate::endpoint::secret::{Secret, Secrets};
use crate::endpoint::{DEFAULT_RATE_PER_SECOND, Endpoint, EndpointState, Signing};
use crate::event::event_type::EventType;
use crate::event::id::EventId;
use crate::event::{Event, NewEvent};
use crate::inbox::Outcome;
use crate::job::JobId;
use crate::sealed::{DataKey, Sealed};
use crate::tenant::api_key::{ApiKey, KeyRecord, Pepper, Scope};
use crate::tenant::id::TenantId;
use crate::tenant::spread::Spread;
use crate::tenant::tier::Tier;
use crate::timestamp::Timestamp;

/// A moment to begin at: 2023-11-14T22:13:20Z.
pub const START: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// A tenant of its own.
#[must_use]
pub fn tenant() -> TenantId {
    TenantId::generate(START, &mut rand::rng())
}

/// The erasure that the bearer of some key asks for.
#[must_use]
pub fn erasure_id() -> JobId {
    JobId::erasure(&ApiKey::generate(&mut rand::rng()).hash(&Pepper::new("pepper")))
}

/// A key that may do everything, and its record.
#[must_use]
pub fn key_of(tenant: &TenantId, tier: Tier) -> (ApiKey, KeyRecord) {
    let key = ApiKey::generate(&mut rand::rng());
    let record = KeyRecord {
        id: format!("key_{:032x}", rand::random::<u128>()),
        tenant: tenant.clone(),
        tier,
        spread: Spread::of(tier),
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

/// The data key of every tenant.
///
/// # Panics
/// Never: it has the right length.
#[must_use]
pub fn data_key() -> DataKey {
    DataKey::new(&[7; 32]).expect("32 bytes")
}

/// The private part that every endpoint has: this secret, and no headers.
///
/// # Panics
/// Never: the secret is of the specified form.
#[must_use]
pub fn private() -> Private {
    let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
    Private { secrets: Secrets::new(secret), headers: Headers::default() }
}

/// An active endpoint of this tenant that wants every event; endpoints of different numbers differ.
///
/// # Panics
/// Never: its private part can be encrypted.
#[must_use]
pub fn endpoint_of(tenant: &TenantId, number: u8) -> Endpoint {
    let endpoint = endpoint(number);
    let sealed = private().seal(&data_key(), tenant, &endpoint.id, rand::random()).expect("it can be sealed");
    Endpoint { sealed, ..endpoint }
}

/// An active endpoint whose private part nobody can read; endpoints of different numbers differ.
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
        rate_per_second: DEFAULT_RATE_PER_SECOND,
        health: Health::default(),
    }
}

/// An event accepted at `now`.
///
/// # Panics
/// When the type is none.
#[must_use]
pub fn event(tenant: &TenantId, event_type: &str, payload: &str, now: Timestamp) -> Event {
    let event_type = EventType::parse(event_type).expect("a valid type");
    let new = NewEvent { event_type, payload: payload.to_owned(), name: None };
    let id = EventId::generate(now, 1, &mut rand::rng());
    new.into_event(id, tenant.clone(), Tier::Free)
}

/// An attempt that was made at [`START`], with this verdict on this answer.
#[must_use]
pub fn attempted(verdict: Verdict, answer: &str) -> Outcome {
    Outcome::Attempted(verdict, LastAttempt { at: START, duration_ms: 1, answer: answer.to_owned() })
}

//! An endpoint: the URL of a receiver, and the event types that it gets.

pub mod address;
pub mod duplicate;
pub mod handshake;
pub mod headers;
pub mod health;
pub mod id;
pub mod own_hosts;
pub mod pace;
pub mod pattern;
pub mod private;
pub mod secret;
pub mod slowness;
pub mod url;

use std::time::Duration;

use self::handshake::Permission;
use self::health::Health;
use self::id::EndpointId;
use self::pace::Pace;
use self::pattern::Pattern;
use self::slowness::Slowness;
use crate::event::event_type::EventType;
use crate::sealed::Sealed;
use crate::timestamp::Timestamp;

/// Whether an endpoint gets deliveries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum EndpointState {
    /// The endpoint gets deliveries.
    #[default]
    Active,
    /// The endpoint answered 410 Gone, or only failed for five days. Its deliveries fail until the owner
    /// enables it again.
    Disabled,
}

/// The signature scheme of an endpoint's requests.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Signing {
    /// HMAC-SHA-256 with the endpoint's secret: `v1` of Standard Webhooks.
    #[default]
    Hmac,
    /// Also Ed25519 with a private key of the stack: `v1a` of Standard Webhooks. The receiver needs no secret to
    /// verify it.
    Ed25519,
}

impl Signing {
    /// All schemes.
    pub const ALL: [Self; 2] = [Self::Hmac, Self::Ed25519];

    /// Returns the name of the scheme in JSON and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hmac => "hmac",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Returns the scheme with this name; `None` for an unknown name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signing| signing.as_str() == name)
    }
}

/// A receiver of a tenant's events.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// The id of the endpoint.
    pub id: EndpointId,
    /// The URL as the owner sent it. [`url::EndpointUrl`] checks it again at every attempt.
    pub url: String,
    /// The owner's description.
    pub description: String,
    /// The patterns of the event types that the endpoint gets. An event matches if its type matches any of them.
    pub event_types: Vec<Pattern>,
    /// The signature scheme of the requests.
    pub signing: Signing,
    /// The encrypted secrets and headers: its [`private::Private`] part.
    pub sealed: Sealed,
    /// When the endpoint was created.
    pub created_at: Timestamp,
    /// The number of changes by the owner. Each update is conditional on the value that it read.
    pub rev: u64,
    /// Whether the endpoint gets deliveries.
    pub state: EndpointState,
    /// Whether the owner paused the endpoint. Its deliveries are parked until the owner resumes it.
    pub is_paused: bool,
    /// Whether the tenant is suspended. Its deliveries are parked until the operator resumes it. It is repeated here so that
    /// an attempt needs no further read.
    pub is_suspended: bool,
    /// The largest number of requests per second.
    pub rate_per_second: u32,
    /// Whether a URL must pass the ownership [`handshake`] before it is set.
    pub needs_handshake: bool,
    /// The permission that the receiver gave in the last handshake; `None` if the current URL had none.
    pub permission: Option<Permission>,
    /// The state of the circuit breaker, and the latest failures.
    pub health: Health,
    /// The time of a delivery. The next one that is recorded is at least [`DELIVERY_RECORD_INTERVAL`] later.
    pub last_delivered_at: Option<Timestamp>,
    /// How slowly the endpoint answers; `None` if it always answered quickly.
    pub slowness: Option<Slowness>,
}

/// The shortest time between two recorded deliveries of an endpoint. A write for each delivery would cost as much as the delivery.
pub const DELIVERY_RECORD_INTERVAL: Duration = Duration::from_mins(15);

impl Endpoint {
    /// Returns whether the endpoint gets events of this type.
    #[must_use]
    pub fn matches(&self, event_type: &EventType) -> bool {
        self.matching_pattern(event_type).is_some()
    }

    /// Returns whether a delivery at `now` is to be recorded.
    #[must_use]
    pub fn records_delivery(&self, now: Timestamp) -> bool {
        self.last_delivered_at.is_none_or(|last| last.after(DELIVERY_RECORD_INTERVAL) <= now)
    }

    /// Returns the rate at `now`: the configured one, or less after a 429.
    #[must_use]
    pub fn pace(&self, now: Timestamp) -> Pace {
        self.health.pace(self.full_pace(), now)
    }

    /// Returns the rate at `now` if it is lower than the configured one.
    #[must_use]
    pub fn throttled_pace(&self, now: Timestamp) -> Option<Pace> {
        Some(self.pace(now)).filter(|pace| *pace < self.full_pace())
    }

    /// Returns the time that a request takes, in seconds, if the endpoint is slow at `now`.
    #[must_use]
    pub fn slow_seconds(&self, now: Timestamp) -> Option<u32> {
        self.slowness.and_then(|slowness| slowness.seconds_at(now))
    }

    /// Returns the configured rate, or the rate that the receiver allowed if it is lower.
    #[must_use]
    pub fn full_pace(&self) -> Pace {
        let configured = Pace::per_second(self.rate_per_second);
        self.permission.map_or(configured, |permission| permission.limit(configured))
    }

    /// Returns the first pattern that this type matches.
    #[must_use]
    pub fn matching_pattern(&self, event_type: &EventType) -> Option<&Pattern> {
        self.event_types.iter().find(|pattern| pattern.matches(event_type))
    }

    /// Returns the first pattern that asks for a notice of this type.
    #[must_use]
    pub fn naming_pattern(&self, notice: &EventType) -> Option<&Pattern> {
        self.event_types.iter().find(|pattern| pattern.names(notice))
    }
}

/// The largest number of endpoints of a tenant. The head of an event has room for no more deliveries.
pub const MAX_ENDPOINTS: usize = 50;

/// The largest rate of an endpoint, in requests per second.
pub const MAX_RATE_PER_SECOND: u32 = 1000;

/// The default rate of an endpoint, in requests per second.
pub const DEFAULT_RATE_PER_SECOND: u32 = 30;

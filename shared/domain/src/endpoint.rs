//! Who wants events: an endpoint, which events it wants, and where they go.

pub mod id;

pub mod url;

pub mod address;

pub mod pattern;

pub mod headers;

pub mod secret;

pub mod private;

pub mod health;

pub mod pace;

use self::health::Health;
use self::id::EndpointId;
use self::pattern::Pattern;
use crate::event::event_type::EventType;
use crate::sealed::Sealed;
use crate::timestamp::Timestamp;

/// Whether an endpoint takes deliveries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum EndpointState {
    /// It does.
    #[default]
    Active,
    /// It answered 410 Gone, or nothing but failures for days: its deliveries fail until it is enabled again.
    Disabled,
}

/// How an endpoint's requests are signed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Signing {
    /// By its secret: `v1`, HMAC-SHA-256.
    #[default]
    Hmac,
    /// By our own key for this endpoint too: `v1a`, Ed25519, for receivers that want to keep no secret.
    Ed25519,
}

impl Signing {
    /// Every way.
    pub const ALL: [Self; 2] = [Self::Hmac, Self::Ed25519];

    /// The way's name in JSON and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hmac => "hmac",
            Self::Ed25519 => "ed25519",
        }
    }

    /// The way of this name; `None` if there is none.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signing| signing.as_str() == name)
    }
}

/// A receiver of a tenant's events.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// Its identity.
    pub id: EndpointId,
    /// Where its requests go, as configured; checked against the policy again at send time.
    pub url: String,
    /// The owner's own words about it.
    pub description: String,
    /// Which events it wants: those that match any of these.
    pub event_types: Vec<Pattern>,
    /// How its requests are signed.
    pub signing: Signing,
    /// What nobody but its requests may show, encrypted: its [`Private`] part.
    pub sealed: Sealed,
    /// When it was created.
    pub created_at: Timestamp,
    /// How often its owner changed it. Every change is conditional on the value it read.
    pub rev: u64,
    /// Whether it takes deliveries.
    pub state: EndpointState,
    /// Whether its owner paused it: deliveries are parked until it is resumed.
    pub is_paused: bool,
    /// The most requests per second.
    pub rate_per_second: u32,
    /// How it does.
    pub health: Health,
}

impl Endpoint {
    /// Whether it wants events of this type.
    #[must_use]
    pub fn wants(&self, event_type: &EventType) -> bool {
        self.matching(event_type).is_some()
    }

    /// The first of its patterns that events of this type match.
    #[must_use]
    pub fn matching(&self, event_type: &EventType) -> Option<&Pattern> {
        self.event_types.iter().find(|pattern| pattern.matches(event_type))
    }
}

/// A tenant's endpoints; more could not stand in the head of one event.
pub const MAX_ENDPOINTS: usize = 50;

/// The highest rate that an endpoint may have, in requests per second.
pub const MAX_RATE_PER_SECOND: u32 = 1000;

/// Requests per second, unless the owner says otherwise.
pub const DEFAULT_RATE_PER_SECOND: u32 = 30;

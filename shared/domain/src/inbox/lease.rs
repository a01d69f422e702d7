//! A lease: its id, its end, and its terms. The module [`leasing`](crate::inbox::leasing) has the transitions.

use std::fmt;

use rand::Rng;

use crate::id;
use crate::timestamp::Timestamp;

/// The id of one lease: `lse_` and 32 hexadecimal digits. Only its holder knows it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct LeaseId(String);

impl LeaseId {
    const PREFIX: &str = "lse_";

    /// Draws a new id.
    pub fn generate(rng: &mut impl Rng) -> Self {
        Self(id::random(Self::PREFIX, rng))
    }

    /// Accepts exactly the form that [`LeaseId`] is displayed in; returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        id::is_canonical(Self::PREFIX, text).then(|| Self(text.to_owned()))
    }

    /// Takes an id that our own code wrote into a table, without a check.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The lease or the delay that keeps an event from other clients.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lease {
    /// The id of the lease. `None` means a delay: the event was released and cannot be leased before `until`.
    pub holder: Option<LeaseId>,
    /// The end of the lease or of the delay.
    pub until: Timestamp,
}

/// The terms on which events are leased.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeaseTerms {
    /// The id of the new lease.
    pub holder: LeaseId,
    /// The end of the new lease.
    pub until: Timestamp,
    /// Whether to lease also events with an open webhook delivery.
    pub include_open: bool,
    /// The number of leases after which an event is quarantined.
    pub max_leases: u32,
}

/// The result of an acknowledgement under a lease. `H` is the head of an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Acknowledged<H> {
    /// The event is acknowledged. Holds the head to write.
    Now(Box<H>),
    /// The event was acknowledged under this lease before. The client repeats a request whose answer was lost.
    Already,
    /// The lease does not hold the event, or has ended.
    Lost,
}

//! A lease: its id, its end, and its terms. The module [`leasing`](crate::inbox::leasing) has the transitions.

use crate::id::random_id;
use crate::timestamp::Timestamp;

/// The id of one lease: `lse_` and 32 hexadecimal digits. Only its holder knows it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct LeaseId(String);

random_id!(LeaseId, "lse_");

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

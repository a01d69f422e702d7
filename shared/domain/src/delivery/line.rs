//! The lines in which requests wait for their time. A line has a rate ([`Pace`](crate::endpoint::pace::Pace)): it gives each
//! request the next free time.

use crate::endpoint::id::EndpointId;

/// A line of a tenant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Line<'a> {
    /// All requests to an endpoint.
    Endpoint(&'a EndpointId),
    /// All requests to slow endpoints of the tenant.
    Slow,
    /// The requests that came in one batch with others of the tenant.
    Burst,
    /// The deliveries beyond those that each event includes.
    Allowance,
}

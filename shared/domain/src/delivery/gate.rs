//! Whether a delivery may be attempted now: what its endpoint says to its message.

use super::Bypass;
use crate::endpoint::{Endpoint, EndpointState};

/// Whether a delivery may be attempted now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gate {
    /// It may.
    Open,
    /// Not now: it is parked.
    Parked,
    /// Never: the endpoint is disabled.
    Disabled,
}

/// What the endpoint, as it is now, does with a message of this pass.
#[must_use]
pub fn gate(endpoint: &Endpoint, bypass: Bypass) -> Gate {
    let is_held = endpoint.health.open.is_some() && bypass != Bypass::Probe;
    match endpoint.state {
        EndpointState::Disabled => Gate::Disabled,
        EndpointState::Active if endpoint.is_paused || is_held => Gate::Parked,
        EndpointState::Active => Gate::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::health::{Health, Open};
    use crate::testing::{START, endpoint};

    #[test]
    fn an_open_breaker_lets_probes_pass_and_a_pause_nothing() {
        let mut endpoint = endpoint(1);
        assert_eq!(gate(&endpoint, Bypass::None), Gate::Open);
        endpoint.health =
            Health { open: Some(Open { probes: 0, next_probe_at: START }), ..Health::default() };
        assert_eq!(
            (gate(&endpoint, Bypass::None), gate(&endpoint, Bypass::Probe)),
            (Gate::Parked, Gate::Open)
        );
        assert_eq!(gate(&endpoint, Bypass::Paced), Gate::Parked);
        endpoint.is_paused = true;
        assert_eq!(gate(&endpoint, Bypass::Probe), Gate::Parked);
        endpoint.state = EndpointState::Disabled;
        assert_eq!(gate(&endpoint, Bypass::None), Gate::Disabled);
    }
}

//! Decides whether the endpoint allows an attempt now.

use super::Bypass;
use crate::endpoint::{Endpoint, EndpointState};

/// The decision of the endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gate {
    /// The attempt is allowed.
    Open,
    /// The attempt is not allowed now: the delivery is parked.
    Parked,
    /// No attempt is allowed: the endpoint is disabled.
    Disabled,
}

/// Decides whether the endpoint allows an attempt of a message with this bypass. Of a suspended tenant, not even the
/// deliveries to a disabled endpoint end.
#[must_use]
pub fn gate(endpoint: &Endpoint, bypass: Bypass) -> Gate {
    let is_held = endpoint.health.open.is_some() && !bypass.is_probe();
    match endpoint.state {
        _ if endpoint.is_suspended => Gate::Parked,
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
    fn an_open_breaker_allows_probes_only_and_a_pause_allows_nothing() {
        let mut endpoint = endpoint(1);
        assert_eq!(gate(&endpoint, Bypass::None), Gate::Open);
        endpoint.health = Health {
            open: Some(Open { probes: 0, next_probe_at: START, last_probed: None }),
            ..Health::default()
        };
        assert_eq!(
            (gate(&endpoint, Bypass::None), gate(&endpoint, Bypass::Probe)),
            (Gate::Parked, Gate::Open)
        );
        assert_eq!(gate(&endpoint, Bypass::SpendingProbe), Gate::Open);
        assert_eq!(gate(&endpoint, Bypass::Paced), Gate::Parked);
        endpoint.is_paused = true;
        assert_eq!(gate(&endpoint, Bypass::Probe), Gate::Parked);
        endpoint.state = EndpointState::Disabled;
        assert_eq!(gate(&endpoint, Bypass::None), Gate::Disabled);
    }

    #[test]
    fn a_suspended_tenant_gets_nothing_and_loses_nothing() {
        for state in [EndpointState::Active, EndpointState::Disabled] {
            let endpoint = Endpoint { state, is_suspended: true, ..endpoint(1) };
            let bypasses =
                [Bypass::None, Bypass::Paced, Bypass::Throttled, Bypass::Probe, Bypass::SpendingProbe];
            assert_eq!(bypasses.map(|bypass| gate(&endpoint, bypass)), [Gate::Parked; 5]);
        }
    }
}

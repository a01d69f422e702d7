//! The trial of an endpoint that answered a probe with 429 Too Many Requests.
//!
//! Such an endpoint answers, but it took nothing yet, and the 429 may come from a gateway in front of a server that is down.
//! So deliveries are sent, but few. The first success ends the trial and closes the circuit breaker. The first failure ends
//! it and opens the circuit breaker again, and the probes go on at the interval that they had reached.

use crate::endpoint::pace::Pace;
use crate::timestamp::Timestamp;

/// The largest rate during a trial, in requests per hour: ten per minute. In the time of one request, a dead endpoint
/// gets few others.
const PER_HOUR: u32 = 600;

/// A trial.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trial {
    /// When the probe was answered.
    pub since: Timestamp,
    /// The number of probes sent before.
    pub probes: u32,
    /// The hash of the event of the last probe.
    pub last_probed: Option<u32>,
}

/// Returns the largest rate during a trial.
#[must_use]
pub fn pace() -> Pace {
    Pace::per_hour(PER_HOUR)
}

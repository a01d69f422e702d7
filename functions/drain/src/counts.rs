//! The numbers of one invocation.

use runtime::metrics::Metrics;
use store::unavailable::PortResult;

/// The numbers of one invocation, or of a part of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    /// Endpoints that were handled.
    pub(crate) endpoints: u64,
    /// Endpoints that were left to the next share, because there was no time.
    pub(crate) left: u64,
    /// Parked deliveries that were sent.
    pub(crate) drained: u64,
    /// Parked deliveries that were sent as probes.
    pub(crate) probes: u64,
    /// Endpoints or messages that failed, and endpoints that were left. The next share repeats them.
    pub(crate) failures: u64,
}

impl Counts {
    /// Adds the other numbers.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            endpoints: self.endpoints + other.endpoints,
            left: self.left + other.left,
            drained: self.drained + other.drained,
            probes: self.probes + other.probes,
            failures: self.failures + other.failures,
        }
    }

    /// Counts an endpoint that was left, because its minute was over.
    pub(crate) fn left() -> Self {
        Self { left: 1, failures: 1, ..Self::default() }
    }

    /// Returns the numbers of an endpoint. A failure is logged and counted, and does not stop other endpoints.
    pub(crate) fn of_endpoint(handled: PortResult<Self>) -> Self {
        let counts = handled.unwrap_or_else(|error| {
            tracing::warn!(cause = %error, "an endpoint was not drained; the next share repeats it");
            Self { failures: 1, ..Self::default() }
        });
        Self { endpoints: 1, ..counts }
    }

    /// Adds the numbers to the line of the invocation.
    pub(crate) fn write_to(self, metrics: &mut Metrics) {
        for (name, number) in [
            ("endpoints", self.endpoints),
            ("left", self.left),
            ("drained", self.drained),
            ("probes", self.probes),
            ("failures", self.failures),
        ] {
            metrics.count(name, number);
        }
    }
}

//! The time of day from the operating system: the one place that reads it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::ports::Clock;
use domain::timestamp::Timestamp;

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}

impl SystemClock {
    /// When an invocation must have ended, by the deadline that Lambda gave with it, in milliseconds since the epoch.
    /// `cargo lambda watch` tells a span there instead: a deadline that has passed at the start is none, and an invocation
    /// then has as long as `timeout`.
    #[must_use]
    pub fn deadline(self, millis: u64, timeout: Duration) -> Timestamp {
        let (now, deadline) = (self.now(), Timestamp::from_millis(millis));
        if deadline > now { deadline } else { now.after(timeout) }
    }
}

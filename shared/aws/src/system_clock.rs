//! The time of day from the operating system: the one place that reads it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::timestamp::Timestamp;
use store::clock::Clock;

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
    /// Returns when an invocation must have ended: the deadline that Lambda gave with it, in milliseconds since the epoch.
    /// `cargo lambda watch` gives a duration there instead, which reads as a time long ago: then an invocation has as long as
    /// `timeout`.
    #[must_use]
    pub fn deadline(self, millis: u64, timeout: Duration) -> Timestamp {
        let (now, deadline) = (self.now(), Timestamp::from_millis(millis));
        if deadline > now { deadline } else { now.after(timeout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_has_passed_at_the_start_is_replaced_by_the_timeout() {
        let (now, timeout) = (SystemClock.now(), Duration::from_secs(30));
        let later = now.after(Duration::from_hours(1));
        assert_eq!(SystemClock.deadline(later.millis(), timeout), later);
        let deadline = SystemClock.deadline(30_000, timeout);
        assert!(now.after(timeout) <= deadline && deadline < later);
    }
}

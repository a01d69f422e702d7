//! How slowly an endpoint answers. A request in flight occupies an instance of delivery, so requests to slow endpoints travel
//! a queue of their own ([`Lane`](crate::delivery::lane::Lane)), and wait for their time in a line of their tenant
//! ([`Line::Slow`](crate::delivery::line::Line)).
//!
//! An endpoint becomes slow while its first slow request is still in flight. It becomes quick again step by step: at most
//! once a minute, a quicker answer halves the recorded time. Quick endpoints have nothing recorded, and cost no write.

use std::time::Duration;

use crate::timestamp::Timestamp;

/// A request that takes this long is slow.
pub const SLOW: Duration = Duration::from_secs(2);

/// The time that is recorded for a slow request while it is in flight, in seconds.
const IN_FLIGHT_SECONDS: u32 = 4;

/// A record counts for this long.
const KEEP: Duration = Duration::from_mins(10);

/// The shortest time between two records of which the later one is shorter.
const STEP: Duration = Duration::from_mins(1);

/// What is recorded of a slow endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Slowness {
    /// The time that a request takes, in seconds, rounded up.
    pub seconds: u32,
    /// When it was recorded.
    pub at: Timestamp,
}

impl Slowness {
    /// Returns the time that a request takes, in seconds, if the endpoint is slow at `now`.
    #[must_use]
    pub fn seconds_at(self, now: Timestamp) -> Option<u32> {
        let is_slow = u64::from(self.seconds) >= SLOW.as_secs() && now.since(self.at) < KEEP;
        is_slow.then_some(self.seconds)
    }

    /// Makes the record for a request that is in flight since [`SLOW`]. Returns `None` if the endpoint is slow already.
    #[must_use]
    pub fn while_in_flight(seen: Option<Self>, now: Timestamp) -> Option<Self> {
        let is_slow = seen.is_some_and(|seen| seen.seconds_at(now).is_some());
        (!is_slow).then_some(Self { seconds: IN_FLIGHT_SECONDS, at: now })
    }

    /// Makes the record for a request that took this long. Returns `None` if there is nothing to record.
    #[must_use]
    pub fn after(seen: Option<Self>, took: Duration, now: Timestamp) -> Option<Self> {
        let seconds = u32::try_from(took.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        let slow = (took >= SLOW).then_some(Self { seconds, at: now });
        let Some(seen) = seen.filter(|seen| seen.seconds_at(now).is_some()) else { return slow };
        if seconds > seen.seconds {
            return slow;
        }
        let is_due = now.since(seen.at) >= STEP;
        is_due.then(|| Self { seconds: seconds.max(seen.seconds / 2), at: now })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::START;

    const TAKES_12: Duration = Duration::from_secs(12);
    const QUICK: Duration = Duration::from_millis(50);

    fn after(seconds: u64) -> Timestamp {
        START.after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_quick_endpoint_has_nothing_to_record() {
        assert_eq!(Slowness::after(None, QUICK, START), None);
        assert_eq!(Slowness::after(None, Duration::from_millis(1999), START), None);
    }

    #[test]
    fn a_slow_answer_is_recorded_and_a_slower_one_at_once() {
        let first = Slowness::after(None, SLOW, START).unwrap();
        assert_eq!(first, Slowness { seconds: 2, at: START });
        let next = Slowness::after(Some(first), TAKES_12, after(1)).unwrap();
        assert_eq!(next.seconds, 12);
        assert_eq!(Slowness::after(Some(next), TAKES_12, after(2)), None, "once a minute");
        assert_eq!(
            Slowness::after(Some(next), TAKES_12, after(61)),
            Some(Slowness { seconds: 12, at: after(61) })
        );
    }

    #[test]
    fn a_slow_endpoint_is_quick_again_after_three_minutes_of_quick_answers() {
        let mut slowness = Slowness { seconds: 13, at: START };
        let mut minutes = Vec::new();
        for second in 1..=300 {
            if let Some(next) = Slowness::after(Some(slowness), QUICK, after(second)) {
                minutes.push((second / 60, next.seconds));
                slowness = next;
            }
        }
        assert_eq!(minutes, [(1, 6), (2, 3), (3, 1)]);
        assert_eq!(slowness.seconds_at(after(180)), None);
    }

    #[test]
    fn an_endpoint_that_gets_nothing_is_quick_again_after_ten_minutes() {
        let slowness = Slowness { seconds: 13, at: START };
        assert_eq!(slowness.seconds_at(after(599)), Some(13));
        assert_eq!(slowness.seconds_at(after(600)), None);
    }

    #[test]
    fn a_request_in_flight_makes_a_quick_endpoint_slow_once() {
        let slow = Slowness::while_in_flight(None, START).unwrap();
        assert_eq!(slow.seconds_at(START), Some(IN_FLIGHT_SECONDS));
        assert_eq!(Slowness::while_in_flight(Some(slow), after(2)), None);
        assert_eq!(Slowness::after(Some(slow), TAKES_12, after(10)).map(|next| next.seconds), Some(12));
    }
}

//! The rate of an endpoint: the largest number of requests per second, over all instances.
//!
//! Time is divided into equal slots, one per request. An instance reserves the next free slots for its requests with
//! one update of the table, and sends each request at the start of its slot. If no slot is reserved, the first free
//! slot lies one second in the past, so that the requests of one second can be sent at once. The default of 30 per
//! second allows at most 9,030 requests in five minutes.

use std::time::Duration;

use crate::timestamp::Timestamp;

/// How far in the past the first free slot of an idle endpoint lies.
const BURST: Duration = Duration::from_secs(1);

/// A request is sent now if its slot starts within this time.
const TOLERANCE: Duration = Duration::from_millis(250);

/// The furthest slot that a message of a throttled endpoint reserves. Its rate may change every minute, so a later slot
/// would be at a rate that no longer holds.
pub const MAX_THROTTLED_WAIT: Duration = Duration::from_mins(1);

/// A rate in requests per hour, at least 1.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Pace(u32);

/// The slots to reserve: their total length, and the earliest start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// The total length of the slots, in microseconds.
    pub length: u64,
    /// The start of the first slot if no other slot is reserved, in microseconds since the epoch.
    pub earliest: u64,
}

impl Pace {
    /// Makes a rate. 0 counts as 1.
    #[must_use]
    pub fn per_second(requests: u32) -> Self {
        Self(requests.max(1).saturating_mul(3600))
    }

    /// Makes a rate from requests per hour. 0 counts as 1.
    #[must_use]
    pub fn per_hour(requests: u32) -> Self {
        Self(requests.max(1))
    }

    /// Returns the requests per hour.
    #[must_use]
    pub const fn to_per_hour(self) -> u32 {
        self.0
    }

    /// Returns the requests per second, rounded up.
    #[must_use]
    pub const fn to_per_second(self) -> u32 {
        self.0.div_ceil(3600)
    }

    /// Returns the requests per minute, rounded up.
    #[must_use]
    pub fn to_per_minute(self) -> usize {
        usize::try_from(self.0.div_ceil(60)).unwrap_or(usize::MAX)
    }

    /// Returns the time from the first request to the request at this place (from 0).
    #[must_use]
    pub fn offset(self, place: usize) -> Duration {
        let place = u64::try_from(place).unwrap_or(u64::MAX);
        Duration::from_secs(place.saturating_mul(3600) / u64::from(self.0))
    }

    /// Returns how many of `count` requests a throttled endpoint reserves slots for: what fits into
    /// [`MAX_THROTTLED_WAIT`], and at least one.
    #[must_use]
    pub fn throttled_slots(self, count: usize) -> usize {
        count.min(self.to_per_minute())
    }

    /// Returns the slots that `count` requests need at `now`. Without other requests, those of one second are sent at once.
    #[must_use]
    pub fn span(self, count: usize, now: Timestamp) -> Span {
        self.span_with_burst(count, BURST, now)
    }

    /// Returns the slots that `count` requests need at `now`. Without other requests, those of `burst` are sent at once.
    #[must_use]
    pub fn span_with_burst(self, count: usize, burst: Duration, now: Timestamp) -> Span {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        Span {
            length: self.interval().saturating_mul(count),
            earliest: now.before(burst).millis().saturating_mul(1000),
        }
    }

    /// Returns when request number `place` (from 0) may be sent, if the reserved slots start at `begin` (microseconds
    /// since the epoch). `None` means now.
    #[must_use]
    pub fn turn(self, begin: u64, place: usize, now: Timestamp) -> Option<Timestamp> {
        let place = u64::try_from(place).unwrap_or(u64::MAX);
        let turn = Timestamp::from_millis(begin.saturating_add(self.interval().saturating_mul(place)) / 1000);
        (turn > now.after(TOLERANCE)).then_some(turn)
    }

    fn interval(self) -> u64 {
        3_600_000_000 / u64::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::START;

    #[test]
    fn an_idle_endpoint_gets_the_requests_of_one_second_at_once() {
        let pace = Pace::per_second(10);
        let span = pace.span(100, START);
        assert_eq!(span.length, 10_000_000);
        let waits = |place| pace.turn(span.earliest, place, START).map(|turn| turn.since(START).as_millis());
        assert_eq!([waits(0), waits(9), waits(12)], [None, None, None]);
        assert_eq!([waits(20), waits(99)], [Some(1000), Some(8900)]);
    }

    #[test]
    fn reserved_slots_start_after_those_of_others() {
        let pace = Pace::per_second(30);
        let first = pace.span(300, START);
        let second = pace.span(1, START);
        let turn = pace.turn(first.earliest + first.length, 0, START).unwrap();
        assert!((8990..=9000).contains(&turn.since(START).as_millis()), "{turn}");
        assert_eq!(second.length, 33_333);
    }

    #[test]
    fn a_rate_of_zero_counts_as_one() {
        assert_eq!(Pace::per_second(0), Pace::per_second(1));
        assert_eq!(Pace::per_second(u32::MAX).turn(0, usize::MAX, START), None);
    }
}

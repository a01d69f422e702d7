//! How fast an endpoint is asked: so many requests per second, and no more, by everybody together.
//!
//! The endpoint's requests stand in one line of equal spans. Whoever has requests to make takes the next spans with one
//! call to the table and makes each request when its span begins; a line that nobody stands in begins a second ago, so
//! that a second's worth of requests may go at once. At 30 per second, the default, that is at most 9,030 in five minutes.

use std::time::Duration;

use crate::timestamp::Timestamp;

/// So much of an idle line may be used up at once.
const BURST: Duration = Duration::from_secs(1);

/// A request whose span begins sooner than this is made now.
const TOLERANCE: Duration = Duration::from_millis(250);

/// Requests that may be under way to one endpoint at the same time, where its line is busy: a third of the instances that
/// deliver, however few messages each of them took.
pub const MAX_AT_ONCE: u32 = 30;

/// Requests per second, at least one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pace(u32);

/// A part of an endpoint's line: how long all its spans are, and where the line begins if nobody stands in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// In microseconds.
    pub length: u64,
    /// Microseconds since the epoch.
    pub earliest: u64,
}

impl Pace {
    /// So many requests per second; none counts as one.
    #[must_use]
    pub fn per_second(requests: u32) -> Self {
        Self(requests.max(1))
    }

    /// What `count` requests take of the line at `now`.
    #[must_use]
    pub fn span(self, count: usize, now: Timestamp) -> Span {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        Span {
            length: self.interval().saturating_mul(count),
            earliest: now.before(BURST).millis().saturating_mul(1000),
        }
    }

    /// When the request of this place may be made, in a part of the line that begins at `begin` (microseconds
    /// since the epoch); `None` means now.
    #[must_use]
    pub fn turn(self, begin: u64, place: usize, now: Timestamp) -> Option<Timestamp> {
        let place = u64::try_from(place).unwrap_or(u64::MAX);
        let turn = Timestamp::from_millis(begin.saturating_add(self.interval().saturating_mul(place)) / 1000);
        (turn > now.after(TOLERANCE)).then_some(turn)
    }

    fn interval(self) -> u64 {
        1_000_000 / u64::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::START;

    #[test]
    fn an_idle_line_lets_a_seconds_worth_pass_and_then_one_at_a_time() {
        let pace = Pace::per_second(10);
        let span = pace.span(100, START);
        assert_eq!(span.length, 10_000_000);
        let waits = |place| pace.turn(span.earliest, place, START).map(|turn| turn.since(START).as_millis());
        assert_eq!([waits(0), waits(9), waits(12)], [None, None, None]);
        assert_eq!([waits(20), waits(99)], [Some(1000), Some(8900)]);
    }

    #[test]
    fn a_line_that_others_stand_in_begins_where_they_end() {
        let pace = Pace::per_second(30);
        let first = pace.span(300, START);
        let second = pace.span(1, START);
        let turn = pace.turn(first.earliest + first.length, 0, START).unwrap();
        assert!((8990..=9000).contains(&turn.since(START).as_millis()), "{turn}");
        assert_eq!(second.length, 33_333);
    }

    #[test]
    fn no_rate_is_no_division_by_zero() {
        assert_eq!(Pace::per_second(0), Pace::per_second(1));
        assert_eq!(Pace::per_second(u32::MAX).turn(0, usize::MAX, START), None);
    }
}

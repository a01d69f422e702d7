//! The lower rate of an endpoint that answered 429 Too Many Requests.
//!
//! A 429 halves the rate. After two minutes the rate returns by one step each minute: quickly to three quarters of
//! the rate that was refused, slowly past it, and then in steps that double. A receiver that allows less than
//! the configured rate therefore gets close to what it allows most of the time. The rate at any time follows from the
//! time of the last halving, so a step writes nothing.

use std::time::Duration;

use crate::endpoint::pace::Pace;
use crate::timestamp::Timestamp;

/// The time of one step.
const STEP: Duration = Duration::from_mins(1);

/// The percentages of the refused rate in the first steps. Later ones rise by 1 to 100 %, then by 2, 4, 8 ...
const FIRST_STEPS: [u64; 5] = [50, 50, 75, 80, 85];

/// The number of the step that reaches the refused rate again.
const FULL_STEP: u64 = 15;

/// The lowest rate, in requests per hour: one per minute.
const MIN_PER_HOUR: u64 = 60;

/// A lower rate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Throttle {
    /// The rate that was refused, in requests per hour.
    pub refused_per_hour: u32,
    /// When it was refused.
    pub at: Timestamp,
}

impl Throttle {
    /// Returns the rate at `now`, if the configured rate is `full`.
    #[must_use]
    pub fn pace(self, full: Pace, now: Timestamp) -> Pace {
        let step = now.since(self.at).as_secs() / STEP.as_secs();
        let percent = match FIRST_STEPS.get(usize::try_from(step).unwrap_or(usize::MAX)) {
            Some(percent) => *percent,
            None if step <= FULL_STEP => 100 - (FULL_STEP - step),
            None => 100 + (1 << (step - FULL_STEP).min(32)),
        };
        let per_hour = (u64::from(self.refused_per_hour) * percent / 100).max(MIN_PER_HOUR);
        full.min(Pace::per_hour(u32::try_from(per_hour).unwrap_or(u32::MAX)))
    }

    /// Returns whether the last halving is less than a step ago. Requests at the old rate may still be in flight then.
    #[must_use]
    pub fn is_fresh(self, now: Timestamp) -> bool {
        now.since(self.at) < STEP
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::START;

    fn per_hour(refused: Pace, minutes: u64) -> u32 {
        let throttle = Throttle { refused_per_hour: refused.to_per_hour(), at: START };
        throttle.pace(Pace::per_second(30), START.after(Duration::from_mins(minutes))).to_per_hour()
    }

    #[test]
    fn a_halved_rate_returns_by_steps() {
        let refused = Pace::per_second(10);
        let percents: Vec<u32> = (0..20).map(|minute| per_hour(refused, minute) / 360).collect();
        let expected = [50, 50, 75, 80, 85, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 102, 104, 108, 116];
        assert_eq!(percents, expected);
        assert_eq!(per_hour(refused, 23), Pace::per_second(30).to_per_hour(), "the configured rate");
        assert_eq!(per_hour(refused, u64::from(u32::MAX)), Pace::per_second(30).to_per_hour());
    }

    #[test]
    fn the_rate_is_never_below_one_a_minute() {
        assert_eq!(per_hour(Pace::per_hour(61), 0), 60);
        assert_eq!(per_hour(Pace::per_hour(60), 2), 60);
        assert_eq!(per_hour(Pace::per_hour(60), 40), 108_000, "from one a minute to 30 a second");
    }
}

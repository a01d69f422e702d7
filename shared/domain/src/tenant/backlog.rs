//! The backlog: the number of a tenant's events in the inbox, and its limit.
//!
//! Events are counted by the day on which they were accepted. A day stops to count when its events expire. A crash
//! between a write and its counting makes the count of a day wrong; the error ends with that day.

use std::collections::BTreeMap;

use crate::problem::{Kind, Problem};
use crate::tenant::tier::Tier;
use crate::timestamp::Timestamp;

/// The percentage of the maximum at which a tenant gets a notice that its inbox fills up.
pub const FILLING_PERCENT: u64 = 80;

/// The events in the inbox by the day on which they were accepted, or a change of these numbers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Backlog(BTreeMap<u64, i64>);

/// How a batch has changed the count of one day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DayChange {
    /// The day since the epoch.
    pub day: u64,
    /// The change.
    pub change: i64,
    /// The count after the change.
    pub count: i64,
}

impl DayChange {
    /// Returns the hundredths of the tier's maximum that the count of the day has reached, if this change reached a further
    /// one. Only then is it worth the cost to look at the whole backlog.
    #[must_use]
    pub fn reached_step(&self, tier: Tier) -> Option<i64> {
        let step = i64::try_from(tier.limits().undelivered_events / 100).unwrap_or(i64::MAX);
        let steps = self.count / step;
        let steps_before = (self.count - self.change) / step;
        (steps > steps_before && steps > 0).then_some(steps)
    }
}

impl Backlog {
    /// Makes the change for one more event.
    #[must_use]
    pub fn stored(accepted_at: Timestamp) -> Self {
        Self::of([(accepted_at.days(), 1)])
    }

    /// Makes the change of a backlog when one event leaves the inbox.
    #[must_use]
    pub fn settled(accepted_at: Timestamp) -> Self {
        Self::of([(accepted_at.days(), -1)])
    }

    /// Makes a backlog from pairs of a day since the epoch and its number.
    pub fn of(days: impl IntoIterator<Item = (u64, i64)>) -> Self {
        Self(days.into_iter().collect())
    }

    /// Adds the other backlog, and drops the days whose number becomes zero.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (day, change) in &other.0 {
            *self.0.entry(*day).or_default() += change;
        }
        self.0.retain(|_, change| *change != 0);
        self
    }

    /// Returns each day since the epoch with its number.
    pub fn days(&self) -> impl Iterator<Item = (u64, i64)> {
        self.0.iter().map(|(day, number)| (*day, *number))
    }

    /// Returns the number of events in the inbox at `now`.
    #[must_use]
    pub fn count(&self, tier: Tier, now: Timestamp) -> u64 {
        let oldest = now.days().saturating_sub(u64::from(tier.limits().retention_days));
        self.0.range(oldest..).map(|(_, number)| u64::try_from(*number).unwrap_or_default()).sum()
    }

    /// Returns whether the inbox is so full that its tenant gets a notice: it holds [`FILLING_PERCENT`] of the tier's
    /// maximum, or more.
    #[must_use]
    pub fn is_filling(&self, tier: Tier, now: Timestamp) -> bool {
        self.count(tier, now) * 100 >= tier.limits().undelivered_events * FILLING_PERCENT
    }

    /// Checks that the tenant may post one more event.
    ///
    /// # Errors
    /// [`Kind::BacklogFull`] (429) if the tier's maximum is reached.
    pub fn check(&self, tier: Tier, now: Timestamp) -> Result<(), Problem> {
        let most = tier.limits().undelivered_events;
        if self.count(tier, now) < most {
            return Ok(());
        }
        let detail = format!(
            "the inbox holds {most} events, the maximum of the tier; acknowledge some, then send this again"
        );
        Err(Problem::new(Kind::BacklogFull, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 20_000;
    const NOW: Timestamp = Timestamp::from_seconds(DAY * 86_400 + 5);

    #[test]
    fn changes_of_one_day_are_added() {
        let stored = Backlog::stored(NOW).plus(&Backlog::stored(NOW));
        assert_eq!(stored, Backlog::of([(DAY, 2)]));
        let settled = Backlog::settled(NOW).plus(&Backlog::settled(NOW));
        assert_eq!(stored.plus(&settled), Backlog::default());
    }

    #[test]
    fn the_last_event_within_the_limit_is_accepted_and_the_next_is_not() {
        for tier in Tier::ALL {
            let most = i64::try_from(tier.limits().undelivered_events).unwrap();
            assert_eq!(Backlog::of([(DAY, most - 1)]).check(tier, NOW), Ok(()));
            let refused = Backlog::of([(DAY - 1, 1), (DAY, most - 1)]).check(tier, NOW).unwrap_err();
            assert_eq!((refused.kind, refused.status()), (Kind::BacklogFull, 429));
        }
    }

    #[test]
    fn a_backlog_is_filling_from_four_fifths_of_the_maximum_on() {
        for tier in Tier::ALL {
            let filling = i64::try_from(tier.limits().undelivered_events / 5 * 4).unwrap();
            assert!(!Backlog::of([(DAY - 1, 1), (DAY, filling - 2)]).is_filling(tier, NOW));
            assert!(Backlog::of([(DAY - 1, 1), (DAY, filling - 1)]).is_filling(tier, NOW));
        }
    }

    #[test]
    fn a_change_reaches_a_step_only_upwards_and_once() {
        let reached = |count, change| DayChange { day: DAY, change, count }.reached_step(Tier::Free);
        assert_eq!((reached(100, 1), reached(101, 1), reached(105, 10)), (Some(1), None, Some(1)));
        assert_eq!((reached(350, 250), reached(99, -1), reached(100, -5)), (Some(3), None, None));
        assert_eq!((reached(0, 1), reached(1, 1), reached(-100, 7)), (None, None, None));
    }

    #[test]
    fn expired_days_do_not_count_and_a_negative_day_counts_as_zero() {
        let backlog = Backlog::of([(DAY - 8, 10_000), (DAY - 7, 5), (DAY - 1, -3), (DAY, 2)]);
        assert_eq!(backlog.count(Tier::Free, NOW), 7);
        assert_eq!(backlog.count(Tier::Pro, NOW), 10_007);
    }
}

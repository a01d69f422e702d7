//! The backlog: the number of a tenant's events in the inbox, and its limit.
//!
//! Events are counted by the day on which they were accepted. A day stops to count when its events expire. A crash
//! between a write and its counting makes the count of a day wrong; the error ends with that day.

use std::collections::BTreeMap;

use crate::problem::{Kind, Problem};
use crate::tenant::tier::Tier;
use crate::timestamp::Timestamp;

/// The events in the inbox by the day on which they were accepted, or a change of these numbers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Backlog(BTreeMap<u64, i64>);

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
    fn expired_days_do_not_count_and_a_negative_day_counts_as_zero() {
        let backlog = Backlog::of([(DAY - 8, 10_000), (DAY - 7, 5), (DAY - 1, -3), (DAY, 2)]);
        assert_eq!(backlog.count(Tier::Free, NOW), 7);
        assert_eq!(backlog.count(Tier::Pro, NOW), 10_007);
    }
}

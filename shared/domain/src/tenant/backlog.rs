//! How many events of a tenant wait for somebody to take them, and how many may.
//!
//! They are counted by the day on which they were accepted. A day ends to count when its events expire, taken or not; and
//! with it ends whatever was counted wrongly because a process died between its work and the counting of it.

use std::collections::BTreeMap;

use crate::event::id::EventId;
use crate::problem::{Kind, Problem};
use crate::tenant::tier::Tier;
use crate::timestamp::Timestamp;

/// How many events wait, or how many more or fewer, by the day on which they were accepted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Backlog(BTreeMap<u64, i64>);

impl Backlog {
    /// One event more.
    #[must_use]
    pub fn stored(event: EventId) -> Self {
        Self::of([(event.accepted_at().days(), 1)])
    }

    /// One event fewer.
    #[must_use]
    pub fn settled(event: EventId) -> Self {
        Self::of([(event.accepted_at().days(), -1)])
    }

    /// These numbers of these days since the epoch.
    pub fn of(days: impl IntoIterator<Item = (u64, i64)>) -> Self {
        Self(days.into_iter().collect())
    }

    /// Both together; days on which nothing changes are left out.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (day, change) in &other.0 {
            *self.0.entry(*day).or_default() += change;
        }
        self.0.retain(|_, change| *change != 0);
        self
    }

    /// Each day since the epoch with its number.
    pub fn days(&self) -> impl Iterator<Item = (u64, i64)> {
        self.0.iter().map(|(day, number)| (*day, *number))
    }

    /// How many wait at `now`.
    #[must_use]
    pub fn waiting(&self, tier: Tier, now: Timestamp) -> u64 {
        let oldest = now.days().saturating_sub(u64::from(tier.limits().retention_days));
        self.0.range(oldest..).map(|(_, number)| u64::try_from(*number).unwrap_or_default()).sum()
    }

    /// Whether one more may be accepted.
    ///
    /// # Errors
    /// 429 where the tier's number is reached.
    pub fn admit(&self, tier: Tier, now: Timestamp) -> Result<(), Problem> {
        let most = tier.limits().undelivered_events;
        if self.waiting(tier, now) < most {
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
    fn changes_of_one_day_meet_and_cancel_each_other() {
        let event = EventId::generate(NOW, 1, &mut rand::rng());
        let stored = Backlog::stored(event).plus(&Backlog::stored(event));
        assert_eq!(stored, Backlog::of([(DAY, 2)]));
        let settled = Backlog::settled(event).plus(&Backlog::settled(event));
        assert_eq!(stored.plus(&settled), Backlog::default());
    }

    #[test]
    fn the_last_event_within_the_number_is_admitted_and_the_next_is_not() {
        for tier in Tier::ALL {
            let most = i64::try_from(tier.limits().undelivered_events).unwrap();
            assert_eq!(Backlog::of([(DAY, most - 1)]).admit(tier, NOW), Ok(()));
            let refused = Backlog::of([(DAY - 1, 1), (DAY, most - 1)]).admit(tier, NOW).unwrap_err();
            assert_eq!((refused.kind, refused.status()), (Kind::BacklogFull, 429));
        }
    }

    #[test]
    fn what_has_expired_does_not_wait_and_no_day_has_fewer_than_none() {
        let backlog = Backlog::of([(DAY - 8, 10_000), (DAY - 7, 5), (DAY - 1, -3), (DAY, 2)]);
        assert_eq!(backlog.waiting(Tier::Free, NOW), 7);
        assert_eq!(backlog.waiting(Tier::Pro, NOW), 10_007);
    }
}

//! The number of shards (`DynamoDB` partitions) that hold a tenant's events, and how it is raised without a stop.
//!
//! ```text
//!   raised at T, from 1 to 16                               from = T + DELAY
//!   ---|-------------------------------------------------------|------------------>
//!      writers: 1 ............................................. 16
//!      readers: 1 with the old spread, 16 with the new; every reader has the new spread before `from`
//! ```
//!
//! No event moves: its id carries its shard. The number never falls, because older events stay on their shards.

use std::time::Duration;

use crate::tenant::tier::Tier;
use crate::timestamp::Timestamp;

/// The number of shards of a tenant's events, for writers and for readers.
///
/// ```
/// use domain::tenant::spread::Spread;
/// use domain::tenant::tier::Tier;
/// use domain::timestamp::Timestamp;
/// let now = Timestamp::from_seconds(1000);
/// let raised = Spread::of(Tier::Pro).raise_to(16, now, Spread::DELAY);
/// let then = now.after(Spread::DELAY);
/// assert_eq!((raised.read(), raised.write_at(now), raised.write_at(then)), (16, 1, 16));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Spread {
    /// The number of shards that writers use before `from`.
    pub before: u8,
    /// The number of shards that writers use from `from` on.
    pub shards: u8,
    /// When every reader knows `shards`.
    pub from: Timestamp,
}

impl Spread {
    /// How long new shards stay empty. An instance caches a key's record, which has the spread, for up to 60 s. A
    /// request with that record runs for up to 30 s more. The rest is for clocks that differ.
    pub const DELAY: Duration = Duration::from_mins(2);

    /// Makes the first spread of a tenant with this tier.
    #[must_use]
    pub const fn of(tier: Tier) -> Self {
        let shards = tier.limits().shards;
        Self { before: shards, shards, from: Timestamp::from_millis(0) }
    }

    /// Returns the number of shards that a reader must read.
    #[must_use]
    pub fn read(&self) -> u8 {
        self.before.max(self.shards)
    }

    /// Returns the number of shards for events that are accepted at `now`.
    #[must_use]
    pub fn write_at(&self, now: Timestamp) -> u8 {
        if self.from <= now { self.shards } else { self.before }
    }

    /// Raises the number of shards at `now`. Writers use the new shards after `delay`. A smaller or equal number
    /// changes nothing. `delay` must be longer than a reader can use the old spread; [`Spread::DELAY`] is.
    #[must_use]
    pub fn raise_to(self, shards: u8, now: Timestamp, delay: Duration) -> Self {
        if shards <= self.read() {
            return self; // events on the higher shards must stay readable
        }
        Self { before: self.write_at(now), shards, from: now.after(delay) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    #[test]
    fn readers_use_new_shards_at_once_and_writers_when_every_reader_knows_them() {
        let raised = Spread::of(Tier::Business).raise_to(16, at(1000), Spread::DELAY);
        assert_eq!((raised.read(), raised.write_at(at(1000)), raised.write_at(at(1119))), (16, 4, 4));
        assert_eq!(raised.write_at(at(1120)), 16);
    }

    #[test]
    fn a_lower_tier_keeps_all_shards_and_a_repeat_changes_nothing() {
        let raised = Spread::of(Tier::Pro).raise_to(16, at(1000), Spread::DELAY);
        assert_eq!(raised.raise_to(1, at(1010), Spread::DELAY), raised);
        assert_eq!(
            raised.raise_to(16, at(1010), Spread::DELAY),
            raised,
            "a repeat does not restart the delay"
        );
    }

    #[test]
    fn raised_twice_within_the_delay_writers_use_the_first_number_until_the_second_delay_ends() {
        let once = Spread::of(Tier::Pro).raise_to(4, at(1000), Spread::DELAY);
        let twice = once.raise_to(16, at(1060), Spread::DELAY);
        assert_eq!((twice.write_at(at(1179)), twice.write_at(at(1180)), twice.read()), (1, 16, 16));
    }

    proptest! {
        /// Instances learn of a change up to 60 s late, each at another time, and a listing takes up to 29 s. Every
        /// shard that a writer can use must be read by every reader.
        #[test]
        fn no_reader_knows_fewer_shards_than_any_writer_uses(
            raises in proptest::collection::vec((1u8..=64, 0u64..200), 1..6),
            (write_lag, read_lag, lasts) in (0u64..=60, 0u64..=60, 0u64..=29),
        ) {
            let mut spreads = vec![(0, Spread::of(Tier::Free))];
            let mut now = 1000;
            for (shards, pause) in raises {
                now += pause;
                let last = spreads[spreads.len() - 1].1;
                let next = last.raise_to(shards, at(now), Spread::DELAY);
                prop_assert!(next.read() >= last.read());
                spreads.push((now, next));
            }
            let known_at = |second: u64| {
                spreads.iter().rev().find(|(since, _)| *since <= second).map(|(_, spread)| *spread)
            };
            for second in 1000..now + 200 {
                let writer = known_at(second - write_lag).unwrap();
                let reader = known_at(second - lasts - read_lag).unwrap();
                prop_assert!(writer.write_at(at(second)) <= reader.read(), "at {second}");
                prop_assert!(writer.write_at(at(second)) <= writer.read());
            }
        }
    }
}

//! Over how many partitions a tenant's events are spread, and how that number is raised while events are posted.
//!
//! ```text
//!   raised at T, from 1 to 16                               from = T + DELAY
//!   ---|-------------------------------------------------------|------------------>
//!      writers: 1 ............................................. 16
//!      readers: 1 or 16, as they know the old spread or the new; all of them 16 before `from`
//! ```
//!
//! Nothing is moved: an event's id carries its shard. The number never falls: what was written on a shard is read there.

use std::time::Duration;

use crate::tenant::tier::Tier;
use crate::timestamp::Timestamp;

/// Over how many shards a tenant's events are spread: those that are written, and those that are read.
///
/// ```
/// use domain::tenant::spread::Spread;
/// use domain::tenant::tier::Tier;
/// use domain::timestamp::Timestamp;
/// let now = Timestamp::from_seconds(1000);
/// let raised = Spread::of(Tier::Pro).raised_to(16, now, Spread::DELAY);
/// let then = now.after(Spread::DELAY);
/// assert_eq!((raised.read(), raised.write_at(now), raised.write_at(then)), (16, 1, 16));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Spread {
    /// How many are written before `from`.
    pub before: u8,
    /// How many are written from `from` on.
    pub shards: u8,
    /// When every reader knows of `shards`.
    pub from: Timestamp,
}

impl Spread {
    /// How long new shards stay empty: a spread is known from a key's record, which is believed for a minute, by a request
    /// that may then be under way for half a minute more; and clocks differ.
    pub const DELAY: Duration = Duration::from_mins(2);

    /// The spread that a tier begins with.
    #[must_use]
    pub const fn of(tier: Tier) -> Self {
        let shards = tier.limits().shards;
        Self { before: shards, shards, from: Timestamp::from_millis(0) }
    }

    /// How many shards may hold events: whoever looks for an event looks on all of them.
    #[must_use]
    pub fn read(&self) -> u8 {
        self.before.max(self.shards)
    }

    /// Over how many shards events are spread that are accepted at `now`.
    #[must_use]
    pub fn write_at(&self, now: Timestamp) -> u8 {
        if self.from <= now { self.shards } else { self.before }
    }

    /// The spread after it was raised at `now`, to be written once `delay` has passed; as it is where it is as wide already.
    /// `delay` must outlast what a reader may still know of this one: [`Spread::DELAY`] does.
    #[must_use]
    pub fn raised_to(self, shards: u8, now: Timestamp, delay: Duration) -> Self {
        if shards <= self.read() {
            return self; // what lies on the shards beyond must stay in sight
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
    fn new_shards_are_read_at_once_and_written_when_every_reader_knows_them() {
        let raised = Spread::of(Tier::Business).raised_to(16, at(1000), Spread::DELAY);
        assert_eq!((raised.read(), raised.write_at(at(1000)), raised.write_at(at(1119))), (16, 4, 4));
        assert_eq!(raised.write_at(at(1120)), 16);
    }

    #[test]
    fn a_lower_tier_hides_nothing_and_a_repeat_changes_nothing() {
        let raised = Spread::of(Tier::Pro).raised_to(16, at(1000), Spread::DELAY);
        assert_eq!(raised.raised_to(1, at(1010), Spread::DELAY), raised);
        assert_eq!(raised.raised_to(16, at(1010), Spread::DELAY), raised, "asking again does not begin anew");
    }

    #[test]
    fn raised_twice_within_the_delay_it_is_written_as_before_the_first_time() {
        let once = Spread::of(Tier::Pro).raised_to(4, at(1000), Spread::DELAY);
        let twice = once.raised_to(16, at(1060), Spread::DELAY);
        assert_eq!((twice.write_at(at(1179)), twice.write_at(at(1180)), twice.read()), (1, 16, 16));
    }

    proptest! {
        /// Instances learn of each change up to 60 s late, each at its own moment, and a listing takes 29 s; whoever
        /// writes by any spread that can still be believed is met by whoever reads by any other.
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
                let next = last.raised_to(shards, at(now), Spread::DELAY);
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

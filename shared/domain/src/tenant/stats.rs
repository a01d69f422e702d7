//! Statistics of a tenant's events per minute, for `GET /api/stats`.
//!
//! The time from acceptance to first attempt is kept as a histogram. Four buckets double the time, so that a minute
//! needs few small integers and minutes can be added. A quantile is the upper bound of its bucket: never below the
//! true value, and at most 19 % above it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::tenant::backlog::Backlog;
use crate::tenant::id::TenantId;
use crate::tenant::window::Step;
use crate::timestamp::Timestamp;

/// The numbers of a tenant's events in a span of time.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Accepted events. An event is counted when it is stored, or with its first delivery.
    pub accepted: u64,
    /// Events that were stored; a duplicate is not counted.
    pub stored: u64,
    /// Deliveries that an endpoint answered with 2xx.
    pub delivered: u64,
    /// Deliveries that failed finally.
    pub failed: u64,
    /// Acknowledged events.
    pub acked: u64,
    /// The time from the acceptance of an event to its first attempt, in milliseconds.
    pub first_attempt_ms: Histogram,
}

impl Stats {
    /// Adds the other numbers.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (name, number) in other.named() {
            self.add(&name, number);
        }
        self
    }

    /// Returns each number that is not zero, with the name of its attribute in the table.
    pub fn named(&self) -> impl Iterator<Item = (String, u64)> {
        let counts = [
            ("accepted", self.accepted),
            ("stored", self.stored),
            ("delivered", self.delivered),
            ("failed", self.failed),
            ("acked", self.acked),
        ];
        let counts = counts.map(|(name, number)| (name.to_owned(), number));
        let buckets = self.first_attempt_ms.0.iter().map(|(bucket, number)| (format!("l{bucket}"), *number));
        counts.into_iter().filter(|(_, number)| *number > 0).chain(buckets)
    }

    /// Adds to the number with this attribute name. An unknown name changes nothing.
    pub fn add(&mut self, name: &str, number: u64) {
        let counter = match name {
            "accepted" => Some(&mut self.accepted),
            "stored" => Some(&mut self.stored),
            "delivered" => Some(&mut self.delivered),
            "failed" => Some(&mut self.failed),
            "acked" => Some(&mut self.acked),
            _ => {
                let bucket = name.strip_prefix('l').and_then(|digits| digits.parse().ok());
                bucket.map(|bucket: u8| self.first_attempt_ms.0.entry(bucket.min(LAST_BUCKET)).or_default())
            }
        };
        if let Some(counter) = counter {
            *counter = counter.saturating_add(number);
        }
    }
}

/// A histogram of durations: the number of values by bucket.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Histogram(BTreeMap<u8, u64>);

/// The last bucket ends at 2^35 ms, more than a year. It also takes longer durations.
const LAST_BUCKET: u8 = 4 * 35;

/// The powers 0 to 3 of the fourth root of 2, times 2^16.
const QUARTERS: [u64; 4] = [65_536, 77_936, 92_682, 110_218];

/// Returns the upper bound of a bucket in milliseconds: 2^(bucket / 4), rounded down.
fn upper_bound(bucket: u8) -> u64 {
    (QUARTERS[usize::from(bucket % 4)] << (bucket / 4)) >> 16
}

impl Histogram {
    /// Makes a histogram with one value.
    #[must_use]
    pub fn of(milliseconds: u64) -> Self {
        let bucket = (0..LAST_BUCKET).find(|bucket| milliseconds <= upper_bound(*bucket));
        Self(BTreeMap::from([(bucket.unwrap_or(LAST_BUCKET), 1)]))
    }

    /// Returns the number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().fold(0, |sum, number| sum.saturating_add(*number))
    }

    /// Returns the duration that this percentage of the values does not exceed, in milliseconds; `None` without
    /// values.
    #[must_use]
    pub fn quantile(&self, percent: u64) -> Option<u64> {
        let wanted = u128::from(self.count()) * u128::from(percent);
        let mut reached = 0;
        for (bucket, number) in &self.0 {
            reached += u128::from(*number) * 100;
            if reached >= wanted {
                return Some(upper_bound(*bucket));
            }
        }
        None
    }
}

/// How long the statistics of a minute are kept: not shorter than the longest window that begins with a full step.
pub const STATS_RETENTION: Duration = Duration::from_secs(25 * 3600);

/// The statistics of a span of minutes, each minute apart. A minute in which nothing was counted is absent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StatsByMinute(BTreeMap<u64, Stats>);

impl StatsByMinute {
    /// Adds to the number of a minute with this attribute name. `minute` counts from the epoch.
    pub fn add(&mut self, minute: u64, name: &str, number: u64) {
        self.0.entry(minute).or_default().add(name, number);
    }

    /// Returns the sum of all minutes.
    #[must_use]
    pub fn sum(&self) -> Stats {
        self.0.values().fold(Stats::default(), Stats::plus)
    }

    /// Returns the sum of each bucket from the one with minute `first` to the one with minute `last`, with the first minute
    /// of the bucket. A bucket in which nothing was counted has zeros.
    #[must_use]
    pub fn buckets(&self, step: Step, first: u64, last: u64) -> Vec<(u64, Stats)> {
        let mut starts = Vec::new();
        let mut start = step.first_minute(first);
        while start <= last {
            starts.push(start);
            start += step.minutes();
        }
        let sum = |start: u64| {
            let minutes = self.0.range(start..start + step.minutes());
            minutes.fold(Stats::default(), |sum, (_, stats)| sum.plus(stats))
        };
        starts.into_iter().map(|start| (start, sum(start))).collect()
    }
}

/// The change of one tenant's numbers by a batch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TenantChange {
    /// The change of the backlog.
    pub backlog: Backlog,
    /// The change of the statistics.
    pub stats: Stats,
}

impl TenantChange {
    /// Makes the change for a stored event, which is in the inbox or not.
    #[must_use]
    pub fn for_stored(accepted_at: Timestamp, in_inbox: bool) -> Self {
        let stats = Stats { stored: 1, ..Stats::default() };
        let backlog = if in_inbox { Backlog::stored(accepted_at) } else { Backlog::default() };
        Self { backlog, stats }
    }

    /// Makes the change for an event that leaves the inbox without an acknowledgement: every endpoint has it, or it
    /// was deleted.
    #[must_use]
    pub fn for_settled(accepted_at: Timestamp) -> Self {
        Self { backlog: Backlog::settled(accepted_at), stats: Stats::default() }
    }

    /// Makes the change for an event that enters the inbox after it was stored.
    #[must_use]
    pub fn for_entered(accepted_at: Timestamp) -> Self {
        Self { backlog: Backlog::stored(accepted_at), stats: Stats::default() }
    }

    /// Makes the change for an acknowledged event, which was in the inbox or not.
    #[must_use]
    pub fn for_acked(accepted_at: Timestamp, was_in_inbox: bool) -> Self {
        let stats = Stats { acked: 1, ..Stats::default() };
        let backlog = if was_in_inbox { Backlog::settled(accepted_at) } else { Backlog::default() };
        Self { backlog, stats }
    }

    /// Makes a change that leaves the backlog as it is.
    #[must_use]
    pub fn from_stats(stats: Stats) -> Self {
        Self { backlog: Backlog::default(), stats }
    }

    fn plus(self, other: &Self) -> Self {
        Self { backlog: self.backlog.plus(&other.backlog), stats: self.stats.plus(&other.stats) }
    }
}

/// The changes by a batch, for each tenant.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TenantChanges(BTreeMap<TenantId, TenantChange>);

impl TenantChanges {
    /// Adds the change of one tenant.
    #[must_use]
    pub fn with(mut self, tenant: &TenantId, change: &TenantChange) -> Self {
        let sum = self.0.remove(tenant).unwrap_or_default().plus(change);
        self.0.insert(tenant.clone(), sum);
        self
    }

    /// Adds the other changes.
    #[must_use]
    pub fn plus(self, other: &Self) -> Self {
        other.iter().fold(self, |sum, (tenant, change)| sum.with(tenant, change))
    }

    /// Returns each tenant with its change.
    pub fn iter(&self) -> impl Iterator<Item = (&TenantId, &TenantChange)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::id::EventId;
    use crate::tenant::window::{MAX_STEP_MINUTES, MAX_WINDOW_MINUTES};
    use crate::testing::{START, tenant};

    fn histogram(milliseconds: &[u64]) -> Histogram {
        let each = milliseconds.iter().map(|ms| Histogram::of(*ms));
        each.map(stats).fold(Stats::default(), |sum, stats| sum.plus(&stats)).first_attempt_ms
    }

    fn stats(first_attempt_ms: Histogram) -> Stats {
        Stats { first_attempt_ms, ..Stats::default() }
    }

    #[test]
    fn four_buckets_double_the_duration() {
        let bounds: Vec<u64> = (0..=24).map(upper_bound).collect();
        assert_eq!(
            bounds,
            [1, 1, 1, 1, 2, 2, 2, 3, 4, 4, 5, 6, 8, 9, 11, 13, 16, 19, 22, 26, 32, 38, 45, 53, 64]
        );
        assert_eq!(upper_bound(LAST_BUCKET), 1 << 35);
    }

    #[test]
    fn a_quantile_is_the_bound_below_which_this_percentage_lies() {
        assert_eq!(histogram(&[]).quantile(50), None);
        assert_eq!(histogram(&[0]).quantile(99), Some(1), "less than a millisecond counts as one");
        let mixed = histogram(&[16, 16, 16, 1024]);
        assert_eq!(
            [50, 75, 76, 99].map(|percent| mixed.quantile(percent)),
            [Some(16), Some(16), Some(1024), Some(1024)]
        );
        assert_eq!(mixed.count(), 4);
        assert_eq!(histogram(&[u64::MAX]).quantile(50), Some(1 << 35));
    }

    #[test]
    fn changes_of_one_tenant_are_added() {
        let ours = tenant();
        let other = tenant();
        let event = EventId::generate(START, 1, &mut rand::rng());
        let stored = TenantChanges::default()
            .with(&ours, &TenantChange::for_stored(event.accepted_at(), true))
            .with(&other, &TenantChange::for_stored(event.accepted_at(), true));
        let shares = stored
            .plus(&TenantChanges::default().with(&ours, &TenantChange::for_acked(event.accepted_at(), true)));
        let of = |tenant| shares.iter().find(|(owner, _)| *owner == tenant).map(|(_, share)| share.clone());
        let stats = Stats { stored: 1, acked: 1, ..Stats::default() };
        assert_eq!(of(&ours), Some(TenantChange::from_stats(stats)), "it left the inbox");
        assert_eq!(of(&other), Some(TenantChange::for_stored(event.accepted_at(), true)));
    }

    #[test]
    fn a_minute_is_kept_until_no_window_shows_it() {
        assert!(STATS_RETENTION.as_secs() >= (MAX_WINDOW_MINUTES + MAX_STEP_MINUTES) * 60);
    }

    #[test]
    fn buckets_begin_at_multiples_of_the_step_and_have_every_minute_once() {
        let mut minutes = StatsByMinute::default();
        for (minute, number) in [(44, 100), (45, 1), (59, 2), (60, 4), (75, 8)] {
            minutes.add(minute, "accepted", number);
        }
        let accepted = |step, first, last| {
            let buckets = minutes.buckets(Step::parse(step).unwrap(), first, last);
            buckets.into_iter().map(|(start, stats)| (start, stats.accepted)).collect::<Vec<_>>()
        };
        assert_eq!(accepted("15m", 50, 76), [(45, 3), (60, 4), (75, 8)]);
        assert_eq!(accepted("15m", 45, 59), [(45, 3)]);
        assert_eq!(accepted("1m", 58, 61), [(58, 0), (59, 2), (60, 4), (61, 0)]);
        assert_eq!(accepted("1h", 0, 100), [(0, 103), (60, 12)]);
        assert_eq!(minutes.sum().accepted, 115);
    }

    #[test]
    fn an_unknown_name_changes_nothing() {
        let mut stats = Stats::default();
        for name in ["pk", "ttl", "l", "lx", "l256", ""] {
            stats.add(name, 1);
        }
        assert_eq!(stats, Stats::default());
    }

    proptest! {
        #[test]
        fn a_quantile_is_never_below_the_true_value_nor_a_fifth_above(
            mut all in proptest::collection::vec(prop_oneof![1u64..100, 1u64..100_000, 1u64..1 << 35], 1..200),
            percent in 1u64..=100,
        ) {
            let found = histogram(&all).quantile(percent).unwrap();
            all.sort_unstable();
            let rank = (all.len() * usize::try_from(percent).unwrap()).div_ceil(100);
            let truth = all[rank - 1];
            prop_assert!(truth <= found && found * 10_000 <= truth * 11_893, "{found} for {truth}");
        }

        #[test]
        fn stats_read_back_from_their_names_are_the_same(
            counts in proptest::array::uniform5(0u64..1000),
            all in proptest::collection::vec(any::<u64>(), 0..50),
        ) {
            let [accepted, stored, delivered, failed, acked] = counts;
            let stats = Stats { accepted, stored, delivered, failed, acked, first_attempt_ms: histogram(&all) };
            let read = stats.named().fold(Stats::default(), |mut read, (name, number)| {
                read.add(&name, number);
                read
            });
            prop_assert_eq!(&read, &stats);
            let doubled = stats.clone().plus(&stats);
            prop_assert_eq!(doubled.first_attempt_ms.count(), 2 * u64::try_from(all.len()).unwrap());
            prop_assert_eq!((doubled.accepted, doubled.acked), (2 * accepted, 2 * acked));
        }
    }
}

//! What happened to a tenant's events of late, counted by the minute: for its owner, who asks how it goes.
//!
//! How long events wait for their first attempt is kept as a histogram whose buckets grow by a quarter of an octave, so
//! that a minute is a few small integers and minutes can be added up. A quantile is the upper bound of its bucket: at most
//! 19 % above the truth, and never below.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::id::EventId;
use crate::tenant::backlog::Backlog;
use crate::tenant::id::TenantId;
use crate::timestamp::Timestamp;

/// What happened to a tenant's events.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Accepted events, counted as they leave their queue for the first time.
    pub accepted: u64,
    /// Events stored: each once.
    pub stored: u64,
    /// Deliveries that an endpoint took.
    pub delivered: u64,
    /// Deliveries that failed for good.
    pub failed: u64,
    /// Events that somebody acknowledged.
    pub acked: u64,
    /// From the acceptance of an event to its first attempt at an endpoint, in milliseconds.
    pub first_attempt_ms: Histogram,
}

impl Stats {
    /// Both together.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (name, number) in other.named() {
            self.add(&name, number);
        }
        self
    }

    /// Each number that is not zero, by the name under which it is stored.
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

    /// Adds to the number of this name; a name of another kind changes nothing.
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

/// How often something took how long, in buckets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Histogram(BTreeMap<u8, u64>);

/// 2^35 ms, more than a year: what takes longer counts as this.
const LAST_BUCKET: u8 = 4 * 35;

/// The fourth roots of 2, 1 to 3 of them multiplied, in units of 2^-16.
const QUARTERS: [u64; 4] = [65_536, 77_936, 92_682, 110_218];

/// The most milliseconds of a bucket: 2^(bucket / 4), rounded down.
fn upper_bound(bucket: u8) -> u64 {
    (QUARTERS[usize::from(bucket % 4)] << (bucket / 4)) >> 16
}

impl Histogram {
    /// Something that happened once and took so long.
    #[must_use]
    pub fn of(milliseconds: u64) -> Self {
        let bucket = (0..LAST_BUCKET).find(|bucket| milliseconds <= upper_bound(*bucket));
        Self(BTreeMap::from([(bucket.unwrap_or(LAST_BUCKET), 1)]))
    }

    /// How often it happened.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().fold(0, |sum, number| sum.saturating_add(*number))
    }

    /// How long it took at most in this many of a hundred cases; `None` where it never happened.
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

/// A span of time that ends now, `<n>m` or `<n>h`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    minutes: u64,
}

/// The longest window, in minutes.
const MAX_WINDOW_MINUTES: u64 = 24 * 60;

/// Minutes of stats are kept as long as a window can reach back, and a little longer.
pub const KEEP_STATS: Duration = Duration::from_secs(25 * 3600);

impl Window {
    /// What a window must be.
    pub const RULE: &str = "must be a number of minutes or hours, such as 15m or 1h, from 1m to 24h";

    /// The window that is looked through unless another is asked for.
    pub const HOUR: Self = Self { minutes: 60 };

    /// Reads `<n>m` or `<n>h`; `None` for anything else, or where it is shorter than a minute or longer than a day.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, unit) = match text.strip_suffix('m') {
            Some(digits) => (digits, 1),
            None => (text.strip_suffix('h')?, 60),
        };
        if !(1..=4).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None; // no sign and no leading zeros without end
        }
        let minutes = digits.parse::<u64>().ok()? * unit;
        (1..=MAX_WINDOW_MINUTES).contains(&minutes).then_some(Self { minutes })
    }

    /// How long it is.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.minutes * 60
    }

    /// The minutes since the epoch, first and last, that a window which ends at `now` touches. The first one counts whole, so
    /// that a window never shows less than it says.
    #[must_use]
    pub fn minutes(self, now: Timestamp) -> (u64, u64) {
        (now.minutes().saturating_sub(self.minutes), now.minutes())
    }
}

/// What a batch did for one tenant.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Share {
    /// How many events more or fewer wait.
    pub backlog: Backlog,
    /// What is counted by the minute.
    pub stats: Stats,
}

impl Share {
    /// An event was stored, and waits.
    #[must_use]
    pub fn stored(event: EventId) -> Self {
        let stats = Stats { stored: 1, ..Stats::default() };
        Self { backlog: Backlog::stored(event), stats }
    }

    /// An event waits no more, and nobody acknowledged it: all its endpoints took it, or it was deleted.
    #[must_use]
    pub fn settled(event: EventId) -> Self {
        Self { backlog: Backlog::settled(event), stats: Stats::default() }
    }

    /// An event that had been taken is sent again, and waits once more.
    #[must_use]
    pub fn returned(event: EventId) -> Self {
        Self { backlog: Backlog::stored(event), stats: Stats::default() }
    }

    /// An event was acknowledged, and waits no more.
    #[must_use]
    pub fn acked(event: EventId) -> Self {
        Self { stats: Stats { acked: 1, ..Stats::default() }, ..Self::settled(event) }
    }

    /// Something happened that changes no backlog.
    #[must_use]
    pub fn of(stats: Stats) -> Self {
        Self { backlog: Backlog::default(), stats }
    }

    fn plus(self, other: &Self) -> Self {
        Self { backlog: self.backlog.plus(&other.backlog), stats: self.stats.plus(&other.stats) }
    }
}

/// What a batch did, for each tenant.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Shares(BTreeMap<TenantId, Share>);

impl Shares {
    /// With this too.
    #[must_use]
    pub fn with(mut self, tenant: &TenantId, share: &Share) -> Self {
        let sum = self.0.remove(tenant).unwrap_or_default().plus(share);
        self.0.insert(tenant.clone(), sum);
        self
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: &Self) -> Self {
        other.iter().fold(self, |sum, (tenant, share)| sum.with(tenant, share))
    }

    /// Each tenant with its share.
    pub fn iter(&self) -> impl Iterator<Item = (&TenantId, &Share)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{START, tenant};

    fn histogram(milliseconds: &[u64]) -> Histogram {
        let each = milliseconds.iter().map(|ms| Histogram::of(*ms));
        each.map(stats).fold(Stats::default(), |sum, stats| sum.plus(&stats)).first_attempt_ms
    }

    fn stats(first_attempt_ms: Histogram) -> Stats {
        Stats { first_attempt_ms, ..Stats::default() }
    }

    #[test]
    fn there_are_four_buckets_to_an_octave() {
        let bounds: Vec<u64> = (0..=24).map(upper_bound).collect();
        assert_eq!(
            bounds,
            [1, 1, 1, 1, 2, 2, 2, 3, 4, 4, 5, 6, 8, 9, 11, 13, 16, 19, 22, 26, 32, 38, 45, 53, 64]
        );
        assert_eq!(upper_bound(LAST_BUCKET), 1 << 35);
    }

    #[test]
    fn a_quantile_is_the_bound_under_which_so_many_lie() {
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
    fn what_happened_to_a_tenant_comes_together() {
        let ours = tenant();
        let other = tenant();
        let event = EventId::generate(START, 1, &mut rand::rng());
        let stored = Shares::default().with(&ours, &Share::stored(event)).with(&other, &Share::stored(event));
        let shares = stored.plus(&Shares::default().with(&ours, &Share::acked(event)));
        let of = |tenant| shares.iter().find(|(owner, _)| *owner == tenant).map(|(_, share)| share.clone());
        let stats = Stats { stored: 1, acked: 1, ..Stats::default() };
        assert_eq!(of(&ours), Some(Share::of(stats)), "it waits no more");
        assert_eq!(of(&other), Some(Share::stored(event)));
    }

    #[test]
    fn a_window_is_a_minute_to_a_day() {
        let seconds = |text| Window::parse(text).map(Window::seconds);
        assert_eq!(
            ["1m", "90m", "1h", "24h", "1440m"].map(seconds),
            [60, 5400, 3600, 86_400, 86_400].map(Some)
        );
        for bad in
            ["", "m", "0m", "1441m", "25h", "1s", "1", "-1m", "+1m", "1.5h", "1 h", "1H", "00001m", "é"]
        {
            assert_eq!(Window::parse(bad), None, "{bad}");
        }
        let now = Timestamp::from_seconds(600);
        assert_eq!(Window::parse("2m").unwrap().minutes(now), (8, 10));
        assert_eq!(Window::HOUR.minutes(now), (0, 10));
        assert!(KEEP_STATS.as_secs() >= (MAX_WINDOW_MINUTES + 1) * 60);
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
        fn a_quantile_is_never_below_the_truth_nor_a_fifth_above(
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
        fn stats_come_out_of_their_names_as_they_went_in(
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

//! The retry schedule: 14 attempts over 103 h 42 m 35 s, as one table.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::timestamp::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// The seconds from one attempt to the next. The first attempt is made at once.
const DELAYS_SECONDS: [u64; ATTEMPTS as usize] = [
    0,
    5,
    30,
    2 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    4 * HOUR,
    8 * HOUR,
    16 * HOUR,
    24 * HOUR,
    24 * HOUR,
    24 * HOUR,
];

/// The jitter: each delay is longer or shorter by up to this percentage, so that many deliveries do not retry at the
/// same time.
const JITTER_PERCENT: u64 = 20;

/// The largest `Retry-After` that is honoured.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// How long a delivery can be put off: as long as the retry schedule lasts.
pub const MAX_PUT_OFF: Duration = Duration::from_secs(103 * HOUR + 42 * MINUTE + 35);

/// An attempt that is put off waits for this part of the time since the delivery was first put off, so that a receiver
/// that accepts nothing gets few requests.
const PUT_OFF_PART: u32 = 8;

/// The shortest and the longest wait of an attempt that is put off, without a `Retry-After`.
const PUT_OFF_RANGE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));

/// The number of attempts of a delivery.
pub const ATTEMPTS: u32 = 14;

/// Returns when the attempt after attempt `n` (from 1) is due; `None` after the last one.
///
/// `retry_after` is the receiver's `Retry-After`. It can make the delay longer, up to 24 hours, but never shorter.
pub fn next_attempt_at(
    n: u32,
    now: Timestamp,
    retry_after: Option<Duration>,
    rng: &mut impl Rng,
) -> Option<Timestamp> {
    let step = *DELAYS_SECONDS.get(usize::try_from(n).ok()?)? * 1000;
    Some(now.after(delay(step, retry_after, rng)))
}

/// Returns when an attempt that was answered with 429 is made again, if its delivery was first put off at `since`; `None`
/// if that is [`MAX_PUT_OFF`] ago.
pub fn put_off_until(
    since: Timestamp,
    now: Timestamp,
    retry_after: Option<Duration>,
    rng: &mut impl Rng,
) -> Option<Timestamp> {
    let age = now.since(since);
    let step = (age / PUT_OFF_PART).clamp(PUT_OFF_RANGE.0, PUT_OFF_RANGE.1);
    let step = u64::try_from(step.as_millis()).unwrap_or(u64::MAX);
    (age < MAX_PUT_OFF).then(|| now.after(delay(step, retry_after, rng)))
}

/// Returns a delay of about `step` milliseconds, and never shorter than `retry_after`, up to its maximum.
fn delay(step: u64, retry_after: Option<Duration>, rng: &mut impl Rng) -> Duration {
    let jitter = step * JITTER_PERCENT / 100;
    let ours = Duration::from_millis(rng.random_range(step - jitter..=step + jitter));
    let theirs = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
    ours.max(theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_documented_one() {
        let total: u64 = DELAYS_SECONDS.iter().sum();
        assert_eq!(total, 103 * HOUR + 42 * MINUTE + 35);
        assert_eq!((ATTEMPTS, MAX_PUT_OFF.as_secs()), (14, total));
        assert!(DELAYS_SECONDS.is_sorted());
    }

    #[test]
    fn every_delay_stays_within_its_jitter() {
        let now = Timestamp::from_seconds(1000);
        for n in 1..ATTEMPTS {
            let step = DELAYS_SECONDS[n as usize] * 1000;
            for _ in 0..100 {
                let due = next_attempt_at(n, now, None, &mut rand::rng()).unwrap();
                let delay = due.millis_since(now);
                assert!((step * 8 / 10..=step * 12 / 10).contains(&delay), "attempt {n}: {delay} ms");
            }
        }
        assert_eq!(next_attempt_at(ATTEMPTS, now, None, &mut rand::rng()), None);
        assert_eq!(next_attempt_at(u32::MAX, now, None, &mut rand::rng()), None);
    }

    #[test]
    fn an_attempt_that_is_put_off_again_and_again_is_made_about_a_hundred_and_forty_times() {
        let since = Timestamp::from_seconds(1000);
        let (mut now, mut times) = (since, 0);
        while let Some(at) = put_off_until(since, now, None, &mut rand::rng()) {
            assert!(at >= now.after(Duration::from_secs(48)) && at <= now.after(Duration::from_mins(72)));
            (now, times) = (at, times + 1);
        }
        assert!((120..160).contains(&times), "{times}");
        let asked = put_off_until(since, since, Some(Duration::from_hours(30)), &mut rand::rng());
        assert_eq!(asked, Some(since.after(Duration::from_hours(24))));
    }

    #[test]
    fn a_retry_after_makes_a_delay_longer_up_to_a_day_and_never_shorter() {
        let now = Timestamp::from_seconds(1000);
        let due = |n, seconds| {
            next_attempt_at(n, now, Some(Duration::from_secs(seconds)), &mut rand::rng()).unwrap()
        };
        assert_eq!(due(1, 120), now.after(Duration::from_secs(120)));
        assert_eq!(due(1, u64::MAX), now.after(Duration::from_hours(24)));
        assert!(due(9, 1) > now.after(Duration::from_hours(6)));
    }
}

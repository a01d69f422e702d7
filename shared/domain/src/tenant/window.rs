//! The time windows of statistics, and the steps in which a window is divided.

use crate::timestamp::Timestamp;

/// A span of time that ends now: `<n>m` or `<n>h`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    minutes: u64,
}

/// The longest window, in minutes.
pub(super) const MAX_WINDOW_MINUTES: u64 = 24 * 60;

/// The length of the buckets of a series: a minute to an hour, `<n>m` or `1h`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    minutes: u64,
}

/// The longest step, in minutes.
pub(super) const MAX_STEP_MINUTES: u64 = 60;

impl Window {
    /// The rule for a window, for error texts.
    pub const RULE: &str =
        "must be a whole number and m (minutes) or h (hours), from 1m to 24h, for example 15m; correct it";

    /// The default window: one hour.
    pub const HOUR: Self = Self { minutes: 60 };

    /// Reads `<n>m` or `<n>h`. Returns `None` for any other text, and for less than a minute or more than a day.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_minutes(text, MAX_WINDOW_MINUTES).map(|minutes| Self { minutes })
    }

    /// Returns the length of the window in seconds.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.minutes * 60
    }

    /// Returns the first and the last minute since the epoch that a window ending at `now` touches. The first minute
    /// counts whole, so the window is never shorter than its name.
    #[must_use]
    pub fn minutes(self, now: Timestamp) -> (u64, u64) {
        (now.minutes().saturating_sub(self.minutes), now.minutes())
    }
}

impl Step {
    /// The rule for a step, for error texts.
    pub const RULE: &str =
        "must be a whole number and m (minutes), or 1h, from 1m to 1h, for example 15m; correct it";

    /// Reads `<n>m` or `1h`. Returns `None` for any other text, and for less than a minute or more than an hour.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_minutes(text, MAX_STEP_MINUTES).map(|minutes| Self { minutes })
    }

    /// Returns the length of a bucket in seconds.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.minutes * 60
    }

    /// Returns the length of a bucket in minutes.
    #[must_use]
    pub fn minutes(self) -> u64 {
        self.minutes
    }

    /// Returns the first minute since the epoch of the bucket that a minute is in. Buckets begin at multiples of their length,
    /// so that the same minutes are in one bucket whenever they are read.
    #[must_use]
    pub fn first_minute(self, minute: u64) -> u64 {
        minute - minute % self.minutes
    }
}

/// Reads a number of minutes (`m`) or hours (`h`), from one minute to `max` minutes.
fn parse_minutes(text: &str, max: u64) -> Option<u64> {
    let (digits, unit) = match text.strip_suffix('m') {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('h')?, 60),
    };
    if !(1..=4).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None; // excludes a sign, and any number of leading zeros
    }
    let minutes = digits.parse::<u64>().ok()? * unit;
    (1..=max).contains(&minutes).then_some(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }

    #[test]
    fn a_step_is_a_minute_to_an_hour() {
        let seconds = |text| Step::parse(text).map(Step::seconds);
        assert_eq!(["1m", "15m", "60m", "1h"].map(seconds), [60, 900, 3600, 3600].map(Some));
        for bad in ["0m", "61m", "2h", "1", "1s", "", "-1m"] {
            assert_eq!(Step::parse(bad), None, "{bad}");
        }
    }
}

//! A point in time, in milliseconds since the Unix epoch. It is displayed as RFC 3339 in UTC.
//!
//! This module does not read a clock. The current time enters through the `Clock` port of the crate `store`.

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

const DAY_MILLIS: u64 = 86_400_000;

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z.
///
/// ```
/// use domain::timestamp::Timestamp;
/// let time = Timestamp::from_millis(1_700_000_000_123);
/// assert_eq!(time.to_string(), "2023-11-14T22:13:20.123Z");
/// assert_eq!(Timestamp::parse("2023-11-14T22:13:20.123Z"), Some(time));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Makes the time that is `millis` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Makes the time at which the day begins that is `days` days after the epoch.
    #[must_use]
    pub const fn from_days(days: u64) -> Self {
        Self(days.saturating_mul(DAY_MILLIS))
    }

    /// Makes the time that is `seconds` seconds after the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// Returns the milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Returns the whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Returns the whole minutes since the epoch, rounded down.
    #[must_use]
    pub const fn minutes(self) -> u64 {
        self.0 / 60_000
    }

    /// Returns the whole days since the epoch, rounded down.
    #[must_use]
    pub const fn days(self) -> u64 {
        self.0 / DAY_MILLIS
    }

    /// Returns the time `duration` later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Returns the time `duration` earlier, but not before the epoch.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Returns the duration from `earlier` to this time; zero if `earlier` is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.millis_since(earlier))
    }

    /// Returns the milliseconds from `earlier` to this time; zero if `earlier` is not earlier.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads an RFC 3339 time with any offset. Returns `None` for any other text. A time before 1970, such
    /// as the zero time of a programming language, counts as the start of 1970.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        u64::try_from(time.unix_timestamp_nanos().max(0) / 1_000_000).ok().map(Self)
    }

    /// Returns whether the text is an RFC 3339 time, in any year.
    #[must_use]
    pub fn is_rfc3339(text: &str) -> bool {
        OffsetDateTime::parse(text, &Rfc3339).is_ok()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format =
            format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).ok();
        match time.and_then(|time| time.format(&format).ok()) {
            Some(text) => f.write_str(&text),
            None => write!(f, "{}ms", self.0), // after the year 9999
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_displayed_in_utc_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(u64::MAX).to_string(), format!("{}ms", u64::MAX));
    }

    #[test]
    fn an_offset_is_converted_to_utc() {
        let utc = Timestamp::parse("2026-01-01T12:00:00Z");
        assert_eq!(Timestamp::parse("2026-01-01T14:00:00+02:00"), utc);
        assert!(utc.is_some());
        assert_eq!(Timestamp::parse("0001-01-01T00:00:00Z"), Some(Timestamp::from_millis(0)));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}

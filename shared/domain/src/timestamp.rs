//! A moment: milliseconds since the Unix epoch, shown as RFC 3339 in UTC.
//!
//! Nothing here reads a clock; the time of day enters through [`store::ports::Clock`].

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// A moment in milliseconds since 1970-01-01T00:00:00Z.
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
    /// The moment this many milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The moment this many whole seconds after the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Whole minutes since the epoch, rounded down.
    #[must_use]
    pub const fn minutes(self) -> u64 {
        self.0 / 60_000
    }

    /// Whole days since the epoch, rounded down.
    #[must_use]
    pub const fn days(self) -> u64 {
        self.0 / 86_400_000
    }

    /// The moment `duration` later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The moment `duration` earlier, or the epoch.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long from `earlier` until this moment; zero when it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.millis_since(earlier))
    }

    /// How many milliseconds from `earlier` until this moment; zero when it is not earlier.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads RFC 3339 with any offset; `None` for anything else, or before 1970.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok().map(Self)
    }

    /// Whether this is a moment of any time, as RFC 3339 writes it.
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
    fn it_is_shown_in_utc_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(u64::MAX).to_string(), format!("{}ms", u64::MAX));
    }

    #[test]
    fn an_offset_is_understood() {
        let utc = Timestamp::parse("2026-01-01T12:00:00Z");
        assert_eq!(Timestamp::parse("2026-01-01T14:00:00+02:00"), utc);
        assert!(utc.is_some());
        assert_eq!(Timestamp::parse("1960-01-01T00:00:00Z"), None);
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}

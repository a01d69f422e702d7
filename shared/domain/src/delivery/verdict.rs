//! The verdict on an answer. Each attempt has exactly one.

pub mod failure;

use self::failure::Failure;

use std::fmt;
use std::time::Duration;

use rand::Rng;

use crate::delivery::retry_schedule::{next_attempt_at, put_off_until};
use crate::timestamp::Timestamp;

/// The result of one POST.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The receiver answered.
    Status {
        /// The HTTP status.
        code: u16,
        /// The value of `Retry-After`, as time from now.
        retry_after: Option<Duration>,
        /// The start of the body as text, for the owner of the endpoint.
        excerpt: String,
    },
    /// There was no answer.
    None(Failure),
}

impl Answer {
    /// Returns whether the receiver asked for a later retry: a 429 or 503 with `Retry-After`.
    #[must_use]
    pub const fn asks_for_a_pause(&self) -> bool {
        matches!(self, Self::Status { code: 429 | 503, retry_after: Some(_), .. })
    }

    /// Returns whether the receiver refused the request because of its own rate limit: a 429.
    #[must_use]
    pub const fn is_too_many_requests(&self) -> bool {
        matches!(self, Self::Status { code: 429, .. })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { code, .. } => write!(f, "{code}"),
            Self::None(failure) => failure.fmt(f),
        }
    }
}

/// What happens after an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The receiver answered with 2xx, so it has the event.
    Delivered,
    /// Retry at this time.
    RetryAt(Timestamp),
    /// The receiver asked for fewer requests (429). Make the same attempt again at this time.
    PutOff(Timestamp),
    /// Stop: all attempts are used up.
    GiveUp,
    /// The receiver is gone (410). The delivery fails, and the endpoint is disabled.
    DisableEndpoint,
}

impl Verdict {
    /// Decides the verdict on the answer to attempt `n`, from 1, of a delivery that was first put off at `put_off_since`.
    ///
    /// A redirect is a failure, and is never followed. `Retry-After` counts only with 429 and 503. A 429 puts the attempt
    /// off, or is a failure like any other if the delivery has been put off for as long as the retry schedule lasts.
    pub fn on(
        answer: &Answer,
        n: u32,
        put_off_since: Option<Timestamp>,
        now: Timestamp,
        rng: &mut impl Rng,
    ) -> Self {
        let retry_after = match *answer {
            Answer::Status { code: 200..=299, .. } => return Self::Delivered,
            Answer::Status { code: 410, .. } => return Self::DisableEndpoint,
            Answer::Status { code: 429, retry_after, .. } => {
                let until = put_off_until(put_off_since.unwrap_or(now), now, retry_after, rng);
                if let Some(at) = until {
                    return Self::PutOff(at);
                }
                retry_after
            }
            Answer::Status { code: 503, retry_after, .. } => retry_after,
            Answer::Status { .. } | Answer::None(_) => None,
        };
        next_attempt_at(n, now, retry_after, rng).map_or(Self::GiveUp, Self::RetryAt)
    }

    /// Returns the kind of the verdict.
    #[must_use]
    pub const fn kind(self) -> VerdictKind {
        match self {
            Self::Delivered => VerdictKind::Delivered,
            Self::RetryAt(_) => VerdictKind::Retry,
            Self::PutOff(_) => VerdictKind::PutOff,
            Self::GiveUp => VerdictKind::GiveUp,
            Self::DisableEndpoint => VerdictKind::DisableEndpoint,
        }
    }
}

/// A verdict without its time, as the log of attempts keeps it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VerdictKind {
    /// The receiver has the event.
    Delivered,
    /// There was another attempt, or will be one.
    Retry,
    /// The receiver asked for fewer requests, and the attempt used up none of the delivery's attempts.
    PutOff,
    /// All attempts were used up.
    GiveUp,
    /// The receiver is gone, and the endpoint was disabled.
    DisableEndpoint,
}

impl VerdictKind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Delivered, Self::Retry, Self::PutOff, Self::GiveUp, Self::DisableEndpoint];

    /// Returns the name of the kind in JSON, tables and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retry => "retry",
            Self::PutOff => "put_off",
            Self::GiveUp => "give_up",
            Self::DisableEndpoint => "disable_endpoint",
        }
    }

    /// Returns the kind with this name; `None` for an unknown name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Reads `Retry-After` (RFC 9110 section 10.2.3) as seconds or as a date. Returns `None` for any other text, and for
/// a date that is not in the future.
#[must_use]
pub fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if header.bytes().all(|c| c.is_ascii_digit()) && !header.is_empty() {
        return Some(Duration::from_secs(header.parse().unwrap_or(u64::MAX))); // a number above u64 counts as the largest
    }
    let date = httpdate::parse_http_date(header).ok()?;
    let since_epoch = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    let wait = Timestamp::from_seconds(since_epoch.as_secs()).since(now);
    (!wait.is_zero()).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::retry_schedule::{ATTEMPTS, MAX_PUT_OFF};

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn on(code: u16, seconds: Option<u64>, n: u32) -> Verdict {
        let retry_after = seconds.map(Duration::from_secs);
        let answer = Answer::Status { code, retry_after, excerpt: String::new() };
        Verdict::on(&answer, n, None, NOW, &mut rand::rng())
    }

    #[test]
    fn a_kind_is_read_as_it_was_written() {
        for kind in VerdictKind::ALL {
            assert_eq!(VerdictKind::parse(kind.as_str()), Some(kind));
        }
    }

    #[test]
    fn every_2xx_is_a_success_and_410_is_final() {
        for code in [200, 201, 204, 299] {
            assert_eq!(on(code, None, 1), Verdict::Delivered);
        }
        assert_eq!(on(410, None, 1), Verdict::DisableEndpoint);
    }

    #[test]
    fn every_other_answer_is_retried_until_the_attempts_are_used_up() {
        for code in [100, 301, 302, 307, 400, 401, 404, 408, 425, 500, 502, 503, 504, 999] {
            assert!(matches!(on(code, None, 1), Verdict::RetryAt(_)), "{code}");
            assert_eq!(on(code, None, ATTEMPTS), Verdict::GiveUp, "{code}");
        }
        let none = Answer::None(Failure::TimedOut);
        assert!(matches!(Verdict::on(&none, 13, None, NOW, &mut rand::rng()), Verdict::RetryAt(_)));
    }

    #[test]
    fn retry_after_counts_only_with_429_and_503() {
        assert_eq!(on(503, Some(120), 1), Verdict::RetryAt(NOW.after(Duration::from_secs(120))));
        assert_eq!(on(429, Some(120), 1), Verdict::PutOff(NOW.after(Duration::from_secs(120))));
        assert_ne!(on(500, Some(120), 1), Verdict::RetryAt(NOW.after(Duration::from_secs(120))));
    }

    #[test]
    fn a_429_puts_off_every_attempt_until_the_delivery_has_been_put_off_for_the_whole_schedule() {
        let refused = Answer::Status { code: 429, retry_after: None, excerpt: String::new() };
        let on = |n, age| {
            let since = Timestamp::from_seconds(1000);
            Verdict::on(&refused, n, Some(since), since.after(age), &mut rand::rng())
        };
        let almost = MAX_PUT_OFF.saturating_sub(Duration::from_secs(1));
        for n in [1, ATTEMPTS] {
            assert!(matches!(on(n, almost), Verdict::PutOff(_)), "{n}");
        }
        assert!(matches!(on(1, MAX_PUT_OFF), Verdict::RetryAt(_)));
        assert_eq!(on(ATTEMPTS, MAX_PUT_OFF), Verdict::GiveUp);
    }

    #[test]
    fn both_forms_of_retry_after_are_read_and_invalid_ones_ignored() {
        let seconds = |header| retry_after(header, NOW).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("99999999999999999999999"), Some(u64::MAX));
        assert_eq!(seconds("Tue, 14 Nov 2023 22:15:20 GMT"), Some(120));
        for hostile in ["", "-1", "NaN", "1.5", "1e3", "soon", "Tue, 14 Nov 2000 22:15:20 GMT"] {
            assert_eq!(seconds(hostile), None, "{hostile}");
        }
    }
}

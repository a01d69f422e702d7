//! The ownership handshake: a receiver says that it wants webhooks of this API before its URL gets any.
//!
//! It is the validation of "HTTP 1.1 Web Hooks for Event Delivery", section 4, of CloudEvents 1.0: the API sends `OPTIONS` with
//! its origin, and the receiver answers with the origin that it allows. It is optional, because many receivers do not know
//! it. The later permission by `WebHook-Request-Callback` is not offered: the owner sends the request again instead.

use std::fmt;

use crate::delivery::verdict::failure::Failure;
use crate::endpoint::pace::Pace;
use crate::timestamp::Timestamp;

/// The header with the origin that asks. The values of these constants are lower case, as HTTP libraries want them.
pub const REQUEST_ORIGIN: &str = "webhook-request-origin";

/// The header with the rate that the origin asks for, in requests per minute.
pub const REQUEST_RATE: &str = "webhook-request-rate";

/// The header of the answer with the allowed origin, or `*`.
pub const ALLOWED_ORIGIN: &str = "webhook-allowed-origin";

/// The header of the answer with the allowed rate in requests per minute, or `*`.
pub const ALLOWED_RATE: &str = "webhook-allowed-rate";

/// What this API asks a receiver.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    /// The host name of this API.
    pub origin: String,
    /// The configured rate of the endpoint, in requests per minute.
    pub rate_per_minute: u32,
}

/// What a receiver answered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reply {
    /// The HTTP status.
    pub code: u16,
    /// The value of [`ALLOWED_ORIGIN`].
    pub allowed_origin: Option<String>,
    /// The value of [`ALLOWED_RATE`].
    pub allowed_rate: Option<String>,
}

/// The permission of a receiver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Permission {
    /// When the receiver gave it.
    pub at: Timestamp,
    /// The allowed rate in requests per minute; `None` if the receiver sets no limit.
    pub rate_per_minute: Option<u32>,
}

/// The reason why a receiver gave no permission.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Denial {
    /// There was no answer.
    NoAnswer(Failure),
    /// The status is not a success.
    Status(u16),
    /// The answer has no allowed origin.
    NoOrigin,
    /// The answer allows another origin.
    OtherOrigin,
    /// The allowed rate is neither a positive integer nor `*`.
    InvalidRate,
}

impl Question {
    /// Returns the permission in a reply at `now`.
    ///
    /// # Errors
    /// The reason if the reply gives none.
    pub fn permission(&self, reply: Result<Reply, Failure>, now: Timestamp) -> Result<Permission, Denial> {
        let reply = reply.map_err(Denial::NoAnswer)?;
        if !(200..=299).contains(&reply.code) {
            return Err(Denial::Status(reply.code));
        }
        let origin = reply.allowed_origin.ok_or(Denial::NoOrigin)?;
        if origin.trim() != "*" && !origin.trim().eq_ignore_ascii_case(&self.origin) {
            return Err(Denial::OtherOrigin);
        }
        let rate_per_minute = match reply.allowed_rate.as_deref().map(str::trim) {
            None | Some("*") => None,
            Some(text) => {
                let rate = text.parse().ok().filter(|rate| *rate > 0);
                Some(rate.ok_or(Denial::InvalidRate)?)
            }
        };
        Ok(Permission { at: now, rate_per_minute })
    }
}

impl Permission {
    /// Returns the lower one of a rate and the allowed rate.
    #[must_use]
    pub fn limit(self, pace: Pace) -> Pace {
        let allowed = self.rate_per_minute.map(|rate| Pace::per_hour(rate.saturating_mul(60)));
        allowed.map_or(pace, |allowed| allowed.min(pace))
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(failure) => write!(f, "{failure}"),
            Self::Status(code) => write!(f, "it answered HTTP {code}"),
            Self::NoOrigin => f.write_str("its answer has no `WebHook-Allowed-Origin`"),
            Self::OtherOrigin => f.write_str("its `WebHook-Allowed-Origin` names another origin"),
            Self::InvalidRate => {
                f.write_str("its `WebHook-Allowed-Rate` is neither a positive integer nor `*`")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::START;

    fn ask(code: u16, origin: Option<&str>, rate: Option<&str>) -> Result<Option<u32>, Denial> {
        let question = Question { origin: "api.example.com".to_owned(), rate_per_minute: 1800 };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let reply = Reply { code, allowed_origin: owned(origin), allowed_rate: owned(rate) };
        let permission = question.permission(Ok(reply), START)?;
        assert_eq!(permission.at, START);
        Ok(permission.rate_per_minute)
    }

    #[test]
    fn the_own_origin_or_a_star_is_permission() {
        for origin in ["api.example.com", "API.Example.com", "*", " * "] {
            assert_eq!(ask(200, Some(origin), None), Ok(None), "{origin}");
        }
        assert_eq!(ask(204, Some("*"), Some("120")), Ok(Some(120)));
        assert_eq!(ask(299, Some("*"), Some("*")), Ok(None));
    }

    #[test]
    fn everything_else_is_none() {
        assert_eq!(ask(404, Some("*"), None), Err(Denial::Status(404)));
        assert_eq!(ask(302, Some("*"), None), Err(Denial::Status(302)));
        assert_eq!(ask(200, None, Some("120")), Err(Denial::NoOrigin));
        for origin in ["", "example.com", "other.example.com", "api.example.com, other.example.com"] {
            assert_eq!(ask(200, Some(origin), None), Err(Denial::OtherOrigin), "{origin}");
        }
        for rate in ["0", "-1", "1.5", "many", "", "99999999999"] {
            assert_eq!(ask(200, Some("*"), Some(rate)), Err(Denial::InvalidRate), "{rate}");
        }
        let question = Question { origin: "api.example.com".to_owned(), rate_per_minute: 1800 };
        let unanswered = question.permission(Err(Failure::TimedOut), START);
        assert_eq!(unanswered, Err(Denial::NoAnswer(Failure::TimedOut)));
    }

    #[test]
    fn the_lower_rate_holds() {
        let limit = |rate_per_minute| {
            Permission { at: START, rate_per_minute }.limit(Pace::per_second(30)).to_per_minute()
        };
        assert_eq!(
            [None, Some(7200), Some(120), Some(1), Some(u32::MAX)].map(limit),
            [1800, 1800, 120, 1, 1800]
        );
    }
}

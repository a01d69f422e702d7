//! The audit trail of a tenant: one record for each request that asks for a change.
//!
//! The record is stored before the change and completed after the answer. A process that dies in between leaves a record
//! whose outcome is unknown, so no change is without a record.

use std::fmt;
use std::time::Duration;

use rand::Rng;

use crate::id;
use crate::tenant::api_key::KeyRecord;
use crate::tenant::id::TenantId;
use crate::timestamp::Timestamp;

/// How long a record is kept.
pub const AUDIT_RETENTION: Duration = Duration::from_hours(90 * 24);

const PREFIX: &str = "aud_";

/// The id of a record: `aud_` and the 32 hexadecimal digits of a `UUIDv7` (RFC 9562). Ids sort by time.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct AuditId(String);

impl AuditId {
    /// Draws the id of a record of this time.
    pub fn generate(now: Timestamp, rng: &mut impl Rng) -> Self {
        Self(id::draw_by_time(PREFIX, now, rng))
    }

    /// Accepts exactly the form in which an id is displayed; returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        id::is_canonical(PREFIX, text).then(|| Self(text.to_owned()))
    }

    /// Returns the smallest text that sorts before the ids of this time and of all later times.
    #[must_use]
    pub fn first_at(time: Timestamp) -> String {
        format!("{PREFIX}{:012x}", time.millis().min(MAX_MILLIS))
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The latest time that an id can hold, in milliseconds since the epoch.
const MAX_MILLIS: u64 = (1 << 48) - 1;

impl fmt::Display for AuditId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who asked for a change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Author {
    /// The bearer of an API key of the tenant.
    Key {
        /// The id of the key.
        id: String,
        /// The end of the key, which its bearer can recognize.
        last4: String,
    },
    /// The bearer of the admin token.
    Operator,
    /// A client that signed up without the admin token.
    Signup,
}

impl Author {
    /// Returns the bearer of this key.
    #[must_use]
    pub fn bearer(key: &KeyRecord) -> Self {
        Self::Key { id: key.id.clone(), last4: key.last4.clone() }
    }

    /// Returns the id of the key, or `operator` or `signup`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Key { id, .. } => id,
            Self::Operator => "operator",
            Self::Signup => "signup",
        }
    }
}

/// A record of a change. It has ids and names of our own only: no URL, no payload, no secret, and no text of a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditRecord {
    /// The id of the record.
    pub id: AuditId,
    /// The tenant that is changed.
    pub tenant: TenantId,
    /// When the request came.
    pub at: Timestamp,
    /// Who asked.
    pub author: Author,
    /// The name of the change, such as `endpoint.create`.
    pub action: String,
    /// The id of what is changed; `None` for what does not exist yet, or for an id that is none.
    pub subject: Option<String>,
    /// The id of the request, which its answer and its log line have too.
    pub request_id: String,
    /// The HTTP status of the answer; `None` if the process ended before it was recorded.
    pub status: Option<u16>,
    /// The id of what was created.
    pub created: Option<String>,
}

/// How a change ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The change is made.
    Done,
    /// Nothing is changed.
    Refused,
    /// The change may be made, in part too: there was no answer, or it said that a service did not answer.
    Unknown,
}

impl Outcome {
    /// Returns the name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

impl AuditRecord {
    /// Returns how the change ended.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self.status {
            Some(200..=399) => Outcome::Done,
            Some(400..=499) => Outcome::Refused,
            _ => Outcome::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::START;

    #[test]
    fn ids_sort_by_time_and_lie_between_the_bounds_of_their_time() {
        let draw = |now| AuditId::generate(now, &mut rand::rng());
        let next = START.after(Duration::from_millis(1));
        let sorted = [
            AuditId::first_at(Timestamp::from_millis(0)),
            AuditId::first_at(START),
            draw(START).to_string(),
            AuditId::first_at(next),
            draw(next).to_string(),
            AuditId::first_at(Timestamp::from_millis(u64::MAX)),
        ];
        assert!(sorted.is_sorted(), "{sorted:#?}");
        assert_eq!(AuditId::parse(&sorted[2]).map(|id| id.to_string()).as_ref(), Some(&sorted[2]));
        assert_eq!(AuditId::parse(&sorted[1]), None);
    }
}

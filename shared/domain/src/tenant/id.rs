//! The id of a tenant.

use std::fmt;

use rand::Rng;

use crate::id;
use crate::timestamp::Timestamp;

/// The id of a tenant (an *organization* in the HTTP contract): `org_` and 32 hexadecimal digits.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TenantId(String);

impl TenantId {
    const PREFIX: &str = "org_";

    /// Draws the id of a new tenant.
    pub fn generate(now: Timestamp, rng: &mut impl Rng) -> Self {
        Self(id::draw_by_time(Self::PREFIX, now, rng))
    }

    /// Takes an id that our own code wrote into a table or a queue, without a check. Never pass text that a client
    /// sent.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Reads the id that the bearer of the admin token named. Returns `None` for text of another form. Never pass what
    /// the bearer of an API key sent.
    #[must_use]
    pub fn named_by_operator(text: &str) -> Option<Self> {
        id::is_canonical(Self::PREFIX, text).then(|| Self(text.to_owned()))
    }

    /// Reads the tenant id from a queue message of any version. Returns `None` if the message has none.
    #[must_use]
    pub fn of_message(body: &str) -> Option<Self> {
        let body: serde_json::Value = serde_json::from_str(body).ok()?;
        let text = body.get("tenant")?.as_str()?;
        id::is_canonical(Self::PREFIX, text).then(|| Self(text.to_owned()))
    }

    /// Returns the id as text, `org_...`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tenants_of_one_millisecond_have_different_ids() {
        let now = Timestamp::from_millis(1);
        let a = TenantId::generate(now, &mut rand::rng());
        let b = TenantId::generate(now, &mut rand::rng());
        assert_ne!(a, b);
        assert_eq!(a.as_str().len(), "org_".len() + 32);
    }
}

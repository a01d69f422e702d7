//! The id of an endpoint.

use std::fmt;

use rand::Rng;

use crate::id;
use crate::tenant::id::TenantId;

/// The id of an endpoint: `ep_` and 32 hexadecimal digits.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EndpointId(String);

impl EndpointId {
    const PREFIX: &str = "ep_";

    /// Returns the id of the tenant's default endpoint, which `POST /api/webhook/config` sets. It is derived from the
    /// tenant id, so two requests at the same time make one endpoint.
    #[must_use]
    pub fn default_of(tenant: &TenantId) -> Self {
        Self(tenant.as_str().replacen("org_", "ep_", 1))
    }

    /// Draws a new id.
    pub fn generate(rng: &mut impl Rng) -> Self {
        Self(id::random(Self::PREFIX, rng))
    }

    /// Accepts exactly the form that [`EndpointId`] is displayed in; returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        id::is_canonical(Self::PREFIX, text).then(|| Self(text.to_owned()))
    }

    /// Takes an id that our own code wrote into a table or a queue, without a check.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::Timestamp;

    #[test]
    fn the_default_endpoint_is_derived_from_its_tenant() {
        let tenant = TenantId::generate(Timestamp::from_millis(1), &mut rand::rng());
        assert_eq!(EndpointId::default_of(&tenant).as_str()[3..], tenant.as_str()[4..]);
    }
}

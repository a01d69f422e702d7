//! The id of an endpoint.

use crate::id::random_id;
use crate::tenant::id::TenantId;

/// The id of an endpoint: `ep_` and 32 hexadecimal digits.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EndpointId(String);

impl EndpointId {
    /// Returns the id of the tenant's default endpoint, which `POST /api/webhook/config` sets. It is derived from the
    /// tenant id, so two requests at the same time make one endpoint.
    #[must_use]
    pub fn default_of(tenant: &TenantId) -> Self {
        Self(tenant.as_str().replacen("org_", "ep_", 1))
    }
}

random_id!(EndpointId, "ep_");

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

//! Who wants events: an endpoint, its URL and its signing secrets.

mod url;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rand::Rng;

use crate::breaker::Health;
use crate::tenant::TenantId;

pub use url::{EndpointUrl, RefusedUrl, UrlPolicy};

/// The identity of an endpoint: `ep_` and 32 hexadecimal digits.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EndpointId(String);

impl EndpointId {
    /// The tenant's default endpoint, the one that `POST /api/webhook/config` sets: it follows from the tenant,
    /// so that configuring it twice at once still makes one endpoint.
    #[must_use]
    pub fn default_of(tenant: &TenantId) -> Self {
        Self(tenant.as_str().replacen("org_", "ep_", 1))
    }

    /// The identity that our own code wrote into a table or a queue.
    pub(crate) fn from_trusted(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The identity as text.
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

/// A signing secret of Standard Webhooks 1.0: `whsec_` and base64 of 24 to 64 random bytes.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// A new secret of 32 bytes.
    pub fn generate(rng: &mut impl Rng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(format!("whsec_{}", BASE64.encode(bytes)))
    }

    /// Accepts a secret of the specified form.
    #[must_use]
    pub fn parse(text: impl Into<String>) -> Option<Self> {
        let secret = Self(text.into());
        (24..=64).contains(&secret.bytes()?.len()).then_some(secret)
    }

    /// The secret itself: for its owner, once, and for signing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The key bytes; `None` only for text that [`Secret::parse`] would refuse.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        BASE64.decode(self.0.strip_prefix("whsec_")?).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(...)")
    }
}

/// Whether an endpoint takes deliveries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum EndpointState {
    /// It does.
    #[default]
    Active,
    /// It answered 410 Gone, or nothing but failures for days: its deliveries fail until it is enabled again.
    Disabled,
}

/// A receiver of a tenant's events.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// Its identity.
    pub id: EndpointId,
    /// Where its requests go, as configured; checked against the policy again at send time.
    pub url: String,
    /// What its requests are signed with.
    pub secret: Secret,
    /// Whether it takes deliveries.
    pub state: EndpointState,
    /// Whether its owner paused it: deliveries are parked until it is resumed.
    pub is_paused: bool,
    /// The most requests per second.
    pub rate_per_second: u32,
    /// How it does.
    pub health: Health,
}

/// Requests per second, unless the owner says otherwise.
pub const DEFAULT_RATE_PER_SECOND: u32 = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::Timestamp;

    #[test]
    fn secrets_have_the_specified_form() {
        let secret = Secret::generate(&mut rand::rng());
        assert_eq!(Secret::parse(secret.expose()), Some(secret));
        for bad in ["", "whsec_", "whsec_!!", "whsec_c2hvcnQ=", &BASE64.encode([7; 32])] {
            assert_eq!(Secret::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_default_endpoint_follows_from_its_tenant() {
        let tenant = TenantId::generate(Timestamp::from_millis(1), &mut rand::rng());
        assert_eq!(EndpointId::default_of(&tenant).as_str()[3..], tenant.as_str()[4..]);
    }
}

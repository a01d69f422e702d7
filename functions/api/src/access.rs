//! Access without an API key: the admin token, and the stack parameters that open routes.

use std::time::Duration;

use domain::problem::Problem;
use domain::tenant::api_key::Pepper;
use domain::tenant::signup::SignupLimits;
use domain::tenant::spread::Spread;
use domain::tenant::tier::Tier;
use http::HeaderMap;

/// The stack parameter `Signup`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signup {
    /// Only the bearer of the admin token may create tenants.
    Admin,
    /// Everyone may create tenants.
    Open,
}

/// The stack parameter `Environment`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Environment {
    /// The stack runs in AWS: an open signup gets the tier `free`, and the metrics require the admin token.
    Aws,
    /// The stack runs locally: an open signup gets the requested tier, the metrics are open, and a wider spread is used
    /// sooner.
    Local,
}

impl Environment {
    /// Returns how many tenants an open signup creates in a day.
    pub(crate) fn signup_limits(self) -> SignupLimits {
        match self {
            Self::Aws => SignupLimits::AWS,
            Self::Local => SignupLimits::LOCAL,
        }
    }

    /// Returns the time after a change of the tier in which no event is written to the added shards.
    pub(crate) fn spread_delay(self) -> Duration {
        match self {
            Self::Aws => Spread::DELAY,
            Self::Local => Duration::from_secs(35), // a local instance reads a cached API key again after 30 s
        }
    }
}

/// The admin token, kept as a keyed tag (HMAC), so that a comparison takes constant time.
pub(crate) struct Admin {
    pepper: Pepper,
    tag: Vec<u8>,
}

impl Admin {
    /// Makes the tag of the token.
    pub(crate) fn new(token: &str) -> Self {
        let pepper = Pepper::new(token);
        let tag = pepper.tag("admin", token.as_bytes());
        Self { pepper, tag }
    }

    /// Returns whether the request has the admin token.
    pub(crate) fn is_bearer(&self, headers: &HeaderMap) -> bool {
        let token = headers.get("x-admin-token").map(http::HeaderValue::as_bytes);
        token.is_some_and(|token| self.pepper.verify("admin", token, &self.tag))
    }
}

/// Returns the tier of a new tenant.
///
/// # Errors
/// 401 if only the bearer of the admin token may create tenants.
pub(crate) fn signup_tier(
    signup: Signup,
    environment: Environment,
    is_admin: bool,
    requested: Tier,
) -> Result<Tier, Problem> {
    match (signup, environment) {
        _ if is_admin => Ok(requested),
        (Signup::Open, Environment::Local) => Ok(requested),
        (Signup::Open, Environment::Aws) => Ok(Tier::Free),
        (Signup::Admin, _) => Err(admin_only()),
    }
}

/// Returns the problem of a request without a valid admin token.
pub(crate) fn admin_only() -> Problem {
    let detail = "the admin token is missing or not valid; send it in the header X-Admin-Token";
    Problem { detail: detail.to_owned(), ..Problem::unauthorized() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_signup_in_aws_always_gets_the_tier_free() {
        let tier =
            |signup, environment, is_admin| signup_tier(signup, environment, is_admin, Tier::Enterprise).ok();
        assert_eq!(tier(Signup::Open, Environment::Aws, false), Some(Tier::Free));
        assert_eq!(tier(Signup::Open, Environment::Aws, true), Some(Tier::Enterprise));
        assert_eq!(tier(Signup::Open, Environment::Local, false), Some(Tier::Enterprise));
        assert_eq!(tier(Signup::Admin, Environment::Local, false), None);
        assert_eq!(tier(Signup::Admin, Environment::Aws, true), Some(Tier::Enterprise));
    }

    #[test]
    fn only_the_exact_token_is_accepted() {
        let admin = Admin::new("token");
        let mut headers = HeaderMap::new();
        assert!(!admin.is_bearer(&headers));
        headers.insert("x-admin-token", "tokem".parse().unwrap());
        assert!(!admin.is_bearer(&headers));
        headers.insert("x-admin-token", "token".parse().unwrap());
        assert!(admin.is_bearer(&headers));
    }
}

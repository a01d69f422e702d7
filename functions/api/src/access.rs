//! Who may do what no API key allows: the admin token, and what the stack's parameters open.

use std::time::Duration;

use domain::problem::Problem;
use domain::tenant::api_key::Pepper;
use domain::tenant::spread::Spread;
use domain::tenant::tier::Tier;
use http::HeaderMap;

/// The stack's parameter `Signup`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signup {
    /// Only the bearer of the admin token creates tenants.
    Admin,
    /// Anybody does.
    Open,
}

/// The stack's parameter `Environment`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Environment {
    /// Deployed: an open signup gets the tier free, and metrics want the admin token.
    Aws,
    /// The local stack: neither, and a wider spread is in use sooner.
    Local,
}

impl Environment {
    /// How long the shards stay empty that a tenant is given by another tier.
    pub(crate) fn spread_delay(self) -> Duration {
        match self {
            Self::Aws => Spread::DELAY,
            Self::Local => Duration::from_secs(35), // there a key is looked at again after 30 s, and somebody waits
        }
    }
}

/// The admin token, kept as a keyed tag, so that comparing takes the same time whatever was sent.
pub(crate) struct Admin {
    pepper: Pepper,
    tag: Vec<u8>,
}

impl Admin {
    pub(crate) fn new(token: &str) -> Self {
        let pepper = Pepper::new(token);
        let tag = pepper.tag("admin", token.as_bytes());
        Self { pepper, tag }
    }

    /// Whether the request carries the admin token.
    pub(crate) fn is_bearer(&self, headers: &HeaderMap) -> bool {
        let token = headers.get("x-admin-token").map(http::HeaderValue::as_bytes);
        token.is_some_and(|token| self.pepper.verify("admin", token, &self.tag))
    }
}

/// The tier a new tenant gets.
///
/// # Errors
/// 401 where only the admin may sign up.
pub(crate) fn signup_tier(
    signup: Signup,
    environment: Environment,
    is_admin: bool,
    wanted: Tier,
) -> Result<Tier, Problem> {
    match (signup, environment) {
        _ if is_admin => Ok(wanted),
        (Signup::Open, Environment::Local) => Ok(wanted),
        (Signup::Open, Environment::Aws) => Ok(Tier::Free),
        (Signup::Admin, _) => Err(admin_only()),
    }
}

/// The answer to a request that lacks the admin token.
pub(crate) fn admin_only() -> Problem {
    let detail = "send the admin token in the header X-Admin-Token";
    Problem { detail: detail.to_owned(), ..Problem::unauthorized() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_signup_in_aws_gets_the_tier_free_whatever_it_asks_for() {
        let tier =
            |signup, environment, is_admin| signup_tier(signup, environment, is_admin, Tier::Enterprise).ok();
        assert_eq!(tier(Signup::Open, Environment::Aws, false), Some(Tier::Free));
        assert_eq!(tier(Signup::Open, Environment::Aws, true), Some(Tier::Enterprise));
        assert_eq!(tier(Signup::Open, Environment::Local, false), Some(Tier::Enterprise));
        assert_eq!(tier(Signup::Admin, Environment::Local, false), None);
        assert_eq!(tier(Signup::Admin, Environment::Aws, true), Some(Tier::Enterprise));
    }

    #[test]
    fn only_the_token_itself_is_the_admins() {
        let admin = Admin::new("token");
        let mut headers = HeaderMap::new();
        assert!(!admin.is_bearer(&headers));
        headers.insert("x-admin-token", "tokem".parse().unwrap());
        assert!(!admin.is_bearer(&headers));
        headers.insert("x-admin-token", "token".parse().unwrap());
        assert!(admin.is_bearer(&headers));
    }
}

//! How many tenants an open signup creates in a day: in total, and for one client. The operator is not limited.

use std::net::IpAddr;

use crate::problem::{Kind, Problem};
use crate::timestamp::Timestamp;

/// The largest numbers of tenants that are created in one day (UTC).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SignupLimits {
    /// For one client.
    pub per_client: u32,
    /// For all clients.
    pub total: u32,
}

impl SignupLimits {
    /// The limits in AWS. An office behind one address signs up ten times a day. A thousand tenants of the tier free a day
    /// are more than a launch brings, and few enough to look through.
    pub const AWS: Self = Self { per_client: 10, total: 1000 };

    /// The limits of a local stack, where each test makes a tenant.
    pub const LOCAL: Self = Self { per_client: 1_000_000, total: 1_000_000 };
}

/// Which limit of the day is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exhausted {
    /// That of the client.
    Client,
    /// The total.
    Total,
}

impl Exhausted {
    /// Makes the 429 for the rest of the day.
    #[must_use]
    pub fn to_problem(self, now: Timestamp) -> Problem {
        let who = match self {
            Self::Client => "the clients of your address have",
            Self::Total => "this service has",
        };
        let seconds = Timestamp::from_days(now.days() + 1).since(now).as_secs() + 1;
        let detail = format!(
            "{who} created as many organizations as a day allows; send this again in {seconds} seconds, or ask the operator of this service to create yours"
        );
        let retry_after = u32::try_from(seconds).ok();
        Problem { retry_after, ..Problem::new(Kind::RateLimited, detail) }
    }
}

/// Returns what counts as one client: an IPv4 address, or the 64 bits of an IPv6 address that a provider gives to one
/// customer. A request without an address is of the client `unknown`.
#[must_use]
pub fn client(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => format!("{:016x}", address.to_bits() >> 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_one_customer_are_one_client() {
        let client = |text: &str| client(Some(text.parse().unwrap()));
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff::9"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.2"), client("192.0.2.1"));
    }

    #[test]
    fn a_client_waits_until_the_next_day() {
        let problem = Exhausted::Client.to_problem(Timestamp::from_millis(86_400_000 * 2 - 1));
        assert_eq!((problem.retry_after, problem.status()), (Some(1), 429));
        assert_eq!(Exhausted::Total.to_problem(Timestamp::from_days(2)).retry_after, Some(86_401));
    }
}

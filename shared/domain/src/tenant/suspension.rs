//! The suspension of a tenant by the operator. A suspended tenant can read, lease and acknowledge its events, export and
//! erase them. It can neither post events nor change anything else, and its deliveries are parked.

use crate::timestamp::Timestamp;

/// When and why a tenant was suspended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Suspension {
    /// When the suspension began.
    pub at: Timestamp,
    /// The reason, for the operator.
    pub reason: String,
}

impl Suspension {
    /// Returns the suspension after a request to suspend at `now`. A repeat keeps the time of the first request and has the
    /// reason of the latest.
    #[must_use]
    pub fn renew(current: Option<&Self>, reason: &str, now: Timestamp) -> Self {
        Self { at: current.map_or(now, |current| current.at), reason: reason.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_keeps_the_time_of_the_first_request() {
        let first = Suspension::renew(None, "a", Timestamp::from_millis(1));
        let second = Suspension::renew(Some(&first), "b", Timestamp::from_millis(2));
        assert_eq!(second, Suspension { at: first.at, reason: "b".to_owned() });
    }
}

//! How many requests may be in flight at once: to one endpoint, or of a line of its tenant.

use crate::endpoint::pace::Pace;

/// The largest number of requests in flight to an endpoint with a low rate. With a higher rate it is the requests of one
/// second, as many as an idle endpoint gets at once.
const LEAST_OF_ENDPOINT: u32 = 30;

/// The largest number of requests in flight to an endpoint before one of this minute succeeded: as many failures as
/// open the circuit breaker. Otherwise a burst would send a dead endpoint more requests before the first one fails.
const FIRST_OF_ENDPOINT: u32 = 10;

/// The largest numbers of requests in flight, and of the batches that they came in. A batch occupies an instance until its last
/// request ends, whether it has one request or ten.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AtOnce {
    /// The requests before one succeeded.
    first: u32,
    /// The requests after enough of them succeeded.
    most: u32,
    /// The batches; `None` for any number.
    batches: Option<u32>,
}

impl AtOnce {
    /// Allows this many requests, in any number of batches.
    #[must_use]
    pub const fn requests(count: u32) -> Self {
        Self { first: count, most: count, batches: None }
    }

    /// Allows the requests of a busy endpoint with this rate, in any number of batches.
    #[must_use]
    pub fn to_endpoint(pace: Pace) -> Self {
        let most = pace.to_per_second().max(LEAST_OF_ENDPOINT);
        Self { first: FIRST_OF_ENDPOINT, most, batches: None }
    }

    /// Allows the same in at most this many batches.
    #[must_use]
    pub const fn in_batches(self, batches: u32) -> Self {
        Self { batches: Some(batches), ..self }
    }

    /// Returns the number of successes from which on no success allows more, and the number of requests that may be in flight
    /// then. `None` if that is the number at first.
    #[must_use]
    pub fn last(self) -> Option<(u32, u32)> {
        let succeeded = self.most.saturating_sub(self.first);
        (succeeded > 0).then_some((succeeded, self.most))
    }

    /// Returns the largest number of requests in flight when this many requests of the minute succeeded. Each success allows
    /// one more.
    #[must_use]
    pub fn most(self, succeeded: u32) -> u32 {
        self.most.min(self.first.saturating_add(succeeded))
    }

    /// Returns how many batches may have requests in flight when one more starts; `None` if there is no limit.
    #[must_use]
    pub fn batches_before(self) -> Option<u32> {
        self.batches.map(|batches| batches.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_success_allows_one_more_request_to_an_endpoint_up_to_the_maximum() {
        let default = AtOnce::to_endpoint(Pace::per_second(30));
        assert_eq!([0, 1, 10, 20, 21, u32::MAX].map(|count| default.most(count)), [10, 11, 20, 30, 30, 30]);
    }

    #[test]
    fn an_endpoint_may_have_the_requests_of_a_second_in_flight_and_at_least_thirty() {
        let most = |pace| AtOnce::to_endpoint(pace).most(u32::MAX);
        let paces = [Pace::per_hour(1), Pace::per_second(30), Pace::per_second(31), Pace::per_second(1000)];
        assert_eq!(paces.map(most), [30, 30, 31, 1000]);
    }

    #[test]
    fn the_most_is_reached_after_some_successes() {
        let at_once = AtOnce::to_endpoint(Pace::per_second(1000));
        assert_eq!(at_once.last(), Some((990, 1000)));
        assert_eq!([989, 990].map(|succeeded| at_once.most(succeeded)), [999, 1000]);
        assert_eq!(AtOnce::requests(30).last(), None);
    }

    #[test]
    fn batches_are_limited_where_a_limit_is_set() {
        let endpoint = AtOnce::to_endpoint(Pace::per_second(30));
        assert_eq!(endpoint.batches_before(), None);
        let before = |most| endpoint.in_batches(most).batches_before();
        assert_eq!([0, 1, 30].map(before), [Some(0), Some(0), Some(29)]);
    }
}

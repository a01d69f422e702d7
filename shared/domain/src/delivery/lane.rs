//! The lanes of deliveries: one queue for endpoints that answer quickly, and one for those that answer slowly. An invocation
//! of delivery ends with its slowest request, so a slow request must not share it with quick ones.
//!
//! Each sender chooses the lane of a message when it sends it. A message that meets an endpoint on the quick lane that is slow
//! by now moves to the slow lane. A message on the slow lane never moves, so it is handled at its second receipt at the latest.

use crate::endpoint::Endpoint;
use crate::endpoint::id::EndpointId;
use crate::timestamp::Timestamp;

/// A lane.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Lane {
    /// The queue `deliveries`.
    #[default]
    Quick,
    /// The queue `deliveries-slow`.
    Slow,
}

impl Lane {
    /// All lanes.
    pub const ALL: [Self; 2] = [Self::Quick, Self::Slow];

    /// Returns the lane of a message that is sent at `now` and whose endpoint is this. Without an endpoint there is no request.
    #[must_use]
    pub fn of(endpoint: Option<&Endpoint>, now: Timestamp) -> Self {
        let slow_seconds = endpoint.and_then(|endpoint| endpoint.slow_seconds(now));
        if slow_seconds.is_some() { Self::Slow } else { Self::Quick }
    }

    /// Returns the lane of a message for one of these endpoints.
    #[must_use]
    pub fn among(endpoints: &[Endpoint], id: &EndpointId, now: Timestamp) -> Self {
        Self::of(endpoints.iter().find(|endpoint| endpoint.id == *id), now)
    }

    /// Returns whether a message on this lane moves to `next` instead of being sent.
    #[must_use]
    pub const fn moves_to(self, next: Self) -> bool {
        matches!((self, next), (Self::Quick, Self::Slow))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::endpoint::slowness::Slowness;
    use crate::testing::{START, endpoint};

    #[test]
    fn a_message_goes_by_the_slow_lane_while_its_endpoint_is_slow() {
        let slow = Endpoint { slowness: Some(Slowness { seconds: 12, at: START }), ..endpoint(1) };
        let lane = |id: &EndpointId, minutes| {
            Lane::among(&[slow.clone(), endpoint(2)], id, START.after(Duration::from_mins(minutes)))
        };
        assert_eq!((lane(&slow.id, 0), lane(&slow.id, 9)), (Lane::Slow, Lane::Slow));
        assert_eq!(lane(&slow.id, 10), Lane::Quick, "nothing was recorded for ten minutes");
        assert_eq!(lane(&endpoint(2).id, 0), Lane::Quick);
        assert_eq!(lane(&endpoint(3).id, 0), Lane::Quick, "it was deleted");
    }

    #[test]
    fn a_message_moves_from_the_quick_lane_to_the_slow_one_alone() {
        let moves = |from: Lane| Lane::ALL.map(|to| from.moves_to(to));
        assert_eq!((moves(Lane::Quick), moves(Lane::Slow)), ([false, true], [false, false]));
    }
}

//! The rows of the table `Schedule` for deliveries: messages with a longer delay than a queue allows, and deliveries
//! that are parked while the circuit breaker is open or the endpoint is paused.
//!
//! A parked delivery is a row under its endpoint. It is written before its message is deleted. After it, the row of
//! the endpoint is put, or its version is raised. So every parked delivery has an endpoint row, which the scheduler
//! reads. The scheduler deletes an endpoint row only if it found no parked delivery **and** the version has not
//! changed since it read it.
//!
//! A parked row has a token that changes with every write. The scheduler sends the message, and then deletes the row
//! only if the token is the same. A delivery that was sent, met an open breaker and was parked again therefore stays
//! parked.

use std::time::Duration;

use crate::delivery::DeliveryMessage;
use crate::endpoint::id::EndpointId;
use crate::endpoint::pace::Pace;
use crate::event::id::EventId;
use crate::tenant::id::TenantId;
use crate::timestamp::Timestamp;

/// The number of partitions for due rows and for endpoint rows.
pub const SHARDS: u8 = 16;

/// The longest `DelaySeconds` of SQS. A message that is due later becomes a row.
pub const MAX_DELAY: Duration = Duration::from_mins(15);

/// The time between two runs of the scheduler. One run sends all that is due before the next.
pub const HORIZON: Duration = Duration::from_secs(60);

/// A message that is due later.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Due {
    /// The message.
    pub message: DeliveryMessage,
    /// When the message is due.
    pub at: Timestamp,
}

/// A parked delivery.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parked {
    /// The message to send when the endpoint gets deliveries again.
    pub message: DeliveryMessage,
    /// The token of this write of the row.
    pub token: String,
    /// Whether the delivery was parked after a failed probe that spent no attempt.
    pub was_probed: bool,
}

impl Parked {
    /// Returns whether an attempt of the delivery, or a probe with it, was made in this run.
    #[must_use]
    pub fn was_tried(&self) -> bool {
        self.was_probed || self.message.n > 1
    }
}

/// The row of an endpoint that has parked deliveries, or recently had some.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointRow {
    /// The tenant that owns the endpoint.
    pub tenant: TenantId,
    /// The id of the endpoint.
    pub endpoint: EndpointId,
    /// How many deliveries of the endpoint were parked since this row was created.
    pub version: u64,
}

/// Returns the partition of a due row for this event.
#[must_use]
pub fn shard_of_event(event: EventId) -> u8 {
    event.spread() % SHARDS
}

/// Returns the partition of this endpoint's row.
#[must_use]
pub fn shard_of_endpoint(endpoint: &EndpointId) -> u8 {
    let last = endpoint.as_str().chars().last().and_then(|digit| digit.to_digit(16)).unwrap_or_default();
    u8::try_from(last).unwrap_or_default() % SHARDS
}

/// Returns the delay of the parked delivery at this place (from 0), so that a minute's deliveries are spread evenly.
#[must_use]
pub fn drain_delay(place: usize, rate: Pace) -> Duration {
    rate.offset(place).min(HORIZON)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::testing::{START, endpoint};

    #[test]
    fn rows_are_spread_over_all_partitions() {
        let event = |_| shard_of_event(EventId::generate(START, 1, &mut rand::rng()));
        let events: HashSet<u8> = (0..1000).map(event).collect();
        let endpoints: HashSet<u8> = (0..16).map(|number| shard_of_endpoint(&endpoint(number).id)).collect();
        let all: HashSet<u8> = (0..SHARDS).collect();
        assert_eq!((&events, &endpoints), (&all, &all));
    }

    #[test]
    fn a_drain_is_spread_over_its_minute_at_the_rate_of_the_endpoint() {
        let pace = Pace::per_second(30);
        assert_eq!(pace.to_per_minute(), 1800);
        let delays: Vec<u64> = [0, 29, 30, 1799].map(|place| drain_delay(place, pace).as_secs()).to_vec();
        assert_eq!(delays, [0, 0, 1, 59]);
        assert_eq!(Pace::per_second(0).to_per_minute(), 60);
        assert_eq!(drain_delay(59, Pace::per_second(0)).as_secs(), 59);
        let slow = Pace::per_hour(108);
        assert_eq!((slow.to_per_minute(), drain_delay(1, slow).as_secs()), (2, 33));
    }
}

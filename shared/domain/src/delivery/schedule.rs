//! What the table `Schedule` holds: messages that are due later than a queue can delay, and deliveries that are parked
//! while their endpoint's breaker is open or the endpoint is paused.
//!
//! A parked delivery is a row under its endpoint, written before its message is deleted; *after* it the endpoint's own row
//! is put, or its version raised. So there is never a parked delivery whose endpoint nobody looks at: the scheduler
//! takes the endpoint's row away only when it saw nothing parked **and** the version is still the one it read before.
//!
//! A parked row carries a token of its own. The scheduler sends its message and then deletes the row only where it still
//! has that token: a delivery that was sent, met an open breaker and was parked again meanwhile stays parked.

use std::time::Duration;

use crate::delivery::DeliveryMessage;
use crate::endpoint::id::EndpointId;
use crate::event::id::EventId;
use crate::tenant::id::TenantId;
use crate::timestamp::Timestamp;

/// Rows that are due, and the rows of endpoints, are spread over this many partitions.
pub const SHARDS: u8 = 16;

/// The longest delay that a queue knows; what is due later becomes a row.
pub const MAX_DELAY: Duration = Duration::from_mins(15);

/// The scheduler comes once a minute, and takes what is due until it comes again.
pub const HORIZON: Duration = Duration::from_secs(60);

/// A message that is due later.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Due {
    /// The message.
    pub message: DeliveryMessage,
    /// When it is due.
    pub at: Timestamp,
}

/// A parked delivery.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parked {
    /// The message that will be sent again.
    pub message: DeliveryMessage,
    /// Of this writing of the row, and of no other.
    pub token: String,
}

/// The row of an endpoint that has parked deliveries, or had some a moment ago.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointRow {
    /// Whose endpoint.
    pub tenant: TenantId,
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// How often something was parked since the row was put.
    pub version: u64,
}

/// Where the row of a message of this event lies.
#[must_use]
pub fn shard_of_event(event: EventId) -> u8 {
    event.spread() % SHARDS
}

/// Where the row of this endpoint lies.
#[must_use]
pub fn shard_of_endpoint(endpoint: &EndpointId) -> u8 {
    let last = endpoint.as_str().chars().last().and_then(|digit| digit.to_digit(16)).unwrap_or_default();
    u8::try_from(last).unwrap_or_default() % SHARDS
}

/// How many of an endpoint's parked deliveries are sent in one minute.
#[must_use]
pub fn drained_per_minute(rate_per_second: u32) -> usize {
    let per_minute = rate_per_second.max(1).saturating_mul(60);
    usize::try_from(per_minute).unwrap_or(usize::MAX)
}

/// How long after the scheduler's visit the parked delivery of this place is sent: evenly over the minute.
#[must_use]
pub fn drain_delay(place: usize, rate_per_second: u32) -> Duration {
    let rate = usize::try_from(rate_per_second.max(1)).unwrap_or(usize::MAX);
    Duration::from_secs(u64::try_from(place / rate).unwrap_or(u64::MAX)).min(HORIZON)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::testing::{START, endpoint};

    #[test]
    fn rows_are_spread_over_all_shards() {
        let event = |_| shard_of_event(EventId::generate(START, 1, &mut rand::rng()));
        let events: HashSet<u8> = (0..1000).map(event).collect();
        let endpoints: HashSet<u8> = (0..16).map(|number| shard_of_endpoint(&endpoint(number).id)).collect();
        let all: HashSet<u8> = (0..SHARDS).collect();
        assert_eq!((&events, &endpoints), (&all, &all));
    }

    #[test]
    fn a_drain_is_spread_over_its_minute_at_the_endpoints_rate() {
        assert_eq!(drained_per_minute(30), 1800);
        let delays: Vec<u64> = [0, 29, 30, 1799].map(|place| drain_delay(place, 30).as_secs()).to_vec();
        assert_eq!(delays, [0, 0, 1, 59]);
        assert_eq!(drained_per_minute(0), 60);
        assert_eq!(drain_delay(59, 0).as_secs(), 59);
    }
}

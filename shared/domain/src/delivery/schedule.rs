//! The rows of the table `Schedule` for deliveries: messages with a longer delay than a queue allows, and deliveries
//! that are parked while the circuit breaker is open or the endpoint is paused.
//!
//! A parked delivery is a row in a partition of its endpoint. It is written before its message is deleted. After it, the
//! row of the partition, the *endpoint row*, is put, or gets a new random version. So every parked delivery has an endpoint
//! row, which the scheduler reads. An endpoint row is deleted only if its partition had no parked delivery **and** its
//! version has not changed since it was read.
//!
//! The key of a parked row ends with the id of the queue message that was parked. The row's message is sent, which makes
//! a new queue message, and then exactly this row is deleted. A delivery that was sent, met an open breaker and was parked
//! again has another row, and therefore stays parked. A queue message that is received twice is parked under one key.

use std::time::Duration;

use crate::delivery::DeliveryMessage;
use crate::endpoint::id::EndpointId;
use crate::endpoint::pace::Pace;
use crate::event::id::EventId;
use crate::tenant::id::TenantId;
use crate::timestamp::Timestamp;

/// The number of partitions for due rows and for endpoint rows.
pub const SHARDS: u8 = 16;

/// The number of partitions for the parked deliveries of one endpoint. A tenant with one shard of events uses the first one.
pub const PARTS: u8 = 4;

/// The part that an earlier version uses for all parked deliveries of an endpoint. It has rows with tokens only, so neither
/// version reads past rows of the other.
pub const EARLIER_PART: u8 = 0;

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
    /// What tells this row from other rows of the same attempt.
    pub source: Source,
    /// Whether the delivery was parked after a failed probe that spent no attempt.
    pub was_probed: bool,
}

impl Parked {
    /// Returns whether an attempt of the delivery, or a probe with it, was made in this run.
    #[must_use]
    pub fn was_tried(&self) -> bool {
        self.was_probed || self.message.n > 1
    }

    /// Returns the partition of the row. Earlier versions have one partition for an endpoint.
    #[must_use]
    pub fn partition(&self) -> ParkedPartition {
        let partition = ParkedPartition::of(&self.message);
        match self.source {
            Source::Message(_) => partition,
            Source::Token(_) => ParkedPartition { part: EARLIER_PART, ..partition },
        }
    }
}

/// What tells a parked row from other rows of the same attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// The id of the queue message that was parked. It is part of the key.
    Message(String),
    /// A random token in a row of an earlier version, which has one key for each attempt and replaced such a row.
    Token(String),
}

/// A partition of parked deliveries: one of the [`PARTS`] of an endpoint.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ParkedPartition {
    /// The tenant that owns the endpoint.
    pub tenant: TenantId,
    /// The id of the endpoint.
    pub endpoint: EndpointId,
    /// The number of the part: 1 to [`PARTS`], or [`EARLIER_PART`].
    pub part: u8,
}

/// The row of a partition that has parked deliveries, or recently had some.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointRow {
    /// The partition.
    pub partition: ParkedPartition,
    /// A number that is drawn each time when deliveries were parked in the partition. It never comes back: a deletion on the
    /// condition of an old version does nothing, also when the row was deleted and made again meanwhile.
    pub version: u64,
}

impl ParkedPartition {
    /// Returns the partition of the delivery of this message.
    #[must_use]
    pub fn of(DeliveryMessage { tenant, endpoint, event, .. }: &DeliveryMessage) -> Self {
        Self { tenant: tenant.clone(), endpoint: endpoint.clone(), part: 1 + event.shard() % PARTS }
    }

    /// Returns all partitions of an endpoint, also that of earlier versions.
    pub fn all_of(tenant: &TenantId, endpoint: &EndpointId) -> impl Iterator<Item = Self> + use<> {
        let first = Self { tenant: tenant.clone(), endpoint: endpoint.clone(), part: EARLIER_PART };
        (EARLIER_PART..=PARTS).map(move |part| Self { part, ..first.clone() })
    }

    /// Returns the shard of the endpoint row. The parts of one endpoint are in different shards.
    #[must_use]
    pub fn shard(&self) -> u8 {
        let last = self.endpoint.as_str().chars().last().and_then(|digit| digit.to_digit(16));
        let last = u8::try_from(last.unwrap_or_default()).unwrap_or_default();
        (last + self.part * (SHARDS / PARTS)) % SHARDS
    }
}

/// Returns the partition of a due row for this event.
#[must_use]
pub fn shard_of_event(event: EventId) -> u8 {
    event.spread() % SHARDS
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
    use crate::inbox::Head;
    use crate::testing::{START, endpoint, event, tenant};

    #[test]
    fn rows_are_spread_over_all_partitions() {
        let of_event = |_| shard_of_event(EventId::generate(START, 1, &mut rand::rng()));
        let events: HashSet<u8> = (0..1000).map(of_event).collect();
        let partitions = |number| ParkedPartition::all_of(&tenant(), &endpoint(number).id);
        let shards = |number| partitions(number).map(|partition| partition.shard());
        let endpoints: HashSet<u8> = (0..16).filter_map(|number| shards(number).next()).collect();
        let all: HashSet<u8> = (0..SHARDS).collect();
        assert_eq!((&events, &endpoints), (&all, &all));
        assert_eq!(shards(1).skip(1).collect::<HashSet<_>>().len(), usize::from(PARTS));
    }

    #[test]
    fn a_tenant_with_one_shard_parks_in_one_partition_and_a_large_tenant_in_all() {
        let part = |shards| {
            let (id, endpoint) = (EventId::generate(START, shards, &mut rand::rng()), endpoint(1).id);
            let head = Head::new(&event(&tenant(), "a", "1", START), [endpoint.clone()]);
            let delivery = &head.deliveries[&endpoint];
            let message = DeliveryMessage::first(&tenant(), id, &endpoint, delivery, false);
            ParkedPartition::of(&message).part
        };
        let parts = |shards| (0..1000).map(|_| part(shards)).collect::<HashSet<u8>>();
        assert_eq!(parts(1), HashSet::from([1]));
        assert_eq!(parts(16), (1..=PARTS).collect());
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

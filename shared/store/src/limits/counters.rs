//! The counters of `/metrics`, and the time that messages waited in the queues.
//!
//! Each batch writes one item. Most batches have no wait to store: their counters are spread over many partitions, and only
//! `/metrics` reads these. The batches that do store a wait write their counters with it, to one small partition, which ingest and
//! consumer read again and again.

use std::time::Duration;

use domain::delivery::lane::Lane;
use domain::timestamp::Timestamp;
use futures_util::future::{try_join, try_join_all};
use rand::RngExt;

use super::Limits;
use super::once::update_once;
use crate::item::{Item, Key};
use crate::keys;
use crate::table::Table;
use crate::table::query::Query;
use crate::table::write::Update;
use crate::unavailable::PortResult;

/// The number of items over which the waits are spread.
const SHARDS: u8 = 8;

/// The number of partitions over which the counters without a wait are spread. Each takes 1,000 writes a second.
const PARTS: u8 = 16;

/// The counters of `/metrics`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Accepted events. An event is counted when it is stored, or with its first delivery.
    pub accepted: u64,
    /// Events that were stored; a duplicate is not counted.
    pub stored: u64,
    /// Deliveries that an endpoint answered with 2xx.
    pub delivered: u64,
    /// Deliveries that failed finally.
    pub failed: u64,
    /// Events that left the inbox, or were stored outside of it.
    pub settled: u64,
    /// Events that entered the inbox after they were stored.
    pub returned: u64,
    /// Messages of an unknown format.
    pub unreadable: u64,
}

/// The time that the oldest new message of a batch waited in its queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wait {
    /// The queue.
    pub queue: QueueName,
    /// The time in milliseconds.
    pub waited_ms: u64,
    /// When the batch was received.
    pub at: Timestamp,
}

/// How long a stored wait counts. An empty queue has no newer one, and waits are stored at intervals only.
const WAIT_LIFETIME: Duration = Duration::from_secs(60);

/// The longest time between two stored waits of a queue of deliveries while its messages are received.
pub const DELIVERIES_INTERVAL: Duration = Duration::from_secs(20);

/// The same for the queue `events`, where ingest refuses nothing because of the queue.
const EVENTS_INTERVAL: Duration = Duration::from_secs(150);

impl Wait {
    /// Returns how long messages wait at `now`; zero if the wait was stored too long ago to count.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Duration {
        let waited = Duration::from_millis(self.waited_ms);
        if now.since(self.at) < WAIT_LIFETIME { waited } else { Duration::ZERO }
    }

    /// Returns the longest time between two stored waits of the queue `events` while messages are received, where requests are refused
    /// once nothing was received for `shed_after`; `None` if no request is refused because of the queue.
    #[must_use]
    pub fn interval(shed_after: Option<Duration>) -> Duration {
        shed_after.map_or(EVENTS_INTERVAL, |shed_after| Duration::from_secs(shed_after.as_secs() / 4))
    }
}

/// The name of a queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QueueName {
    /// The queue `events`.
    Events,
    /// A queue of deliveries.
    Deliveries(Lane),
}

impl QueueName {
    /// All queues.
    pub const ALL: [Self; 3] = [Self::Events, Self::Deliveries(Lane::Quick), Self::Deliveries(Lane::Slow)];

    /// Returns the name of the queue in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Deliveries(Lane::Quick) => "deliveries",
            Self::Deliveries(Lane::Slow) => "deliveries-slow",
        }
    }

    /// Returns the attributes for the waiting time, and for the time at which it was measured.
    pub(super) const fn attributes(self) -> (&'static str, &'static str) {
        match self {
            Self::Events => ("events_waited_ms", "events_waited_at"),
            Self::Deliveries(Lane::Quick) => ("deliveries_waited_ms", "deliveries_waited_at"),
            Self::Deliveries(Lane::Slow) => ("slow_deliveries_waited_ms", "slow_deliveries_waited_at"),
        }
    }
}

impl Counts {
    /// Returns each counter with the name of its attribute.
    fn named(&mut self) -> [(&'static str, &mut u64); 7] {
        [
            ("accepted", &mut self.accepted),
            ("stored", &mut self.stored),
            ("delivered", &mut self.delivered),
            ("failed", &mut self.failed),
            ("settled", &mut self.settled),
            ("returned", &mut self.returned),
            ("unreadable", &mut self.unreadable),
        ]
    }

    /// Returns the sum of both.
    #[must_use]
    pub fn plus(mut self, mut other: Self) -> Self {
        for ((_, sum), (_, number)) in self.named().into_iter().zip(other.named()) {
            *sum += *number;
        }
        self
    }

    /// Reads the counters of one item. A missing attribute counts as 0.
    pub(crate) fn read(item: &Item) -> Self {
        let mut counts = Self::default();
        for (name, counter) in counts.named() {
            *counter = item.number(name).unwrap_or_default();
        }
        counts
    }
}

impl<T: Table> Limits<T> {
    /// Adds to the counters, and stores the waiting time of a queue if there is one. Each call counts.
    ///
    /// # Errors
    /// When the table does not answer. The call may have counted then.
    pub async fn count(&self, mut counts: Counts, wait: Option<Wait>) -> PortResult<()> {
        if counts == Counts::default() && wait.is_none() {
            return Ok(());
        }
        let mut update = Update::new(some_key(wait.is_some()));
        if let Some(wait) = wait {
            let (waited, at) = wait.queue.attributes();
            update = update.set(waited, wait.waited_ms).set(at, wait.at);
        }
        for (name, number) in counts.named().into_iter().filter(|(_, number)| **number > 0) {
            update = update.add(name, *number);
        }
        update_once(&self.items, update).await.map(drop)
    }

    /// Returns the counters, and the last measured waiting time of each queue.
    pub async fn counts(&self) -> PortResult<(Counts, Vec<Wait>)> {
        let parts = (0..PARTS).map(|part| self.items.get_eventually(part_key(part)));
        let with_waits = self.items.all(Query::eventual(keys::COUNTERS));
        let (items, parts) = try_join(with_waits, try_join_all(parts)).await?;
        let counts = items.iter().chain(parts.iter().flatten()).map(Counts::read);
        Ok((counts.fold(Counts::default(), Counts::plus), latest_waits(&items)))
    }

    /// Returns the last measured waiting time of each queue.
    pub async fn waits(&self) -> PortResult<Vec<Wait>> {
        Ok(latest_waits(&self.items.all(Query::eventual(keys::COUNTERS)).await?))
    }

    /// Returns the last measured waiting time of a queue.
    pub async fn wait(&self, queue: QueueName) -> PortResult<Option<Wait>> {
        let items = self.items.all(Query::eventual(keys::COUNTERS)).await?;
        Ok(latest_wait(&items, queue))
    }
}

/// Returns the key of some item for counters, with a wait or without.
fn some_key(has_wait: bool) -> Key {
    let mut rng = rand::rng();
    if has_wait {
        Key::new(keys::COUNTERS, keys::counters_shard(rng.random_range(0..SHARDS)))
    } else {
        part_key(rng.random_range(0..PARTS))
    }
}

fn part_key(part: u8) -> Key {
    Key::new(keys::counters_part(part), keys::ONLY)
}

/// Returns the wait of each queue that was measured last, of those in these items.
fn latest_waits(items: &[Item]) -> Vec<Wait> {
    QueueName::ALL.into_iter().filter_map(|queue| latest_wait(items, queue)).collect()
}

/// Returns the wait that was measured last, of those in these items.
pub(super) fn latest_wait(items: &[Item], queue: QueueName) -> Option<Wait> {
    let (waited, at) = queue.attributes();
    let read = |item: &Item| {
        let waited_ms = item.number(waited).ok()?;
        Some(Wait { queue, waited_ms, at: item.timestamp(at).ok()? })
    };
    items.iter().filter_map(read).max_by_key(|wait| wait.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_a_quarter_of_the_time_after_which_requests_are_refused_and_never_missing() {
        assert_eq!(Wait::interval(Some(Duration::from_mins(10))), Duration::from_secs(150));
        assert_eq!(Wait::interval(Some(Duration::from_mins(2))), Duration::from_secs(30));
        assert_eq!(Wait::interval(None), Duration::from_secs(150));
    }
}

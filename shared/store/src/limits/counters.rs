//! The counters behind `/metrics`, spread over some items so that none is written too often, and how long the queues' messages
//! waited.

use domain::timestamp::Timestamp;
use rand::RngExt;

use super::Limits;
use super::once::Once;
use crate::item::{Item, Key};
use crate::keys;
use crate::table::Table;
use crate::table::query::Query;
use crate::unavailable::PortResult;

/// Items over which the counters are spread.
const SHARDS: u8 = 8;

/// What happened in one invocation, for `/metrics`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Accepted events, counted when the consumer receives them for the first time.
    pub accepted: u64,
    /// Events stored, each once.
    pub stored: u64,
    /// Deliveries that an endpoint took.
    pub delivered: u64,
    /// Deliveries that failed for good.
    pub failed: u64,
    /// Events that left the inbox.
    pub settled: u64,
    /// Events that are back in the inbox because of a replay.
    pub returned: u64,
    /// Messages of an unknown form, which were kept.
    pub unreadable: u64,
}

/// How long the oldest new message of a batch had waited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wait {
    /// In which queue.
    pub queue: QueueName,
    /// How long, in milliseconds.
    pub waited_ms: u64,
    /// When the batch was received.
    pub at: Timestamp,
}

/// One of our queues.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QueueName {
    /// Accepted events.
    Events,
    /// Attempts to make.
    Deliveries,
}

impl QueueName {
    /// The queue's name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Deliveries => "deliveries",
        }
    }

    /// The attributes that hold how long its messages waited, and when that was seen.
    const fn attributes(self) -> (&'static str, &'static str) {
        match self {
            Self::Events => ("events_waited_ms", "events_waited_at"),
            Self::Deliveries => ("deliveries_waited_ms", "deliveries_waited_at"),
        }
    }
}

impl Counts {
    /// Each counter and its attribute.
    fn named(self) -> [(&'static str, u64); 7] {
        [
            ("accepted", self.accepted),
            ("stored", self.stored),
            ("delivered", self.delivered),
            ("failed", self.failed),
            ("settled", self.settled),
            ("returned", self.returned),
            ("unreadable", self.unreadable),
        ]
    }

    /// Returns the sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            stored: self.stored + other.stored,
            delivered: self.delivered + other.delivered,
            failed: self.failed + other.failed,
            settled: self.settled + other.settled,
            returned: self.returned + other.returned,
            unreadable: self.unreadable + other.unreadable,
        }
    }

    /// Reads the counters of one item.
    pub(crate) fn read(item: &Item) -> Self {
        let number = |name| item.number(name).unwrap_or_default();
        Self {
            accepted: number("accepted"),
            stored: number("stored"),
            delivered: number("delivered"),
            failed: number("failed"),
            settled: number("settled"),
            returned: number("returned"),
            unreadable: number("unreadable"),
        }
    }
}

impl<T: Table> Limits<T> {
    /// Adds to the counters, and notes how long a queue's messages waited. Not idempotent: a further call counts again.
    ///
    /// # Errors
    /// When the table does not answer: then nobody knows whether it counted.
    pub async fn count(&self, counts: Counts, wait: Option<Wait>) -> PortResult<()> {
        if counts == Counts::default() && wait.is_none() {
            return Ok(());
        }
        let shard = rand::rng().random_range(0..SHARDS);
        let mut update = Once::new(Key::new(keys::COUNTERS, keys::counters_shard(shard)));
        if let Some(wait) = wait {
            let (waited, at) = wait.queue.attributes();
            update = update.set(waited, wait.waited_ms).set(at, wait.at);
        }
        for (name, number) in counts.named().into_iter().filter(|(_, number)| *number > 0) {
            update = update.add(name, number);
        }
        update.send(&self.items).await.map(drop)
    }

    /// Returns the counters, and the latest known wait in each queue.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn counts(&self) -> PortResult<(Counts, Vec<Wait>)> {
        let items = self.items.all(Query::eventual(keys::COUNTERS)).await?;
        let counts = items.iter().map(Counts::read).fold(Counts::default(), Counts::plus);
        let waits = [QueueName::Events, QueueName::Deliveries].map(|queue| latest_wait(&items, queue));
        Ok((counts, waits.into_iter().flatten().collect()))
    }

    /// Returns the latest known wait in a queue.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn wait(&self, queue: QueueName) -> PortResult<Option<Wait>> {
        let items = self.items.all(Query::eventual(keys::COUNTERS)).await?;
        Ok(latest_wait(&items, queue))
    }
}

fn latest_wait(items: &[Item], queue: QueueName) -> Option<Wait> {
    let (waited, at) = queue.attributes();
    let read = |item: &Item| {
        let waited_ms = item.number(waited).ok()?;
        Some(Wait { queue, waited_ms, at: item.moment(at).ok()? })
    };
    items.iter().filter_map(read).max_by_key(|wait| wait.at)
}

//! Reads and writes of many calls: pages, unprocessed keys of a batch, and retries after a conflict with a transaction.
//! Each loop is written once, here.

use std::future::Future;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use rand::RngExt;
use tokio::time::sleep;

use crate::item::{Item, Key};
use crate::reads;
use crate::table::condition::{absent, equals};
use crate::table::query::{Page, Query};
use crate::table::write::{Delete, Put, Reason, Transacted, Update, Write, Written};
use crate::table::{Consistency, MAX_BATCH_DELETE_KEYS, MAX_BATCH_GET_KEYS, Table};
use crate::unavailable::{PortResult, Unavailable};

/// The pause before each try of a call that was throttled, or that conflicted with a transaction.
const PAUSES: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
];

/// The largest number of batches of one deletion at the same time.
const CONCURRENT_BATCHES: usize = 8;

/// The items of one table. Each method fails if the table does not answer. A method that writes in several
/// calls may then have written a part.
#[derive(Clone, Debug)]
pub(crate) struct Items<T> {
    table: T,
}

/// How a conditional write ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// The item was written. An update with `returning` gives the attributes that it changed, with their new values.
    Done(Item),
    /// The condition did not hold. A write with `returning` gives the stored item, which has no attributes if it does
    /// not exist.
    Refused(Item),
}

/// How a conditional update ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Updated {
    /// The item was updated.
    Done,
    /// Another writer changed the item after it was read: read it again and decide again.
    Raced,
}

/// How a transaction ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Committed {
    /// All items were written.
    Done,
    /// No item was written. Says for each write, in order, whether its condition did not hold.
    Refused(Vec<bool>),
}

impl Outcome {
    /// Returns whether the item was written: the condition held.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }

    /// Returns the outcome of a write on the condition that the item has not changed since it was read.
    pub(crate) fn updated(self) -> Updated {
        if self.is_done() { Updated::Done } else { Updated::Raced }
    }
}

impl Committed {
    /// Returns the outcome of a transaction on the condition that the items have not changed since they were read.
    pub(crate) fn updated(self) -> Updated {
        if self == Self::Done { Updated::Done } else { Updated::Raced }
    }
}

impl<T: Table> Items<T> {
    /// Returns the items of a table.
    pub(crate) fn new(table: T) -> Self {
        Self { table }
    }

    /// Reads an item consistently.
    pub(crate) async fn get(&self, key: Key) -> PortResult<Option<Item>> {
        self.table.get(&key, Consistency::Strong).await.map(|found| counted(found, Consistency::Strong))
    }

    /// Reads an item, which may miss the latest writes.
    pub(crate) async fn get_eventually(&self, key: Key) -> PortResult<Option<Item>> {
        self.table.get(&key, Consistency::Eventual).await.map(|found| counted(found, Consistency::Eventual))
    }

    /// Reads one page.
    pub(crate) async fn page(&self, query: Query) -> PortResult<Page> {
        self.table.query(&query).await.map(counted_page)
    }

    /// Reads all pages.
    pub(crate) async fn all(&self, query: Query) -> PortResult<Vec<Item>> {
        self.up_to(usize::MAX, query).await
    }

    /// Reads pages until there are `most` items.
    pub(crate) async fn up_to(&self, most: usize, query: Query) -> PortResult<Vec<Item>> {
        let mut items = Vec::new();
        let mut start = query.start.clone();
        loop {
            let left = most - items.len();
            let next = Query { limit: (left < usize::MAX).then_some(left), ..query.clone() };
            let page = counted_page(self.table.query(&next.from(start)).await?);
            items.extend(page.items);
            start = page.next;
            if start.is_none() || items.len() >= most {
                return Ok(items);
            }
        }
    }

    /// Counts the items of pages until there are `most`.
    pub(crate) async fn count_up_to(&self, most: usize, query: Query) -> PortResult<usize> {
        let mut count = 0;
        let mut start = None;
        loop {
            let next = query.clone().count().limit(most - count).from(start);
            let page = counted_page(self.table.query(&next).await?);
            count += page.count;
            start = page.next;
            if start.is_none() || count >= most {
                return Ok(count);
            }
        }
    }

    /// Puts an item without a condition.
    pub(crate) async fn put(&self, item: Item) -> PortResult<()> {
        self.put_if(Put::new(item)).await.map(drop)
    }

    /// Puts an item if there is none with its key; returns whether it was put.
    pub(crate) async fn put_new(&self, item: Item) -> PortResult<bool> {
        let put = Put::new(item).only_if(absent("pk"));
        self.put_if(put).await.map(|outcome| outcome.is_done())
    }

    /// Puts an item with this `rev` if the stored item has the previous `rev`.
    pub(crate) async fn put_over(&self, item: Item, rev: u64) -> PortResult<Updated> {
        let put = Put::new(item).only_if(equals("rev", rev - 1));
        self.put_if(put).await.map(Outcome::updated)
    }

    /// Puts an item if the condition holds.
    pub(crate) async fn put_if(&self, put: Put) -> PortResult<Outcome> {
        retry_conflicts(|| self.table.put(&put)).await
    }

    /// Updates an item if the condition holds.
    pub(crate) async fn update(&self, update: Update) -> PortResult<Outcome> {
        retry_conflicts(|| self.table.update(&update)).await
    }

    /// Deletes an item if the condition holds.
    pub(crate) async fn delete(&self, delete: Delete) -> PortResult<Outcome> {
        retry_conflicts(|| self.table.delete(&delete)).await
    }

    /// Makes all writes, or none of them.
    pub(crate) async fn transact(&self, writes: Vec<Write>) -> PortResult<Committed> {
        for pause in PAUSES {
            wait(pause).await;
            let reasons = match self.table.transact(&writes).await? {
                Transacted::Done => return Ok(Committed::Done),
                Transacted::Canceled(reasons) => reasons,
            };
            if reasons.contains(&Reason::Condition) {
                let refused = reasons.into_iter().map(|reason| reason == Reason::Condition);
                return Ok(Committed::Refused(refused.collect()));
            }
            if !reasons.contains(&Reason::Conflict) {
                return Err(Unavailable::new("TransactWriteItems", format!("{reasons:?}")));
            }
        }
        Err(busy("TransactWriteItems"))
    }

    /// Reads many items consistently, and returns those that exist, in any order.
    pub(crate) async fn get_many(&self, keys: Vec<Key>) -> PortResult<Vec<Item>> {
        let mut found = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(MAX_BATCH_GET_KEYS) {
            let mut left = chunk.to_vec();
            for pause in PAUSES {
                wait(pause).await;
                let (items, unprocessed) = self.table.batch_get(&left).await?;
                let costs = items.iter().map(|item| reads::half_units(item.size(), Consistency::Strong));
                let absent = left.len().saturating_sub(items.len() + unprocessed.len());
                reads::count(costs.sum::<u64>() + absent as u64 * reads::half_units(0, Consistency::Strong));
                found.extend(items);
                left = unprocessed;
                if left.is_empty() {
                    break;
                }
            }
            require_none(&left, "BatchGetItem")?;
        }
        Ok(found)
    }

    /// Deletes all items that a query finds; returns their number.
    pub(crate) async fn delete_found(&self, query: Query) -> PortResult<usize> {
        let found = self.all(query.keys()).await?;
        self.delete_items(&found).await
    }

    /// Deletes the stored items with the keys of these; returns the number of keys.
    pub(crate) async fn delete_items(&self, items: &[Item]) -> PortResult<usize> {
        let keys: Vec<Key> = items.iter().map(Item::key).collect::<Result<_, _>>()?;
        let count = keys.len();
        self.delete_all(keys).await?;
        Ok(count)
    }

    /// Deletes many items. A key without an item changes nothing. The keys must differ from each other.
    pub(crate) async fn delete_all(&self, keys: Vec<Key>) -> PortResult<()> {
        let chunks = keys.chunks(MAX_BATCH_DELETE_KEYS).map(<[Key]>::to_vec);
        let chunks: Vec<Vec<Key>> = chunks.collect();
        let deletions = stream::iter(chunks).map(|chunk| self.delete_chunk(chunk));
        deletions.buffer_unordered(CONCURRENT_BATCHES).try_collect().await
    }

    async fn delete_chunk(&self, mut left: Vec<Key>) -> PortResult<()> {
        for pause in PAUSES {
            wait(pause).await;
            left = self.table.batch_delete(&left).await?;
            if left.is_empty() {
                break;
            }
        }
        require_none(&left, "BatchWriteItem")
    }
}

/// Counts the read of an item.
fn counted(found: Option<Item>, consistency: Consistency) -> Option<Item> {
    reads::count(reads::half_units(found.as_ref().map_or(0, Item::size), consistency));
    found
}

/// Counts the read of a page.
fn counted_page(page: Page) -> Page {
    reads::count(page.half_units);
    page
}

/// Repeats a write that conflicts with a transaction.
async fn retry_conflicts<F>(write: impl Fn() -> F) -> PortResult<Outcome>
where
    F: Future<Output = PortResult<Written>>,
{
    for pause in PAUSES {
        wait(pause).await;
        match write().await? {
            Written::Done(item) => return Ok(Outcome::Done(item)),
            Written::Refused(item) => return Ok(Outcome::Refused(item)),
            Written::Conflict => {}
        }
    }
    Err(busy("writing an item"))
}

/// Fails if the last try of a batch call left keys unprocessed.
fn require_none(left: &[Key], operation: &'static str) -> PortResult<()> {
    if left.is_empty() { Ok(()) } else { Err(busy(operation)) }
}

/// Waits for half of the pause to all of it, so that those who failed together do not try again together.
async fn wait(pause: Duration) {
    if !pause.is_zero() {
        let some = rand::rng().random_range(pause / 2..=pause);
        sleep(some).await;
    }
}

fn busy(operation: &'static str) -> Unavailable {
    Unavailable::new(operation, "the table is too busy")
}

//! The loops that `DynamoDB` asks of its callers, each written once: pages, unprocessed keys, conflicts with transactions.

use std::future::Future;
use std::time::Duration;

use tokio::time::sleep;

use crate::item::{Item, Key};
use crate::table::condition::{absent, equals};
use crate::table::query::{Page, Query};
use crate::table::write::{Delete, Put, Reason, Transacted, Update, Write, Written};
use crate::table::{Consistency, MAX_BATCH_DELETE_KEYS, MAX_BATCH_GET_KEYS, Table};
use crate::unavailable::{PortResult, Unavailable};

/// The pause before each try of a call that a busy table left undone, or that a transaction was in the way of.
const PAUSES: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
];

/// The items of one table.
#[derive(Clone, Debug)]
pub struct Items<T> {
    table: T,
}

/// How a conditional write ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is made. An update that returns attributes gives those that it changed, with their new values.
    Done(Item),
    /// Its condition did not hold. A write that returns attributes gives the item that is there; without attributes where there is
    /// none.
    Refused(Item),
}

/// How a conditional update ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Updated {
    /// It is written.
    Done,
    /// The item is no longer what was read: read again and decide again.
    Raced,
}

/// How a transaction ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Committed {
    /// Every write is made.
    Done,
    /// No write is made; for each, in their order, whether its condition did not hold.
    Refused(Vec<bool>),
}

impl Outcome {
    /// Returns whether the write is made.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }

    /// Returns the outcome of a write whose condition was that nothing changed since the item was read.
    #[must_use]
    pub fn updated(&self) -> Updated {
        if self.is_done() { Updated::Done } else { Updated::Raced }
    }
}

impl<T: Table> Items<T> {
    /// Returns the items of a table.
    pub fn new(table: T) -> Self {
        Self { table }
    }

    /// Reads an item consistently.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn get(&self, key: Key) -> PortResult<Option<Item>> {
        self.table.get(&key, Consistency::Strong).await
    }

    /// Reads an item, which may miss the latest writes.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn get_eventually(&self, key: Key) -> PortResult<Option<Item>> {
        self.table.get(&key, Consistency::Eventual).await
    }

    /// Reads one page.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn page(&self, query: Query) -> PortResult<Page> {
        self.table.query(&query).await
    }

    /// Reads page after page to the end.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn all(&self, query: Query) -> PortResult<Vec<Item>> {
        self.up_to(usize::MAX, query).await
    }

    /// Reads page after page, to the end or until there are `most` items.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn up_to(&self, most: usize, query: Query) -> PortResult<Vec<Item>> {
        let (mut items, mut start) = (Vec::new(), query.start.clone());
        loop {
            let left = most - items.len();
            let next = Query { limit: (left < usize::MAX).then_some(left), ..query.clone() };
            let page = self.table.query(&next.from(start)).await?;
            items.extend(page.items);
            start = page.next;
            if start.is_none() || items.len() >= most {
                return Ok(items);
            }
        }
    }

    /// Counts page after page, to the end or until there are `most`; the count stops there.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn count_up_to(&self, most: usize, query: Query) -> PortResult<usize> {
        let (mut count, mut start) = (0, None);
        loop {
            let next = query.clone().count().limit(most - count).from(start);
            let page = self.table.query(&next).await?;
            count += page.count;
            start = page.next;
            if start.is_none() || count >= most {
                return Ok(count);
            }
        }
    }

    /// Puts an item, whatever is there.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn put(&self, item: Item) -> PortResult<()> {
        self.put_if(Put::new(item)).await.map(drop)
    }

    /// Puts an item where none of its key is; returns whether there was none.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn put_new(&self, item: Item) -> PortResult<bool> {
        let put = Put::new(item).only_if(absent("pk"));
        self.put_if(put).await.map(|outcome| outcome.is_done())
    }

    /// Puts an item of this `rev` in the place of the one that has the `rev` before it.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn put_over(&self, item: Item, rev: u64) -> PortResult<Updated> {
        let put = Put::new(item).only_if(equals("rev", rev - 1));
        self.put_if(put).await.map(|outcome| outcome.updated())
    }

    /// Puts an item, if its condition holds.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn put_if(&self, put: Put) -> PortResult<Outcome> {
        past_conflicts(|| self.table.put(&put)).await
    }

    /// Changes an item, if the condition holds.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn update(&self, update: Update) -> PortResult<Outcome> {
        past_conflicts(|| self.table.update(&update)).await
    }

    /// Deletes an item, if the condition holds.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn delete(&self, delete: Delete) -> PortResult<Outcome> {
        past_conflicts(|| self.table.delete(&delete)).await
    }

    /// Makes all writes or none.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn transact(&self, writes: Vec<Write>) -> PortResult<Committed> {
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

    /// Reads many items consistently, in any order; items that do not exist are left out.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn get_many(&self, keys: Vec<Key>) -> PortResult<Vec<Item>> {
        let mut found = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(MAX_BATCH_GET_KEYS) {
            let mut left = chunk.to_vec();
            for pause in PAUSES {
                wait(pause).await;
                let (items, unprocessed) = self.table.batch_get(&left).await?;
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

    /// Deletes many items, each once; items that do not exist change nothing.
    ///
    /// # Errors
    /// When the table does not answer; some may be deleted then.
    pub async fn delete_all(&self, keys: Vec<Key>) -> PortResult<()> {
        for chunk in keys.chunks(MAX_BATCH_DELETE_KEYS) {
            let mut left = chunk.to_vec();
            for pause in PAUSES {
                wait(pause).await;
                left = self.table.batch_delete(&left).await?;
                if left.is_empty() {
                    break;
                }
            }
            require_none(&left, "BatchWriteItem")?;
        }
        Ok(())
    }
}

/// Makes a write again as long as a transaction is in its way.
async fn past_conflicts<F>(write: impl Fn() -> F) -> PortResult<Outcome>
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

/// Fails where a batch call has left keys unprocessed again and again.
fn require_none(left: &[Key], operation: &'static str) -> PortResult<()> {
    if left.is_empty() { Ok(()) } else { Err(busy(operation)) }
}

async fn wait(pause: Duration) {
    if !pause.is_zero() {
        sleep(pause).await;
    }
}

fn busy(operation: &'static str) -> Unavailable {
    Unavailable::new(operation, "the table is too busy")
}

//! A table in memory that behaves like `DynamoDB` where that can hurt: pages of 1 MB, also for counts; items of 400 KB at most;
//! reads that miss the latest write; indexes that lag; batches that are left half done; transactions that are in the way;
//! answers that are lost after the effect. Time to live deletes nothing, as for days in `DynamoDB`.

pub mod usage;

mod storage;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::yield_now;

use self::storage::Storage;
use self::usage::{Operation, Usage, read_units, write_units};
use super::faults::Faults;
use crate::item::{Item, Key};
use crate::table::condition::Condition;
use crate::table::query::{Page, Query, Select};
use crate::table::write::{Delete, Put, Reason, Transacted, Update, Write, Written};
use crate::table::{Consistency, MAX_BATCH_DELETE_KEYS, MAX_BATCH_GET_KEYS, Table};
use crate::unavailable::{PortResult, Unavailable};

/// The largest item, in bytes.
const MAX_ITEM_BYTES: usize = 400 * 1024;

/// Something that happens right after a call.
type Act = Box<dyn FnOnce() + Send>;

/// A table in memory. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryTable {
    faults: Faults,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    storage: Storage,
    usage: Usage,
    after_query: Option<(String, Act)>,
    repeat_next_write: bool,
    unprocessed_batches: usize,
    conflicts: usize,
    shows_writes_at_once: bool,
}

impl MemoryTable {
    /// Returns an empty table whose calls may go wrong.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }

    /// Returns every item, in the order of the keys.
    #[must_use]
    pub fn items(&self) -> Vec<Item> {
        self.state().storage.items().cloned().collect()
    }

    /// Returns every item of a partition, in the order of the keys.
    #[must_use]
    pub fn partition(&self, pk: &str) -> Vec<Item> {
        self.state().storage.partition(pk).cloned().collect()
    }

    /// Returns an item as it is now.
    #[must_use]
    pub fn item(&self, key: &Key) -> Option<Item> {
        self.state().storage.get(key).cloned()
    }

    /// Puts an item, as another process would.
    pub fn put_item(&self, item: Item) {
        self.state().storage.put(item);
    }

    /// Deletes an item, as another process would.
    pub fn delete_item(&self, key: &Key) {
        self.state().storage.delete(key);
    }

    /// Returns the calls and the units since the table was made, or since [`MemoryTable::reset_usage`].
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.state().usage.clone()
    }

    /// Counts from zero again.
    pub fn reset_usage(&self) {
        self.state().usage = Usage::default();
    }

    /// Does this right after the next query of a partition, as another process might.
    pub fn after_query_of(&self, partition: String, act: impl FnOnce() + Send + 'static) {
        self.state().after_query = Some((partition, Box::new(act)));
    }

    /// Loses the first answer to the next single write after its effect; the SDK makes the write again, and the caller gets
    /// the second answer.
    pub fn repeat_next_write(&self) {
        self.state().repeat_next_write = true;
    }

    /// Leaves half of the keys of this many batch calls unprocessed.
    pub fn leave_batches_unprocessed(&self, calls: usize) {
        self.state().unprocessed_batches = calls;
    }

    /// Lets a transaction of somebody else be in the way of this many writes.
    pub fn conflict(&self, calls: usize) {
        self.state().conflicts = calls;
    }

    /// Shows every write to every read at once, from now on.
    pub fn show_writes_at_once(&self) {
        self.state().shows_writes_at_once = true;
    }

    /// Stops updating the indexes, until [`MemoryTable::catch_up`].
    pub fn lag(&self) {
        self.state().storage.lag();
    }

    /// Brings the indexes up to date.
    pub fn catch_up(&self) {
        self.state().storage.catch_up();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call<R>(
        &self,
        operation: Operation,
        effect: impl FnOnce(&mut State) -> PortResult<R>,
    ) -> PortResult<R> {
        yield_now().await;
        self.faults.call(operation.name(), || {
            let mut state = self.state();
            state.usage.count(operation);
            effect(&mut state)
        })?
    }

    async fn write(
        &self,
        operation: Operation,
        effect: impl Fn(&mut State) -> PortResult<Written>,
    ) -> PortResult<Written> {
        self.call(operation, |state| {
            if state.takes_conflict() {
                return Ok(Written::Conflict);
            }
            let written = effect(state)?;
            if std::mem::take(&mut state.repeat_next_write) { effect(state) } else { Ok(written) }
        })
        .await
    }
}

impl State {
    fn takes_conflict(&mut self) -> bool {
        let is_in_the_way = self.conflicts > 0;
        self.conflicts = self.conflicts.saturating_sub(1);
        is_in_the_way
    }

    /// Returns the item where the condition does not hold for it.
    fn refusal(&self, key: &Key, condition: Option<&Condition>) -> Option<Item> {
        let found = self.storage.get(key).cloned().unwrap_or_default();
        condition.is_some_and(|condition| !condition.holds(&found)).then_some(found)
    }

    fn put(&mut self, put: &Put, factor: u64) -> PortResult<()> {
        check_size(&put.item)?;
        self.bill(&put.item.key()?, Some(&put.item), factor);
        self.storage.put(put.item.clone());
        Ok(())
    }

    fn update(&mut self, update: &Update, factor: u64) -> PortResult<Item> {
        let found = self.storage.get(&update.key).cloned();
        let mut item = found.unwrap_or_default().at(update.key.clone());
        let mut changed = Item::default();
        for (name, value) in &update.sets {
            item.insert(name.clone(), value.clone());
            changed.insert(name.clone(), value.clone());
        }
        for (name, number) in &update.adds {
            let sum = storage::integer(&item, name).unwrap_or_default() + number;
            item.insert(name.clone(), sum);
            changed.insert(name.clone(), sum);
        }
        for name in &update.removes {
            item.remove(name);
        }
        check_size(&item)?;
        self.bill(&update.key, Some(&item), factor);
        self.storage.put(item);
        Ok(changed)
    }

    fn delete(&mut self, key: &Key, factor: u64) {
        self.bill(key, None, factor);
        self.storage.delete(key);
    }

    /// Counts the units of a write: of the larger of both items, and of each index entry that changes.
    fn bill(&mut self, key: &Key, next: Option<&Item>, factor: u64) {
        let before = self.storage.get(key);
        let bytes = storage::size_of(before).max(storage::size_of(next));
        let of_indexes = storage::index_writes(before, next);
        self.usage.writes += write_units(bytes) * factor;
        self.usage.index_writes += of_indexes * factor;
    }

    fn query(&mut self, query: &Query) -> PortResult<Page> {
        if query.index.is_some() && query.consistency == Consistency::Strong {
            return Err(refused("an index has no consistent reads"));
        }
        let read = self.storage.read(query);
        self.usage.half_reads += read_units(read.bytes, query.consistency);
        let mut page = Page { scanned: read.items.len(), next: read.next, ..Page::default() };
        let wanted = |item: &Item| query.filter.as_ref().is_none_or(|filter| filter.holds(item));
        let items = read.items.into_iter().filter(wanted);
        page.items = match query.select {
            Select::Items => items.collect(),
            Select::Keys => items.map(|item| item.key().map(Key::into_item)).collect::<Result<_, _>>()?,
            Select::Count => {
                page.count = items.count();
                return Ok(page);
            }
        };
        page.count = page.items.len();
        Ok(page)
    }

    /// Splits the keys of a batch into those to process now, and those that are left.
    fn split<'a>(&mut self, keys: &'a [Key]) -> (&'a [Key], Vec<Key>) {
        if self.unprocessed_batches == 0 {
            return (keys, Vec::new());
        }
        self.unprocessed_batches -= 1;
        let (now, later) = keys.split_at(keys.len() / 2);
        (now, later.to_vec())
    }
}

impl Table for MemoryTable {
    async fn get(&self, key: &Key, consistency: Consistency) -> PortResult<Option<Item>> {
        self.call(Operation::Get, |state| {
            let is_fresh = consistency == Consistency::Strong || state.shows_writes_at_once;
            let found = if is_fresh { state.storage.get(key) } else { state.storage.before(key) };
            state.usage.half_reads += read_units(storage::size_of(found), consistency);
            Ok(found.cloned())
        })
        .await
    }

    async fn query(&self, query: &Query) -> PortResult<Page> {
        let page = self.call(Operation::Query, |state| state.query(query)).await;
        let act = self.state().after_query.take_if(|(partition, _)| *partition == query.partition);
        if let Some((_, act)) = act {
            act();
        }
        page
    }

    async fn put(&self, put: &Put) -> PortResult<Written> {
        self.write(Operation::Put, |state| {
            if let Some(found) = state.refusal(&put.item.key()?, put.condition.as_ref()) {
                return Ok(state.refused(found, put.returns));
            }
            state.put(put, 1)?;
            Ok(Written::Done(Item::default()))
        })
        .await
    }

    async fn update(&self, update: &Update) -> PortResult<Written> {
        self.write(Operation::Update, |state| {
            if let Some(found) = state.refusal(&update.key, update.condition.as_ref()) {
                return Ok(state.refused(found, update.returns));
            }
            let changed = state.update(update, 1)?;
            Ok(Written::Done(if update.returns { changed } else { Item::default() }))
        })
        .await
    }

    async fn delete(&self, delete: &Delete) -> PortResult<Written> {
        self.write(Operation::Delete, |state| {
            if let Some(found) = state.refusal(&delete.key, delete.condition.as_ref()) {
                return Ok(state.refused(found, false));
            }
            state.delete(&delete.key, 1);
            Ok(Written::Done(Item::default()))
        })
        .await
    }

    async fn transact(&self, writes: &[Write]) -> PortResult<Transacted> {
        self.call(Operation::Transact, |state| {
            if writes.is_empty() || writes.len() > 100 {
                return Err(refused("a transaction has 1 to 100 writes"));
            }
            if state.takes_conflict() {
                return Ok(Transacted::Canceled(vec![Reason::Conflict; writes.len()]));
            }
            let mut reasons = Vec::with_capacity(writes.len());
            for write in writes {
                let (key, condition) = target(write)?;
                let refusal = state.refusal(&key, condition);
                reasons.push(if refusal.is_some() { Reason::Condition } else { Reason::None });
            }
            if reasons.contains(&Reason::Condition) {
                return Ok(Transacted::Canceled(reasons));
            }
            for write in writes {
                match write {
                    Write::Put(put) => state.put(put, 2)?,
                    Write::Update(update) => state.update(update, 2).map(drop)?,
                    Write::Delete(delete) => state.delete(&delete.key, 2),
                    Write::Check(..) => state.usage.half_reads += 4,
                }
            }
            Ok(Transacted::Done)
        })
        .await
    }

    async fn batch_get(&self, keys: &[Key]) -> PortResult<(Vec<Item>, Vec<Key>)> {
        self.call(Operation::BatchGet, |state| {
            if keys.is_empty() || keys.len() > MAX_BATCH_GET_KEYS {
                return Err(refused("a batch has 1 to 100 keys"));
            }
            let (now, later) = state.split(keys);
            let items: Vec<Item> = now.iter().filter_map(|key| state.storage.get(key).cloned()).collect();
            let sizes =
                items.iter().map(|item| read_units(storage::size_of(Some(item)), Consistency::Strong));
            state.usage.half_reads += sizes.sum::<u64>();
            Ok((items, later))
        })
        .await
    }

    async fn batch_delete(&self, keys: &[Key]) -> PortResult<Vec<Key>> {
        self.call(Operation::BatchDelete, |state| {
            if keys.is_empty() || keys.len() > MAX_BATCH_DELETE_KEYS {
                return Err(refused("a batch has 1 to 25 keys"));
            }
            let (now, later) = state.split(keys);
            for key in now {
                state.delete(key, 1);
            }
            Ok(later)
        })
        .await
    }
}

impl State {
    /// Counts a refused write, which costs as much as the item that was looked at.
    fn refused(&mut self, found: Item, returns: bool) -> Written {
        self.usage.writes += write_units(storage::size_of(Some(&found)));
        Written::Refused(if returns { found } else { Item::default() })
    }
}

/// Returns which item a write of a transaction is about, and its condition.
fn target(write: &Write) -> PortResult<(Key, Option<&Condition>)> {
    Ok(match write {
        Write::Put(put) => (put.item.key()?, put.condition.as_ref()),
        Write::Update(update) => (update.key.clone(), update.condition.as_ref()),
        Write::Delete(delete) => (delete.key.clone(), delete.condition.as_ref()),
        Write::Check(key, condition) => (key.clone(), Some(condition)),
    })
}

fn check_size(item: &Item) -> PortResult<()> {
    if storage::size_of(Some(item)) > MAX_ITEM_BYTES {
        return Err(refused("the item is larger than 400 KB"));
    }
    Ok(())
}

fn refused(reason: &'static str) -> Unavailable {
    Unavailable::new("the memory table", reason)
}

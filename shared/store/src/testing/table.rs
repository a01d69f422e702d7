//! A table in memory that behaves like `DynamoDB` where that can hurt: pages of 1 MB, also for counts; items of 400 KB at most;
//! reads that miss the latest write; indexes that lag; batches that are left half done; transactions that are in the way;
//! answers that are lost after the effect. Time to live deletes nothing, as for days in `DynamoDB`.

mod rules;
mod state;
mod storage;
pub mod throttle;
pub mod usage;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::yield_now;
use tokio::time::sleep;

use self::state::State;
use self::throttle::{ATTEMPTS, Access, Load, Throttle, backoff};
use self::usage::{Billed, Operation, Stored, Usage};
use super::faults::Faults;
use crate::item::{Item, Key};
use crate::reads::half_units;
use crate::table::query::{Page, Query};
use crate::table::write::{Delete, Put, Reason, Transacted, Update, Write, Written};
use crate::table::{Consistency, MAX_BATCH_DELETE_KEYS, MAX_BATCH_GET_KEYS, Table};
use crate::unavailable::PortResult;

/// A table in memory. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryTable {
    faults: Faults,
    state: Arc<Mutex<State>>,
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
        let mut state = self.state();
        state.usage = Usage::default();
        if let Some(throttle) = &mut state.throttle {
            throttle.reset_loads();
        }
    }

    /// Limits what each partition takes a second, from now on ([`throttle`]).
    pub fn throttle_partitions(&self) {
        self.state().throttle.get_or_insert_default();
    }

    /// Returns what each partition was asked for since the table was made, or since [`MemoryTable::reset_usage`]; nothing before
    /// [`MemoryTable::throttle_partitions`].
    #[must_use]
    pub fn loads(&self) -> Vec<Load> {
        self.state().throttle.as_ref().map(Throttle::loads).unwrap_or_default()
    }

    /// Keeps what is billed from now on, until [`MemoryTable::take_journal`].
    pub fn keep_journal(&self) {
        self.state().journal.get_or_insert_default();
    }

    /// Returns what was billed since the last call; nothing before [`MemoryTable::keep_journal`].
    #[must_use]
    pub fn take_journal(&self) -> Vec<Billed> {
        self.state().journal.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Returns what the table holds, as its storage is billed.
    #[must_use]
    pub fn stored(&self) -> Stored {
        self.state().storage.stored()
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

    /// Makes a call, and makes it again while it is throttled.
    async fn call<R>(
        &self,
        operation: Operation,
        effect: impl Fn(&mut State) -> PortResult<R>,
    ) -> PortResult<R> {
        yield_now().await;
        let attempt = || {
            self.faults.call(operation.name(), || {
                let mut state = self.state();
                state.usage.count(operation);
                state.is_throttled = false;
                let result = effect(&mut state);
                (result, state.is_throttled)
            })
        };
        for number in 2..=ATTEMPTS {
            if let (result, false) = attempt()? {
                return result;
            }
            Box::pin(sleep(backoff(number))).await; // boxed: the futures of all calls hold it
        }
        attempt()?.0
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

impl Table for MemoryTable {
    async fn get(&self, key: &Key, consistency: Consistency) -> PortResult<Option<Item>> {
        self.call(Operation::Get, |state| {
            rules::check_key(key)?;
            state.admit_read((None, key.pk.as_str()))?;
            let is_fresh = consistency == Consistency::Strong || state.shows_writes_at_once;
            let found = if is_fresh { state.storage.get(key) } else { state.storage.before(key) };
            let (bytes, found) = (storage::size_of(found), found.cloned());
            state.bill(Billed::read(Operation::Get, key.clone(), half_units(bytes, consistency)));
            Ok(found)
        })
        .await
    }

    async fn query(&self, query: &Query) -> PortResult<Page> {
        let page = self.call(Operation::Query, |state| {
            rules::check_query(query)?;
            state.query(query)
        });
        let page = page.await;
        let act = self.state().after_query.take_if(|(partition, _)| *partition == query.partition);
        if let Some((_, act)) = act {
            act();
        }
        page
    }

    async fn put(&self, put: &Put) -> PortResult<Written> {
        self.write(Operation::Put, |state| {
            rules::check_item(&put.item)?;
            rules::check_condition(put.condition.as_ref())?;
            let key = put.item.key()?;
            let next = |_: &State| Ok((Some(put.item.clone()), Item::default()));
            state.write_if((Operation::Put, &key), put.condition.as_ref(), put.returns, next)
        })
        .await
    }

    async fn update(&self, update: &Update) -> PortResult<Written> {
        self.write(Operation::Update, |state| {
            rules::check_update(update)?;
            let place = (Operation::Update, &update.key);
            let next = |state: &State| state.updated(update).map(|(item, changed)| (Some(item), changed));
            state.write_if(place, update.condition.as_ref(), update.returns, next)
        })
        .await
    }

    async fn delete(&self, delete: &Delete) -> PortResult<Written> {
        self.write(Operation::Delete, |state| {
            rules::check_key(&delete.key)?;
            rules::check_condition(delete.condition.as_ref())?;
            let place = (Operation::Delete, &delete.key);
            state.write_if(place, delete.condition.as_ref(), false, |_| Ok((None, Item::default())))
        })
        .await
    }

    async fn transact(&self, writes: &[Write]) -> PortResult<Transacted> {
        self.call(Operation::Transact, |state| {
            rules::check_writes(writes)?;
            if state.takes_conflict() {
                return Ok(Transacted::Canceled(vec![Reason::Conflict; writes.len()]));
            }
            state.transact(writes)
        })
        .await
    }

    async fn batch_get(&self, keys: &[Key]) -> PortResult<(Vec<Item>, Vec<Key>)> {
        self.call(Operation::BatchGet, |state| {
            rules::check_keys(keys.iter(), MAX_BATCH_GET_KEYS)?;
            let (now, later) = state.split(Access::Read, keys);
            let items: Vec<Item> = now.iter().filter_map(|key| state.storage.get(key).cloned()).collect();
            for key in now {
                let cost = half_units(storage::size_of(state.storage.get(key)), Consistency::Strong);
                state.bill(Billed::read(Operation::BatchGet, key.clone(), cost));
            }
            Ok((items, later))
        })
        .await
    }

    async fn batch_delete(&self, keys: &[Key]) -> PortResult<Vec<Key>> {
        self.call(Operation::BatchDelete, |state| {
            rules::check_keys(keys.iter(), MAX_BATCH_DELETE_KEYS)?;
            let (now, later) = state.split(Access::Write, keys);
            for key in now {
                state.write(Operation::BatchDelete, key, None);
            }
            Ok(later)
        })
        .await
    }
}

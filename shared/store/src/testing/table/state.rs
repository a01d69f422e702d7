//! What a table in memory holds, and what each call does to it.

use super::rules::check_item;
use super::storage::{self, Storage, refused};
use super::throttle::{Access, Place, Throttle};
use super::usage::{Billed, Operation, Usage};
use crate::item::{Item, Key};
use crate::reads::half_units;
use crate::table::condition::Condition;
use crate::table::query::{Page, Query, Select};
use crate::table::write::{Reason, Transacted, Update, Write, Written};
use crate::unavailable::{PortResult, Unavailable};

/// Something that happens right after a call.
pub(super) type Act = Box<dyn FnOnce() + Send>;

/// Everything that clones of a table share.
#[derive(Default)]
pub(super) struct State {
    pub(super) storage: Storage,
    pub(super) usage: Usage,
    /// What was billed since the journal began; `None` where there is no journal.
    pub(super) journal: Option<Vec<Billed>>,
    pub(super) after_query: Option<(String, Act)>,
    pub(super) repeat_next_write: bool,
    pub(super) unprocessed_batches: usize,
    pub(super) conflicts: usize,
    pub(super) shows_writes_at_once: bool,
    /// The units that partitions have left; `None` where they are not limited.
    pub(super) throttle: Option<Throttle>,
    /// Whether the call was refused because a partition has no units left.
    pub(super) is_throttled: bool,
}

/// What a write of a transaction will do.
enum Effect {
    Write(Key, Option<Item>),
    Check(Key),
}

impl State {
    /// Adds what a call costs to the usage, and to the journal, and takes it from the partitions.
    pub(super) fn bill(&mut self, billed: Billed) {
        self.usage.add(&billed);
        if let Some(throttle) = &mut self.throttle {
            throttle.take(&billed);
        }
        if let Some(journal) = &mut self.journal {
            journal.push(billed);
        }
    }

    pub(super) fn takes_conflict(&mut self) -> bool {
        let is_in_the_way = self.conflicts > 0;
        self.conflicts = self.conflicts.saturating_sub(1);
        is_in_the_way
    }

    /// Returns the item where the condition does not hold for it.
    fn refusal(&self, key: &Key, condition: Option<&Condition>) -> Option<Item> {
        let absent = Item::default();
        let found = self.storage.get(key).unwrap_or(&absent);
        condition.is_some_and(|condition| !condition.holds(found)).then(|| found.clone())
    }

    /// Refuses a read of a partition that has no units left.
    pub(super) fn admit_read(&mut self, place: Place<'_>) -> PortResult<()> {
        if self.admits(Access::Read, place) { Ok(()) } else { Err(self.throttled()) }
    }

    fn admits(&mut self, access: Access, place: Place<'_>) -> bool {
        self.throttle.as_mut().is_none_or(|throttle| throttle.admits(access, place))
    }

    /// Returns whether all partitions of a write have units left: that of the item, and those of its entries in the indexes.
    fn admits_write(&mut self, key: &Key, next: Option<&Item>) -> bool {
        let Some(throttle) = &mut self.throttle else { return true };
        let entries = storage::index_writes(self.storage.get(key), next);
        let of_entries = entries.iter().map(|entry| (Some(entry.index), entry.partition.as_str()));
        let mut places = std::iter::once((None, key.pk.as_str())).chain(of_entries);
        places.all(|place| throttle.admits(Access::Write, place))
    }

    fn throttled(&mut self) -> Unavailable {
        self.is_throttled = true;
        Unavailable::new("the memory table", "ThrottlingException: a partition has no units left")
    }

    /// Makes a single write if its condition holds; returns attributes only where the write asks for them. A refused write costs
    /// as much as the stored item, or as the one that it would have written if that is larger. `next` returns the item that it
    /// writes, and the attributes that it changes.
    pub(super) fn write_if(
        &mut self,
        (operation, key): (Operation, &Key),
        condition: Option<&Condition>,
        returns: bool,
        next: impl FnOnce(&Self) -> PortResult<(Option<Item>, Item)>,
    ) -> PortResult<Written> {
        let next = next(self);
        let written = next.as_ref().ok().and_then(|(item, _)| item.as_ref());
        if !self.admits_write(key, written) {
            return Err(self.throttled());
        }
        if let Some(found) = self.refusal(key, condition) {
            let bytes = storage::size_of(Some(&found)).max(storage::size_of(written));
            self.bill(Billed::write(operation, key.clone(), bytes, Vec::new()));
            return Ok(Written::Refused(if returns { found } else { Item::default() }));
        }
        let (item, changed) = next?;
        self.write(operation, key, item);
        Ok(Written::Done(if returns { changed } else { Item::default() }))
    }

    /// Puts an item, or deletes the one that is there. Counts the units: of the larger of both, and of each index entry that
    /// changes.
    pub(super) fn write(&mut self, operation: Operation, key: &Key, next: Option<Item>) {
        let before = self.storage.get(key);
        let bytes = storage::size_of(before).max(storage::size_of(next.as_ref()));
        let of_indexes = storage::index_writes(before, next.as_ref());
        self.bill(Billed::write(operation, key.clone(), bytes, of_indexes));
        match next {
            Some(item) => self.storage.put(item),
            None => self.storage.delete(key),
        }
    }

    /// Returns the item that an update makes, and the attributes that it changed.
    ///
    /// # Errors
    /// Where it adds to something that is no number, or the item breaks a rule.
    pub(super) fn updated(&self, update: &Update) -> PortResult<(Item, Item)> {
        let found = self.storage.get(&update.key).cloned();
        let mut item = found.unwrap_or_default().at(update.key.clone());
        let mut changed = Item::default();
        for (name, value) in &update.sets {
            item.insert(name.clone(), value.clone());
            changed.insert(name.clone(), value.clone());
        }
        for (name, number) in &update.adds {
            let sum = storage::integer(&item, name)?.checked_add(*number);
            let sum = sum.ok_or_else(|| refused("the sum is too large"))?;
            item.insert(name.clone(), sum);
            changed.insert(name.clone(), sum);
        }
        for name in &update.removes {
            item.remove(name);
        }
        check_item(&item)?;
        Ok((item, changed))
    }

    /// Makes all writes or none. Each is about another item, so that none sees what another one did.
    pub(super) fn transact(&mut self, writes: &[Write]) -> PortResult<Transacted> {
        let mut effects = Vec::with_capacity(writes.len());
        let mut reasons = Vec::with_capacity(writes.len());
        for write in writes {
            let effect = self.effect(write)?;
            reasons.push(effect.as_ref().err().copied().unwrap_or(Reason::None));
            effects.extend(effect);
        }
        if effects.len() < writes.len() {
            return Ok(Transacted::Canceled(reasons));
        }
        let admits = |effect: &Effect| match effect {
            Effect::Write(key, next) => self.admits_write(key, next.as_ref()),
            Effect::Check(key) => self.admits(Access::Write, (None, key.pk.as_str())),
        };
        if !effects.iter().all(admits) {
            return Ok(Transacted::Canceled(vec![Reason::Other; writes.len()])); // ThrottlingError
        }
        for effect in effects {
            match effect {
                Effect::Write(key, next) => self.write(Operation::Transact, &key, next),
                Effect::Check(key) => {
                    let bytes = storage::size_of(self.storage.get(&key));
                    self.bill(Billed::write(Operation::Transact, key, bytes, Vec::new())); // it writes nothing, but is billed as a write
                }
            }
        }
        Ok(Transacted::Done)
    }

    /// Returns what a write of a transaction will do, or why it cannot.
    fn effect(&self, write: &Write) -> PortResult<Result<Effect, Reason>> {
        let (key, condition) = match write {
            Write::Put(put) => (put.item.key()?, put.condition.as_ref()),
            Write::Update(update) => (update.key.clone(), update.condition.as_ref()),
            Write::Delete(delete) => (delete.key.clone(), delete.condition.as_ref()),
            Write::Check(key, condition) => (key.clone(), Some(condition)),
        };
        if self.refusal(&key, condition).is_some() {
            return Ok(Err(Reason::Condition));
        }
        Ok(match write {
            Write::Put(put) => Ok(Effect::Write(key, Some(put.item.clone()))),
            Write::Update(update) => match self.updated(update) {
                Ok((item, _)) => Ok(Effect::Write(key, Some(item))),
                Err(_) => Err(Reason::Other), // ValidationError
            },
            Write::Delete(_) => Ok(Effect::Write(key, None)),
            Write::Check(..) => Ok(Effect::Check(key)),
        })
    }

    pub(super) fn query(&mut self, query: &Query) -> PortResult<Page> {
        self.admit_read((query.index, query.partition.as_str()))?;
        let read = self.storage.read(query);
        let cost = half_units(read.bytes, query.consistency);
        let partition = Key::without_sort(query.partition.clone());
        self.bill(Billed { index: query.index, ..Billed::read(Operation::Query, partition, cost) });
        let mut page =
            Page { scanned: read.items.len(), next: read.next, half_units: cost, ..Page::default() };
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

    /// Splits the keys of a batch into those to process now, and those that are left: half of them where a test asks for it, and
    /// those whose partitions have no units left.
    pub(super) fn split<'a>(&mut self, access: Access, keys: &'a [Key]) -> (Vec<&'a Key>, Vec<Key>) {
        let half = if self.unprocessed_batches == 0 { keys.len() } else { keys.len() / 2 };
        self.unprocessed_batches = self.unprocessed_batches.saturating_sub(1);
        let (first, later) = keys.split_at(half);
        let (now, throttled): (Vec<&Key>, Vec<&Key>) = first.iter().partition(|key| match access {
            Access::Write => self.admits_write(key, None),
            Access::Read => self.admits(access, (None, key.pk.as_str())),
        });
        self.is_throttled = now.is_empty() && !throttled.is_empty();
        (now, throttled.into_iter().chain(later).cloned().collect())
    }
}

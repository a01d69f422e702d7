//! The items of a table in memory and their entries in the indexes, in the order of `DynamoDB`.

use std::collections::{BTreeMap, HashMap};

use crate::item::{Item, Key, Name, Value};
use crate::table::query::{Index, Query};
use crate::unavailable::{PortResult, Unavailable};

use super::usage::{IndexWrite, OVERHEAD_BYTES, Stored};

/// A page ends after this many bytes of items read.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

pub(super) const INDEXES: [Index; 2] = [Index::Pending, Index::Attempts];

/// A sort key in the order of an index.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Sort {
    Number(i128),
    Text(String),
}

/// The items of a partition of the table or of an index, in their order.
type Partition = BTreeMap<(Sort, Key), Item>;

/// Everything that the table holds.
#[derive(Default)]
pub(super) struct Storage {
    table: HashMap<String, Partition>,
    /// Each item as it was before its last write.
    before: HashMap<Key, Option<Item>>,
    indexes: HashMap<(Index, String), Partition>,
    /// Writes that the indexes do not show yet, while they lag.
    pending: Option<Vec<(Option<Item>, Option<Item>)>>,
}

/// What a query read.
pub(super) struct Read {
    pub(super) items: Vec<Item>,
    pub(super) bytes: usize,
    pub(super) next: Option<Item>,
}

impl Storage {
    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        let mut partitions: Vec<_> = self.table.iter().collect();
        partitions.sort_by_key(|(pk, _)| *pk);
        partitions.into_iter().flat_map(|(_, items)| items.values())
    }

    pub(super) fn partition(&self, pk: &str) -> impl Iterator<Item = &Item> {
        self.table.get(pk).into_iter().flat_map(BTreeMap::values)
    }

    pub(super) fn stored(&self) -> Stored {
        self.items().fold(Stored::default(), |sum, item| Stored {
            items: sum.items + 1,
            bytes: sum.bytes + stored_bytes(item) + stored_in_indexes(item),
        })
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Item> {
        self.table.get(&key.pk)?.get(&(Sort::Text(key.sk.clone()), key.clone()))
    }

    /// Returns an item as it was before its last write; one that was never written again since is absent.
    pub(super) fn before(&self, key: &Key) -> Option<&Item> {
        self.before.get(key)?.as_ref()
    }

    pub(super) fn put(&mut self, item: Item) {
        if let Ok(key) = item.key() {
            self.write(key, Some(item));
        }
    }

    pub(super) fn delete(&mut self, key: &Key) {
        self.write(key.clone(), None);
    }

    fn write(&mut self, key: Key, next: Option<Item>) {
        let partition = self.table.entry(key.pk.clone()).or_default();
        let place = (Sort::Text(key.sk.clone()), key.clone());
        let before = match &next {
            Some(item) => partition.insert(place, item.clone()),
            None => partition.remove(&place),
        };
        self.before.insert(key, before.clone());
        match &mut self.pending {
            Some(pending) => pending.push((before, next)),
            None => self.index(before.as_ref(), next.as_ref()),
        }
    }

    fn index(&mut self, before: Option<&Item>, next: Option<&Item>) {
        for index in INDEXES {
            if let Some((partition, place)) = before.and_then(|item| place_in(index, item))
                && let Some(entries) = self.indexes.get_mut(&(index, partition))
            {
                entries.remove(&place);
            }
            let Some(item) = next else { continue };
            if let Some((partition, place)) = place_in(index, item) {
                self.indexes.entry((index, partition)).or_default().insert(place, projected(index, item));
            }
        }
    }

    pub(super) fn lag(&mut self) {
        self.pending.get_or_insert_default();
    }

    pub(super) fn catch_up(&mut self) {
        for (before, next) in self.pending.take().unwrap_or_default() {
            self.index(before.as_ref(), next.as_ref());
        }
    }

    /// Reads one page of a query, without its filter.
    pub(super) fn read(&self, query: &Query) -> Read {
        let partition = match query.index {
            None => self.table.get(&query.partition),
            Some(index) => self.indexes.get(&(index, query.partition.clone())),
        };
        let start = query.start.as_ref().and_then(|start| {
            let sort = sort_of(start.get(query.sort_name()))?;
            Some((sort, start.key().ok()?))
        });
        let is_after = |place: &(Sort, Key)| match &start {
            None => true,
            Some(start) if query.backwards => place < start,
            Some(start) => place > start,
        };
        let mut read = Read { items: Vec::new(), bytes: 0, next: None };
        let Some(partition) = partition else { return read };
        let entries: Box<dyn Iterator<Item = (&(Sort, Key), &Item)>> =
            if query.backwards { Box::new(partition.iter().rev()) } else { Box::new(partition.iter()) };
        let in_range =
            |item: &Item| item.get(query.sort_name()).is_none_or(|sort| query.range.contains(sort));
        for (_, item) in entries.filter(|(place, item)| is_after(place) && in_range(item)) {
            read.bytes += size_of(Some(item));
            read.items.push(item.clone());
            if query.limit == Some(read.items.len()) || read.bytes > MAX_PAGE_BYTES {
                read.next = key_in(query, item);
                break;
            }
        }
        read
    }
}

/// Returns where an item lies in an index; `None` where it is not in it.
fn place_in(index: Index, item: &Item) -> Option<(String, (Sort, Key))> {
    let Some(Value::S(partition)) = item.get(index.partition()) else { return None };
    Some((partition.clone(), (sort_of(item.get(index.sort()))?, item.key().ok()?)))
}

fn sort_of(value: Option<&Value>) -> Option<Sort> {
    match value {
        Some(Value::S(text)) => Some(Sort::Text(text.clone())),
        Some(Value::N(number)) => Some(Sort::Number(*number)),
        _ => None,
    }
}

/// Returns an item's entry in an index.
fn projected(index: Index, item: &Item) -> Item {
    let Some(names) = index.projection() else { return item.clone() };
    let is_held =
        |name: &str| ["pk", "sk", index.partition(), index.sort()].contains(&name) || names.contains(&name);
    item.clone().into_iter().filter(|(name, _)| is_held(name)).collect()
}

/// Returns the key of an item in what a query reads: where its next page starts.
fn key_in(query: &Query, item: &Item) -> Option<Item> {
    let mut key = item.key().ok()?.into_item();
    for name in [query.partition_name(), query.sort_name()] {
        key.insert(name, item.get(name)?.clone());
    }
    Some(key)
}

/// Returns the number that an attribute holds; 0 where it is absent.
///
/// # Errors
/// Where it is something else.
pub(super) fn integer(item: &Item, name: &Name) -> PortResult<i128> {
    match item.get(name) {
        None => Ok(0),
        Some(Value::N(number)) => Ok(*number),
        Some(_) => Err(refused("only to a number can be added")),
    }
}

/// Returns an item's size as it is billed: names and values; 0 for none.
pub(super) fn size_of(item: Option<&Item>) -> usize {
    item.map_or(0, Item::size)
}

/// Returns what a write costs in the indexes: an entry that appears, changes or goes; one that moves counts twice.
pub(super) fn index_writes(before: Option<&Item>, next: Option<&Item>) -> Vec<IndexWrite> {
    let mut writes = Vec::new();
    for index in INDEXES {
        let entry = |item: Option<&Item>| {
            let item = item?;
            place_in(index, item).map(|place| (place, projected(index, item)))
        };
        let write = |((partition, _), item): &((String, (Sort, Key)), Item)| IndexWrite {
            index,
            partition: partition.clone(),
            units: super::usage::write_units(item.size()),
        };
        match (entry(before), entry(next)) {
            (old, new) if old == new => {}
            (Some(old), Some(new)) if old.0 == new.0 => {
                let units = write(&old).units.max(write(&new).units);
                writes.push(IndexWrite { units, ..write(&new) });
            }
            (old, new) => writes.extend(old.iter().chain(&new).map(write)),
        }
    }
    writes
}

/// Returns the bytes of an item's entries in the indexes as their storage is billed.
fn stored_in_indexes(item: &Item) -> u64 {
    let entries = INDEXES.into_iter().filter(|index| place_in(*index, item).is_some());
    entries.map(|index| stored_bytes(&projected(index, item))).sum()
}

fn stored_bytes(item: &Item) -> u64 {
    item.size() as u64 + OVERHEAD_BYTES
}

/// Returns the error of a call that `DynamoDB` refuses as invalid.
pub(super) fn refused(reason: &'static str) -> Unavailable {
    Unavailable::new("the memory table", reason)
}

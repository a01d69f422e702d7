//! The items of a table in memory and their entries in the indexes, in the order of `DynamoDB`.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use crate::item::{Item, Key, Name, Value};
use crate::table::query::{Index, Query, Range};
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

/// Where an item lies in its partition.
type Place = (Sort, Key);

/// The items of a partition of the table or of an index, in their order.
type Partition = BTreeMap<Place, Item>;

/// Everything that the table holds.
#[derive(Default)]
pub(super) struct Storage {
    table: HashMap<String, Partition>,
    /// Each item as it was before its last write.
    before: HashMap<Key, Option<Item>>,
    indexes: Indexes,
    /// Writes that the indexes do not show yet, while they lag.
    pending: Option<Vec<(Option<Item>, Option<Item>)>>,
}

/// The partitions of the indexes.
#[derive(Default)]
struct Indexes(HashMap<(Index, String), Partition>);

impl Indexes {
    /// Shows a write of an item.
    fn show(&mut self, before: Option<&Item>, next: Option<&Item>) {
        for index in INDEXES {
            if let Some((partition, place)) = before.and_then(|item| place_in(index, item))
                && let Some(entries) = self.0.get_mut(&(index, partition))
            {
                entries.remove(&place);
            }
            let Some(item) = next else { continue };
            if let Some((partition, place)) = place_in(index, item) {
                let entry = held(index, item).map(|(name, value)| (name.clone(), value.clone())).collect();
                self.0.entry((index, partition)).or_default().insert(place, entry);
            }
        }
    }
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
        let before = partition.remove(&place);
        match &mut self.pending {
            Some(pending) => pending.push((before.clone(), next.clone())),
            None => self.indexes.show(before.as_ref(), next.as_ref()),
        }
        if let Some(item) = next {
            partition.insert(place, item);
        }
        self.before.insert(key, before);
    }

    pub(super) fn lag(&mut self) {
        self.pending.get_or_insert_default();
    }

    pub(super) fn catch_up(&mut self) {
        for (before, next) in self.pending.take().unwrap_or_default() {
            self.indexes.show(before.as_ref(), next.as_ref());
        }
    }

    /// Reads one page of a query, without its filter.
    pub(super) fn read(&self, query: &Query) -> Read {
        let partition = match query.index {
            None => self.table.get(&query.partition),
            Some(index) => self.indexes.0.get(&(index, query.partition.clone())),
        };
        let start = query.start.as_ref().and_then(|start| {
            let sort = sort_of(start.get(query.sort_name()))?;
            Some((sort, start.key().ok()?))
        });
        let mut read = Read { items: Vec::new(), bytes: 0, next: None };
        let Some(partition) = partition else { return read };
        let entries = partition.range(bounds(query, start));
        let entries: Box<dyn Iterator<Item = (&Place, &Item)>> =
            if query.backwards { Box::new(entries.rev()) } else { Box::new(entries) };
        let in_range =
            |item: &Item| item.get(query.sort_name()).is_none_or(|sort| query.range.contains(sort));
        for (_, item) in entries.filter(|(_, item)| in_range(item)) {
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

/// Returns the ends between which a query finds its items: those of its range, and the key after which it starts. Keys between
/// them may be outside the range.
fn bounds(query: &Query, start: Option<Place>) -> (Bound<Place>, Bound<Place>) {
    let first_of = |sort: String| Bound::Included((Sort::Text(sort), Key::new("", "")));
    let before = |sort: String| Bound::Excluded((Sort::Text(sort), Key::new("", "")));
    let next = |sort: &str| format!("{sort}\0");
    let (from, to) = match &query.range {
        Range::All => (Bound::Unbounded, Bound::Unbounded),
        Range::Prefix(prefix) => {
            (first_of(prefix.clone()), after_prefix(prefix).map_or(Bound::Unbounded, before))
        }
        Range::Between(from, to) => (first_of(from.clone()), before(next(to))),
        Range::Before(end) => (Bound::Unbounded, before(end.clone())),
        Range::After(begin) => (first_of(next(begin)), Bound::Unbounded),
    };
    match start {
        None => (from, to),
        Some(start) if query.backwards => (from, Bound::Excluded(start)),
        Some(start) => (Bound::Excluded(start), to),
    }
}

/// Returns the least text that is greater than every text with this prefix; `None` if there is none.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut prefix = prefix.to_owned();
    while let Some(last) = prefix.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            prefix.push(next);
            return Some(prefix);
        }
    }
    None
}

/// Returns where an item lies in an index; `None` where it is not in it.
fn place_in(index: Index, item: &Item) -> Option<(String, Place)> {
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

/// Returns whether an item has an entry in an index.
fn is_in(index: Index, item: &Item) -> bool {
    let has_sort = matches!(item.get(index.sort()), Some(Value::S(_) | Value::N(_)));
    matches!(item.get(index.partition()), Some(Value::S(_))) && has_sort && item.text("pk").is_ok()
}

/// Returns the attributes of an item that its entry in an index holds.
fn held(index: Index, item: &Item) -> impl Iterator<Item = (&Name, &Value)> {
    let keys = ["pk", "sk", index.partition(), index.sort()];
    let names = index.projection();
    item.attributes().filter(move |(name, _)| {
        names.is_none_or(|names| keys.contains(&name.as_ref()) || names.contains(&name.as_ref()))
    })
}

/// Returns the size of an item's entry in an index.
fn held_bytes(index: Index, item: &Item) -> usize {
    held(index, item).map(|(name, value)| name.len() + value.size()).sum()
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
        let write = |item: &Item| IndexWrite {
            index,
            partition: item.text(index.partition()).unwrap_or_default().to_owned(),
            units: super::usage::write_units(held_bytes(index, item)),
        };
        let old = before.filter(|item| is_in(index, item));
        let new = next.filter(|item| is_in(index, item));
        match (old, new) {
            (Some(old), Some(new)) if held(index, old).eq(held(index, new)) => {}
            (Some(old), Some(new)) if has_same_place(index, old, new) => {
                let units = write(old).units.max(write(new).units);
                writes.push(IndexWrite { units, ..write(new) });
            }
            (old, new) => writes.extend(old.into_iter().chain(new).map(write)),
        }
    }
    writes
}

fn has_same_place(index: Index, old: &Item, new: &Item) -> bool {
    ["pk", "sk", index.partition(), index.sort()].into_iter().all(|name| old.get(name) == new.get(name))
}

/// Returns the bytes of an item's entries in the indexes as their storage is billed.
fn stored_in_indexes(item: &Item) -> u64 {
    let entries = INDEXES.into_iter().filter(|index| is_in(*index, item));
    entries.map(|index| held_bytes(index, item) as u64 + OVERHEAD_BYTES).sum()
}

fn stored_bytes(item: &Item) -> u64 {
    item.size() as u64 + OVERHEAD_BYTES
}

/// Returns the error of a call that `DynamoDB` refuses as invalid.
pub(super) fn refused(reason: &'static str) -> Unavailable {
    Unavailable::new("the memory table", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SORTS: [&str; 10] =
        ["a", "a\0", "a#1", "a#2", "a\u{d7ff}", "a\u{10ffff}", "a\u{10ffff}z", "b", "ba", "\u{10ffff}"];

    #[test]
    fn a_query_reads_the_items_of_its_range_after_its_start_in_both_directions() {
        let mut storage = Storage::default();
        for sort in SORTS {
            storage.put(Key::new("p", sort).into_item());
        }
        let one = |range: fn(String) -> Range| SORTS.map(|sort| range(sort.to_owned()));
        let between =
            SORTS.iter().flat_map(|from| SORTS.map(|to| Range::Between((*from).to_owned(), to.to_owned())));
        let ranges = [Range::All]
            .into_iter()
            .chain(one(Range::Prefix))
            .chain(one(Range::Before))
            .chain(one(Range::After));
        for range in
            ranges.chain(between.filter(|range| !matches!(range, Range::Between(from, to) if from > to)))
        {
            for backwards in [false, true] {
                let query = Query { backwards, ..Query::consistent("p").range(range.clone()) };
                let mut expected: Vec<&str> =
                    SORTS.into_iter().filter(|sort| range.contains(&Value::from(*sort))).collect();
                expected.sort_unstable();
                if backwards {
                    expected.reverse();
                }
                for skipped in 0..=expected.len() {
                    let start = skipped.checked_sub(1).map(|last| Key::new("p", expected[last]).into_item());
                    let read = storage.read(&query.clone().from(start));
                    let sorts: Vec<&str> = read.items.iter().map(|item| item.text("sk").unwrap()).collect();
                    assert_eq!(sorts, expected[skipped..], "{range:?}, backwards: {backwards}");
                }
            }
        }
    }
}

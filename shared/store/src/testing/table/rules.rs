//! What `DynamoDB` refuses before it looks at an item (`ValidationException`): a fault of the caller, which no retry mends.

use crate::item::{Item, Key, Value};
use crate::table::Consistency;
use crate::table::condition::{Comparison, Condition};
use crate::table::query::{Index, Query, Range};
use crate::table::write::{Update, Write};
use crate::unavailable::PortResult;

use super::storage::{INDEXES, refused, size_of};

/// The largest item, in bytes.
const MAX_ITEM_BYTES: usize = 400 * 1024;

/// The longest partition key, in bytes.
const MAX_PARTITION_BYTES: usize = 2048;

/// The longest sort key, in bytes.
const MAX_SORT_BYTES: usize = 1024;

/// The most writes of a transaction.
const MAX_WRITES: usize = 100;

fn ensure(holds: bool, reason: &'static str) -> PortResult<()> {
    if holds { Ok(()) } else { Err(refused(reason)) }
}

pub(super) fn check_key(key: &Key) -> PortResult<()> {
    let bytes = key.pk.len();
    ensure(bytes > 0 && bytes <= MAX_PARTITION_BYTES, "a partition key has 1 to 2048 bytes")?;
    ensure(key.sk.len() <= MAX_SORT_BYTES, "a sort key has at most 1024 bytes")
}

/// Checks the keys of a batch or a transaction, which are about different items.
pub(super) fn check_keys<'a>(keys: impl Iterator<Item = &'a Key>, most: usize) -> PortResult<()> {
    let mut keys: Vec<&Key> = keys.collect();
    ensure(!keys.is_empty() && keys.len() <= most, "there are no keys, or too many")?;
    keys.iter().try_for_each(|key| check_key(key))?;
    keys.sort();
    ensure(keys.array_windows().all(|[first, second]| first != second), "a key is there twice")
}

/// Checks a whole item: its size, its key, and its keys in the indexes.
pub(super) fn check_item(item: &Item) -> PortResult<()> {
    check_key(&item.key()?)?;
    ensure(size_of(Some(item)) <= MAX_ITEM_BYTES, "the item is larger than 400 KB")?;
    INDEXES.into_iter().try_for_each(|index| check_index_keys(index, item))
}

fn check_index_keys(index: Index, item: &Item) -> PortResult<()> {
    let is_text = |value: &Value| matches!(value, Value::S(text) if !text.is_empty());
    let partition = item.get(index.partition()).is_none_or(is_text);
    ensure(partition, "the partition key of an index is a text that is not empty")?;
    let sort = item.get(index.sort()).is_none_or(|value| match index {
        Index::Pending => is_text(value),
        Index::Attempts => matches!(value, Value::N(_)),
    });
    ensure(sort, "the sort key of an index has the wrong type")
}

/// Checks which attributes an update changes: each once, and never the key.
pub(super) fn check_update(update: &Update) -> PortResult<()> {
    check_key(&update.key)?;
    let set = update.sets.iter().map(|(name, _)| name);
    let added = update.adds.iter().map(|(name, _)| name);
    let mut names: Vec<&str> = set.chain(added).chain(&update.removes).map(AsRef::as_ref).collect();
    ensure(!names.iter().any(|name| ["pk", "sk"].contains(name)), "an update does not change the key")?;
    names.sort_unstable();
    ensure(
        names.array_windows().all(|[first, second]| first != second),
        "an update names an attribute twice",
    )?;
    check_condition(update.condition.as_ref())
}

/// Checks the writes of a transaction, each by itself and all together. The type of an index key is what `DynamoDB` would
/// give as the reason of a cancellation.
pub(super) fn check_writes(writes: &[Write]) -> PortResult<()> {
    let mut keys = Vec::with_capacity(writes.len());
    for write in writes {
        keys.push(match write {
            Write::Put(put) => {
                check_item(&put.item)?;
                check_condition(put.condition.as_ref())?;
                put.item.key()?
            }
            Write::Update(update) => {
                check_update(update)?;
                let changes = update.sets.len() + update.adds.len() + update.removes.len();
                ensure(changes > 0, "an update of a transaction changes something")?;
                update.key.clone()
            }
            Write::Delete(delete) => {
                check_condition(delete.condition.as_ref())?;
                delete.key.clone()
            }
            Write::Check(key, condition) => {
                check_condition(Some(condition))?;
                key.clone()
            }
        });
    }
    check_keys(keys.iter(), MAX_WRITES)
}

pub(super) fn check_condition(condition: Option<&Condition>) -> PortResult<()> {
    condition.map_or(Ok(()), |condition| check(condition, &|_| Ok(())))
}

/// Checks each comparison of a condition, and each name in it.
fn check(condition: &Condition, check_name: &impl Fn(&str) -> PortResult<()>) -> PortResult<()> {
    match condition {
        Condition::Exists(name) | Condition::Absent(name) | Condition::IsIn(name, _) => check_name(name),
        Condition::Compare(name, comparison, value) => {
            let has_order = matches!(value, Value::S(_) | Value::N(_) | Value::B(_));
            let is_equality = matches!(comparison, Comparison::Equal | Comparison::Differs);
            ensure(has_order || is_equality, "only texts, numbers and bytes are less or greater")?;
            check_name(name)
        }
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().try_for_each(|part| check(part, check_name))
        }
    }
}

pub(super) fn check_query(query: &Query) -> PortResult<()> {
    let is_consistent = query.consistency == Consistency::Strong;
    ensure(query.index.is_none() || !is_consistent, "an index has no consistent reads")?;
    ensure(query.limit != Some(0), "a page has at least one item")?;
    ensure(!query.partition.is_empty(), "a partition key is not empty")?;
    check_range(query)?;
    if let Some(filter) = &query.filter {
        check(filter, &|name| check_filter_name(query, name))?;
    }
    query.start.as_ref().map_or(Ok(()), |start| check_start(query, start))
}

fn check_range(query: &Query) -> PortResult<()> {
    let has_text = query.index != Some(Index::Attempts);
    ensure(has_text || query.range == Range::All, "this sort key is a number")?;
    match &query.range {
        Range::All => Ok(()),
        Range::Prefix(end) | Range::Before(end) | Range::After(end) => {
            ensure(!end.is_empty(), "an end of a range is not empty")
        }
        Range::Between(from, to) => {
            ensure(!from.is_empty() && from <= to, "a range ends where it begins, or later")
        }
    }
}

/// Checks a name in a filter. A filter by an attribute that the index does not hold would be valid, but a fault: it sees the
/// attribute of no item.
fn check_filter_name(query: &Query, name: &str) -> PortResult<()> {
    let is_key = [query.partition_name(), query.sort_name()].contains(&name);
    ensure(!is_key, "a filter does not name a key; a range does")?;
    let held = query.index.and_then(Index::projection);
    let is_held = held.is_none_or(|names| names.contains(&name) || ["pk", "sk"].contains(&name));
    ensure(is_held, "the index does not hold the attribute of the filter")
}

/// Checks where a page starts: at a whole key, within the partition and the range.
fn check_start(query: &Query, start: &Item) -> PortResult<()> {
    let is_text = |name: &str| matches!(start.get(name), Some(Value::S(_)));
    let is_number = |name: &str| matches!(start.get(name), Some(Value::N(_)));
    let sort = query.sort_name();
    let has_sort = if query.index == Some(Index::Attempts) { is_number(sort) } else { is_text(sort) };
    ensure(is_text("pk") && is_text("sk") && has_sort, "the place to start at is no key")?;
    let is_here = start.text(query.partition_name()).is_ok_and(|partition| partition == query.partition);
    let is_in_range = start.get(sort).is_some_and(|sort| query.range.contains(sort));
    ensure(is_here && is_in_range, "the place to start at is outside the range")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::condition::{equals, exists};

    #[test]
    fn a_filter_names_no_key_and_nothing_that_the_index_does_not_hold() {
        let is_valid = |query: Query, name: &'static str| check_query(&query.filter(exists(name))).is_ok();
        let of = |index| Query::of_index(index, "p");
        assert!(!is_valid(Query::consistent("p"), "pk") && !is_valid(Query::consistent("p"), "sk"));
        assert!(is_valid(Query::consistent("p"), "pending_pk") && is_valid(Query::consistent("p"), "rev"));
        assert!(!is_valid(of(Index::Pending), "pending_pk") && !is_valid(of(Index::Pending), "sk"));
        assert!(is_valid(of(Index::Pending), "status") && !is_valid(of(Index::Pending), "rev"));
        assert!(!is_valid(of(Index::Attempts), "attempted_at") && is_valid(of(Index::Attempts), "rev"));
        let nested = exists("status").or(exists("ttl").and(equals("rev", 1_u8)));
        assert!(check_query(&of(Index::Pending).filter(nested)).is_err());
    }

    #[test]
    fn an_update_names_no_key_and_no_attribute_twice() {
        let update = || Update::new(Key::new("p", "s")).set("a", 1_u8).add("b", 1).remove("c");
        assert!(check_update(&update()).is_ok());
        assert!(
            check_update(&update().set("pk", "q")).is_err() && check_update(&update().remove("sk")).is_err()
        );
        for name in ["a", "b", "c"] {
            assert!(check_update(&update().set(name, 2_u8)).is_err(), "{name}");
            assert!(check_update(&update().add(name, 2)).is_err(), "{name}");
            assert!(check_update(&update().remove(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn only_what_has_an_order_is_less_or_greater() {
        let compare = |comparison, value| {
            check_condition(Some(&Condition::Compare("a".into(), comparison, value))).is_ok()
        };
        assert!(compare(Comparison::Less, 1_u8.into()) && compare(Comparison::Greater, vec![1].into()));
        assert!(!compare(Comparison::AtMost, true.into()) && compare(Comparison::Differs, true.into()));
    }

    #[test]
    fn a_key_is_not_longer_than_the_table_takes() {
        let is_valid = |pk: usize, sk: usize| check_key(&Key::new("p".repeat(pk), "s".repeat(sk))).is_ok();
        assert!(is_valid(2048, 1024) && is_valid(1, 0));
        assert!(!is_valid(2049, 1) && !is_valid(1, 1025) && !is_valid(0, 1));
    }
}

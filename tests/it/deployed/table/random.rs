//! Random operations on a small key space, so that they meet: two partitions of six items, with entries in both indexes.
//! Most are valid; the few that are not break each rule of `DynamoDB` that we could break.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::item::{Item, Key, Name, Value};
use store::table::Consistency;
use store::table::condition::{Comparison, Condition};
use store::table::query::{Index, Query, Range, Select};
use store::table::write::{Delete, Put, Update, Write};

use super::operation::Operation;

/// Sort keys whose order as UTF-8 is not that as UTF-16, and of which some begin like others.
const SORTS: [&str; 6] = ["a", "a#1", "a#2", "b", "\u{ff5e}", "\u{1f600}"];

/// Ends of ranges that are no sort keys.
const ENDS: [&str; 3] = ["a#", "aa", "z"];

/// The attributes beside the key. The first ones are in the index `pending`.
const NAMES: [&str; 13] = [
    "type",
    "status",
    "lease_until",
    "ttl",
    "rev",
    "total",
    "payload",
    "deliveries",
    "tags",
    "is_paused",
    "pending_pk",
    "attempts_pk",
    "attempted_at",
];

/// The attributes that may be added to.
const NUMBERS: [&str; 3] = ["lease_until", "rev", "attempted_at"];

/// A `ttl` that has not passed while the tests run: the emulator deletes what has expired.
const FAR: i128 = 4_000_000_000;

/// The largest number that `DynamoDB` takes without loss: 38 digits.
const MOST: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;

/// Makes operations. Two of different seeds do not meet.
pub(crate) struct Random {
    rng: StdRng,
    prefix: String,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let prefix = format!("table#{seed}#{:08x}#", rand::rng().random::<u32>());
        Self { rng: StdRng::seed_from_u64(seed), prefix }
    }

    pub(crate) fn operation(&mut self) -> Operation {
        match self.rng.random_range(0..20) {
            0 | 1 => Operation::Get(self.key()),
            2..=6 => Operation::Query(self.query()),
            7..=10 => Operation::Put(self.put(true)),
            11..=14 => Operation::Update(self.update(true)),
            15 => Operation::Delete(self.delete()),
            16 | 17 => Operation::Transact(self.writes()),
            18 => Operation::BatchGet(self.keys(8)),
            _ => Operation::BatchDelete(self.keys(2)),
        }
    }

    fn query(&mut self) -> Query {
        let index = self.one_of(&[None, None, Some(Index::Pending), Some(Index::Attempts)]);
        let partition = match index {
            None => self.partition(),
            Some(index) => self.index_partition(index),
        };
        let mut query = match index {
            None => Query::consistent(partition),
            Some(index) => Query::of_index(index, partition),
        };
        if self.one_in(3) || self.one_in(60) {
            query.consistency = Consistency::Eventual;
        }
        if index.is_some() && self.one_in(60) {
            query.consistency = Consistency::Strong; // refused
        }
        let has_text_sort = index != Some(Index::Attempts);
        if has_text_sort && !self.one_in(3) || self.one_in(60) {
            query.range = self.range();
        }
        if self.one_in(2) {
            let names = filterable(index);
            query.filter = Some(self.condition(&names, 2));
        }
        query.backwards = self.one_in(2);
        query.limit = match self.rng.random_range(0..60) {
            0 => Some(0), // refused
            1 => Some(usize::MAX),
            2..=20 => None,
            _ => Some(self.rng.random_range(1..=4)),
        };
        query.select = self.one_of(&[Select::Items, Select::Items, Select::Keys, Select::Count]);
        if self.one_in(5) {
            query.start = Some(self.start(&query));
        }
        query
    }

    /// Returns a place to start at, which need not be an item's. One outside the range is refused, and one that lacks a part.
    fn start(&mut self, query: &Query) -> Item {
        let mut start = self.key().into_item();
        if query.index.is_none() && !self.one_in(20) {
            start.insert("pk", query.partition.clone());
        }
        if let Some(index) = query.index {
            start.insert(index.partition(), query.partition.clone());
        }
        if query.index == Some(Index::Attempts) {
            start.insert("attempted_at", self.rng.random_range(0..4_u8));
        }
        if self.one_in(20) {
            let name = self.one_of(&["sk", query.partition_name(), query.sort_name()]);
            start.remove(name);
        }
        start
    }

    fn range(&mut self) -> Range {
        match self.rng.random_range(0..9) {
            0 => Range::All,
            1 | 2 => Range::Prefix(self.end()),
            3 | 4 => Range::Before(self.end()),
            5 | 6 => Range::After(self.end()),
            _ => {
                let (mut from, mut to) = (self.end(), self.end());
                if from > to && !self.one_in(10) {
                    std::mem::swap(&mut from, &mut to);
                }
                Range::Between(from, to)
            }
        }
    }

    fn end(&mut self) -> String {
        let end = if self.one_in(3) { self.one_of(&ENDS) } else { self.one_of(&SORTS) };
        if self.one_in(60) { String::new() } else { end.to_owned() } // an empty one is refused
    }

    fn put(&mut self, may_be_invalid: bool) -> Put {
        let mut item = self.key().into_item();
        for name in NAMES {
            if self.one_in(2) {
                item.insert(name, self.value(name, may_be_invalid));
            }
        }
        Put { item, condition: self.condition_of_write(), returns: self.one_in(2) }
    }

    fn update(&mut self, may_be_invalid: bool) -> Update {
        let mut update = Update::new(self.key());
        for name in NAMES {
            match self.rng.random_range(0..16) {
                0..=2 => update = update.set(name, self.value(name, may_be_invalid)),
                3 => update = update.remove(name),
                4 | 5 if NUMBERS.contains(&name) => {
                    update = update.add(name, self.rng.random_range(-2..3_i64));
                }
                _ => {}
            }
        }
        if may_be_invalid && self.one_in(30) {
            return self.invalid(update);
        }
        if self.one_in(40) && !update.sets.iter().any(|(name, _)| name == "type") {
            update.removes.retain(|name| name != "type");
            update = update.add("type", 1); // refused where it is a text
        }
        update.condition = self.condition_of_write();
        update.returns = self.one_in(2);
        update
    }

    /// Breaks a rule that needs no look at the item. There is no condition: the emulator looks at that first.
    fn invalid(&mut self, update: Update) -> Update {
        match self.rng.random_range(0..3) {
            0 => update.set("sk", "a"),
            1 => update.remove("pk"),
            _ => {
                let sets = update.sets.into_iter().filter(|(name, _)| name != "pending_pk").collect();
                let removes = update.removes.into_iter().filter(|name| name != "pending_pk").collect();
                Update { sets, removes, ..update }.add("pending_pk", 1)
            }
        }
    }

    fn delete(&mut self) -> Delete {
        Delete { key: self.key(), condition: self.condition_of_write() }
    }

    /// Returns the writes of a transaction. Index keys in them are valid: of a type that is wrong the emulator, as `DynamoDB`,
    /// says so as the reason of a cancellation, memory by refusing the call; `Items` makes the same of both.
    fn writes(&mut self) -> Vec<Write> {
        let keys = self.keys(4);
        let write = |key: Key| match self.rng.random_range(0..8) {
            0..=2 => {
                let put = self.put(false);
                Write::Put(Put { item: put.item.at(key), ..put })
            }
            3..=5 => Write::Update(Update { key, ..self.update(false) }),
            6 => Write::Delete(Delete { key, ..self.delete() }),
            _ => Write::Check(key, self.condition(&["pk", "rev", "status", "type"], 1)),
        };
        keys.into_iter().map(write).collect()
    }

    /// Returns different keys; seldom none, or the same one twice, both of which are refused.
    fn keys(&mut self, most: usize) -> Vec<Key> {
        let wanted = self.rng.random_range(1..=most);
        let mut keys: Vec<Key> = Vec::new();
        while keys.len() < wanted {
            let key = self.key();
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        match self.rng.random_range(0..60) {
            0 => keys.clear(),
            1 => keys.push(keys[0].clone()),
            _ => {}
        }
        keys
    }

    fn condition_of_write(&mut self) -> Option<Condition> {
        let names: Vec<&str> = ["pk", "sk", "none"].into_iter().chain(NAMES).collect();
        match self.rng.random_range(0..8) {
            0..=3 => None,
            4 => Some(store::table::condition::absent("pk")),
            5 => Some(store::table::condition::exists("pk")),
            _ => Some(self.condition(&names, 2)),
        }
    }

    fn condition(&mut self, names: &[&'static str], depth: u32) -> Condition {
        let name = Name::Borrowed(self.one_of(names));
        match self.rng.random_range(0..if depth > 0 { 13 } else { 9 }) {
            0 => Condition::Exists(name),
            1 => Condition::Absent(name),
            2 => {
                let values = (0..self.rng.random_range(0..4)).map(|_| self.value(&name, false)).collect();
                Condition::IsIn(name, values)
            }
            3..=8 => {
                let other = self.one_of(names);
                let of = if self.one_in(8) { other } else { name.as_ref() }; // of another type, perhaps
                let value = self.value(of, false);
                Condition::Compare(name, self.comparison(&value), value)
            }
            kind => {
                let parts = self.rng.random_range(0..4);
                let parts = (0..parts).map(|_| self.condition(names, depth - 1)).collect();
                if kind < 11 { Condition::All(parts) } else { Condition::Any(parts) }
            }
        }
    }

    /// Returns how an attribute compares with a value: what has no order is equal or not.
    fn comparison(&mut self, value: &Value) -> Comparison {
        let equality = [Comparison::Equal, Comparison::Differs];
        let order = [Comparison::Less, Comparison::AtMost, Comparison::Greater];
        match value {
            Value::S(_) | Value::N(_) | Value::B(_) => self.one_of(&[&equality[..], &order].concat()),
            Value::Bool(_) | Value::L(_) | Value::M(_) => self.one_of(&equality),
        }
    }

    fn value(&mut self, name: &str, may_be_invalid: bool) -> Value {
        if may_be_invalid && ["pending_pk", "attempts_pk", "attempted_at"].contains(&name) && self.one_in(60)
        {
            return self.one_of(&[Value::S(String::new()), true.into(), vec![1].into()]);
        }
        let small = self.rng.random_range(0..4_u8);
        match name {
            "pk" => self.partition().into(),
            "sk" => self.one_of(&SORTS).into(),
            "status" | "type" => self.one_of(&["", "a", "ab", "b"]).into(),
            "ttl" => (FAR + i128::from(small)).into(),
            "total" => self.one_of(&[-MOST, -1, 0, MOST - 1, MOST]).into(),
            "rev" if self.one_in(20) => "none".into(),
            "payload" => self.one_of(&[&[][..], &[0], &[0, 255], &[1]]).to_vec().into(),
            "deliveries" => {
                let delivery = Item::from([("attempts", small.into()), ("is_done", self.one_in(2).into())]);
                Item::from([("endpoint_1", delivery.into()), ("endpoint_2", Item::default().into())]).into()
            }
            "tags" => Value::L((0..small).map(|n| if n == 1 { "a".into() } else { n.into() }).collect()),
            "is_paused" => self.one_in(2).into(),
            "pending_pk" => self.index_partition(Index::Pending).into(),
            "attempts_pk" => self.index_partition(Index::Attempts).into(),
            _ => small.into(),
        }
    }

    fn key(&mut self) -> Key {
        Key::new(self.partition(), self.one_of(&SORTS))
    }

    fn partition(&mut self) -> String {
        format!("{}{}", self.prefix, self.rng.random_range(0..2))
    }

    fn index_partition(&mut self, index: Index) -> String {
        format!("{}{}{}", self.prefix, index.name(), self.rng.random_range(0..2))
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.rng.random_range(0..all.len())].clone()
    }

    fn one_in(&mut self, number: u32) -> bool {
        self.rng.random_ratio(1, number)
    }
}

/// Returns the attributes that a filter may name: no key of what is read, and none that the index does not hold.
fn filterable(index: Option<Index>) -> Vec<&'static str> {
    let names = match index.and_then(Index::projection) {
        Some(held) => held.to_vec(),
        None => [&NAMES[..], &["none"]].concat(),
    };
    let is_key = |name: &str| index.is_some_and(|index| [index.partition(), index.sort()].contains(&name));
    names.into_iter().filter(|name| !is_key(name)).collect()
}

//! Reading a partition: a range of sort keys, page by page.

use super::Consistency;
use super::condition::Condition;
use crate::item::{Item, Value};

/// A secondary index of the table `Events`. It is sparse: an item without its partition attribute is not in it. Its reads are
/// always eventually consistent.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Index {
    /// The undelivered events of a tenant's shard, by event id.
    Pending,
    /// The attempts at an endpoint, by time.
    Attempts,
}

/// The sort keys that a query reads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Range {
    /// Every one.
    All,
    /// Those that begin like this.
    Prefix(String),
    /// From the first to the second, both included.
    Between(String, String),
    /// Those less than this.
    Before(String),
    /// Those greater than this.
    After(String),
}

/// What a query returns of each item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Select {
    /// Every attribute of the item, or of its entry in the index.
    Items,
    /// The primary key alone. It costs as much as every attribute.
    Keys,
    /// Nothing but the number of items. It costs as much as every attribute.
    Count,
}

/// A question for one page of a partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The index to read; the table itself where there is none.
    pub index: Option<Index>,
    /// The partition.
    pub partition: String,
    /// The sort keys.
    pub range: Range,
    /// Which of the items read are returned.
    pub filter: Option<Condition>,
    /// Whether the greatest sort key comes first.
    pub backwards: bool,
    /// How many items the page reads at most, before the filter.
    pub limit: Option<usize>,
    /// Where the page before ended: [`Page::next`].
    pub start: Option<Item>,
    /// How fresh the read is.
    pub consistency: Consistency,
    /// What is returned of each item.
    pub select: Select,
}

/// One page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The items that the filter lets through; none for [`Select::Count`].
    pub items: Vec<Item>,
    /// How many items the filter lets through.
    pub count: usize,
    /// How many items were read.
    pub scanned: usize,
    /// Where the next page goes on; `None` where the range has been read to its end.
    pub next: Option<Item>,
}

impl Index {
    /// The index' name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Attempts => "attempts",
        }
    }

    /// The attribute that is its partition key.
    #[must_use]
    pub const fn partition(self) -> &'static str {
        match self {
            Self::Pending => "pending_pk",
            Self::Attempts => "attempts_pk",
        }
    }

    /// The attribute that is its sort key.
    #[must_use]
    pub const fn sort(self) -> &'static str {
        match self {
            Self::Pending => "sk",
            Self::Attempts => "attempted_at",
        }
    }

    /// The further attributes that it holds; `None` where it holds every one.
    #[must_use]
    pub const fn projection(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Pending => Some(&["type", "status", "lease_until", "ttl"]),
            Self::Attempts => None,
        }
    }
}

impl Query {
    /// Asks for every item of a partition, read consistently.
    pub fn consistent(partition: impl Into<String>) -> Self {
        Self {
            index: None,
            partition: partition.into(),
            range: Range::All,
            filter: None,
            backwards: false,
            limit: None,
            start: None,
            consistency: Consistency::Strong,
            select: Select::Items,
        }
    }

    /// Asks for every item of a partition; the latest writes may be missing.
    pub fn eventual(partition: impl Into<String>) -> Self {
        Self { consistency: Consistency::Eventual, ..Self::consistent(partition) }
    }

    /// Asks for every item of a partition of an index.
    pub fn of_index(index: Index, partition: impl Into<String>) -> Self {
        Self { index: Some(index), ..Self::eventual(partition) }
    }

    /// Limits the query to these sort keys.
    #[must_use]
    pub fn range(self, range: Range) -> Self {
        Self { range, ..self }
    }

    /// Returns only items for which this holds.
    #[must_use]
    pub fn filter(self, filter: Condition) -> Self {
        Self { filter: Some(filter), ..self }
    }

    /// Reads this many items at most, before the filter.
    #[must_use]
    pub fn limit(self, items: usize) -> Self {
        Self { limit: Some(items), ..self }
    }

    /// Returns the greatest sort key first.
    #[must_use]
    pub fn backwards(self) -> Self {
        Self { backwards: true, ..self }
    }

    /// Goes on where a page ended.
    #[must_use]
    pub fn from(self, start: Option<Item>) -> Self {
        Self { start, ..self }
    }

    /// Returns the keys alone.
    #[must_use]
    pub fn keys(self) -> Self {
        Self { select: Select::Keys, ..self }
    }

    /// Returns the number of items alone.
    #[must_use]
    pub fn count(self) -> Self {
        Self { select: Select::Count, ..self }
    }

    /// The attribute that is the partition key of what is read.
    #[must_use]
    pub fn partition_name(&self) -> &'static str {
        self.index.map_or("pk", Index::partition)
    }

    /// The attribute that is the sort key of what is read.
    #[must_use]
    pub fn sort_name(&self) -> &'static str {
        self.index.map_or("sk", Index::sort)
    }
}

impl Range {
    /// Returns whether a sort key lies in the range. A number, as in [`Index::Attempts`], lies only in [`Range::All`].
    #[must_use]
    pub fn contains(&self, sort: &Value) -> bool {
        let Value::S(sort) = sort else { return *self == Self::All };
        match self {
            Self::All => true,
            Self::Prefix(prefix) => sort.starts_with(prefix.as_str()),
            Self::Between(from, to) => from <= sort && sort <= to,
            Self::Before(end) => sort < end,
            Self::After(begin) => sort > begin,
        }
    }
}

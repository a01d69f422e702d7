//! Queries of a partition: a range of sort keys, read in pages.

use super::Consistency;
use super::condition::Condition;
use crate::item::{Item, Value};

/// A secondary index of the table `Events`. It is sparse: it holds only items with its partition attribute. Its
/// reads are always eventually consistent.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Index {
    /// The events in the inbox of a tenant's shard, by event id.
    Pending,
    /// The attempts at an endpoint, by time.
    Attempts,
}

/// The sort keys that a query reads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Range {
    /// All sort keys.
    All,
    /// Sort keys with this prefix.
    Prefix(String),
    /// Sort keys from the first to the second, both included.
    Between(String, String),
    /// Sort keys less than this.
    Before(String),
    /// Sort keys greater than this.
    After(String),
}

/// What a query returns of each item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Select {
    /// All attributes of the item, or of its entry in the index.
    Items,
    /// Only the primary key. It costs as much as all attributes.
    Keys,
    /// Only the number of items. It costs as much as all attributes.
    Count,
}

/// A query for one page of a partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The index to read; `None` for the table itself.
    pub index: Option<Index>,
    /// The partition.
    pub partition: String,
    /// The sort keys.
    pub range: Range,
    /// The condition on the items that are returned.
    pub filter: Option<Condition>,
    /// Whether the greatest sort key comes first.
    pub backwards: bool,
    /// The maximum number of items that are read, before the filter.
    pub limit: Option<usize>,
    /// The key after which the page starts: [`Page::next`] of the previous page.
    pub start: Option<Item>,
    /// The consistency of the read.
    pub consistency: Consistency,
    /// What is returned of each item.
    pub select: Select,
}

/// One page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The items that match the filter; none for [`Select::Count`].
    pub items: Vec<Item>,
    /// The number of items that match the filter.
    pub count: usize,
    /// The number of items that were read.
    pub scanned: usize,
    /// The read units that the page cost, counted in halves.
    pub half_units: u64,
    /// The key after which the next page starts; `None` if this page is the last.
    pub next: Option<Item>,
}

impl Index {
    /// Returns the name of the index.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Attempts => "attempts",
        }
    }

    /// Returns the attribute of its partition key.
    #[must_use]
    pub const fn partition(self) -> &'static str {
        match self {
            Self::Pending => "pending_pk",
            Self::Attempts => "attempts_pk",
        }
    }

    /// Returns the attribute of its sort key.
    #[must_use]
    pub const fn sort(self) -> &'static str {
        match self {
            Self::Pending => "sk",
            Self::Attempts => "attempted_at",
        }
    }

    /// Returns the other attributes that it holds; `None` if it holds all attributes.
    #[must_use]
    pub const fn projection(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Pending => Some(&["type", "status", "lease_until", "ttl"]),
            Self::Attempts => None,
        }
    }
}

impl Query {
    /// Returns the query for all items of a partition, read consistently.
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

    /// Returns the query for all items of a partition, read eventually consistently.
    pub fn eventual(partition: impl Into<String>) -> Self {
        Self { consistency: Consistency::Eventual, ..Self::consistent(partition) }
    }

    /// Returns the query for all items of a partition of an index.
    pub fn of_index(index: Index, partition: impl Into<String>) -> Self {
        Self { index: Some(index), ..Self::eventual(partition) }
    }

    /// Limits the query to these sort keys.
    #[must_use]
    pub fn range(self, range: Range) -> Self {
        Self { range, ..self }
    }

    /// Limits the result to items for which this holds.
    #[must_use]
    pub fn filter(self, filter: Condition) -> Self {
        Self { filter: Some(filter), ..self }
    }

    /// Limits the number of items that are read, before the filter.
    #[must_use]
    pub fn limit(self, items: usize) -> Self {
        Self { limit: Some(items), ..self }
    }

    /// Reads the greatest sort key first.
    #[must_use]
    pub fn backwards(self) -> Self {
        Self { backwards: true, ..self }
    }

    /// Starts after this key.
    #[must_use]
    pub fn from(self, start: Option<Item>) -> Self {
        Self { start, ..self }
    }

    /// Limits the result to the keys.
    #[must_use]
    pub fn keys(self) -> Self {
        Self { select: Select::Keys, ..self }
    }

    /// Limits the result to the number of items.
    #[must_use]
    pub fn count(self) -> Self {
        Self { select: Select::Count, ..self }
    }

    /// Returns the attribute of the partition key of the table or index.
    #[must_use]
    pub fn partition_name(&self) -> &'static str {
        self.index.map_or("pk", Index::partition)
    }

    /// Returns the attribute of the sort key of the table or index.
    #[must_use]
    pub fn sort_name(&self) -> &'static str {
        self.index.map_or("sk", Index::sort)
    }
}

impl Range {
    /// Returns whether a sort key is in the range. A number, the sort key of [`Index::Attempts`], is only in
    /// [`Range::All`].
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

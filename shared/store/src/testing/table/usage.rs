//! What was asked of a table in memory: calls, and the units that `DynamoDB` would bill.

use std::collections::BTreeMap;

use crate::item::Key;
use crate::table::query::Index;

/// A call of the port.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Operation {
    /// `GetItem`.
    Get,
    /// `Query`.
    Query,
    /// `PutItem`.
    Put,
    /// `UpdateItem`.
    Update,
    /// `DeleteItem`.
    Delete,
    /// `TransactWriteItems`.
    Transact,
    /// `BatchGetItem`.
    BatchGet,
    /// `BatchWriteItem`.
    BatchDelete,
}

/// Calls and units.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// How often each operation was called.
    pub calls: BTreeMap<Operation, u64>,
    /// Read units, counted in halves: one read unit is 4 KB read consistently, or 8 KB read eventually.
    pub half_reads: u64,
    /// Write units of the table: 1 KB each, twice that in a transaction.
    pub writes: u64,
    /// Write units of each index.
    pub index_writes: BTreeMap<Index, u64>,
}

/// What `DynamoDB` bills for one item that a call reads or writes, or for one page of a query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Billed {
    /// The call.
    pub operation: Operation,
    /// The key of the item; for a query, its partition and an empty sort key.
    pub key: Key,
    /// The index that a query reads; `None` for the table itself.
    pub index: Option<Index>,
    /// Read units, counted in halves.
    pub half_reads: u64,
    /// Write units of the table.
    pub writes: u64,
    /// What the entries in the indexes cost.
    pub index_writes: Vec<IndexWrite>,
}

/// What an entry of an index costs that appears, changes or goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IndexWrite {
    /// The index.
    pub index: Index,
    /// The partition key of the entry in the index.
    pub partition: String,
    /// Write units.
    pub units: u64,
}

/// What a table holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stored {
    /// The number of items.
    pub items: u64,
    /// The bytes that are billed: those of the items and of their entries in the indexes, and [`OVERHEAD_BYTES`] for each.
    pub bytes: u64,
}

/// The bytes that `DynamoDB` adds to each item and to each entry of an index when it bills the storage.
pub const OVERHEAD_BYTES: u64 = 100;

impl Operation {
    /// The operation's name in AWS.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GetItem",
            Self::Query => "Query",
            Self::Put => "PutItem",
            Self::Update => "UpdateItem",
            Self::Delete => "DeleteItem",
            Self::Transact => "TransactWriteItems",
            Self::BatchGet => "BatchGetItem",
            Self::BatchDelete => "BatchWriteItem",
        }
    }

    /// Returns how many units a write of one unit costs.
    const fn write_factor(self) -> u64 {
        if matches!(self, Self::Transact) { 2 } else { 1 }
    }
}

impl Billed {
    /// Returns the bill of a read.
    pub(super) fn read(operation: Operation, key: Key, half_reads: u64) -> Self {
        Self { operation, key, index: None, half_reads, writes: 0, index_writes: Vec::new() }
    }

    /// Returns the bill of a write: of the larger of the sizes of the item before and after it, and of its entries in the indexes.
    pub(super) fn write(
        operation: Operation,
        key: Key,
        bytes: usize,
        mut index_writes: Vec<IndexWrite>,
    ) -> Self {
        let factor = operation.write_factor();
        for entry in &mut index_writes {
            entry.units *= factor;
        }
        Self { writes: write_units(bytes) * factor, index_writes, ..Self::read(operation, key, 0) }
    }
}

impl Usage {
    /// Counts one call.
    pub(super) fn count(&mut self, operation: Operation) {
        *self.calls.entry(operation).or_default() += 1;
    }

    /// Adds what was billed.
    pub(super) fn add(&mut self, billed: &Billed) {
        self.half_reads += billed.half_reads;
        self.writes += billed.writes;
        for entry in &billed.index_writes {
            *self.index_writes.entry(entry.index).or_default() += entry.units;
        }
    }

    /// Returns how often an operation was called.
    #[must_use]
    pub fn calls_of(&self, operation: Operation) -> u64 {
        self.calls.get(&operation).copied().unwrap_or_default()
    }
}

/// Returns the write units of an item of `bytes` bytes.
pub(super) fn write_units(bytes: usize) -> u64 {
    bytes.div_ceil(1024).max(1) as u64
}

//! What was asked of a table in memory: calls, and the units that `DynamoDB` would bill.

use std::collections::BTreeMap;

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
    /// Write units of its indexes.
    pub index_writes: u64,
}

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
}

impl Usage {
    /// Counts one call.
    pub(super) fn count(&mut self, operation: Operation) {
        *self.calls.entry(operation).or_default() += 1;
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

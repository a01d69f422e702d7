//! The port to one table of `DynamoDB`: a few typed calls, whose conditions, filters and updates are values.
//!
//! The AWS side renders these values as expressions; the memory side evaluates the same values. What the stores do with
//! them is written once, over this port, and runs in every test.

pub mod condition;
pub mod query;
pub mod write;

use std::future::Future;

use self::query::{Page, Query};
use self::write::{Delete, Put, Transacted, Update, Write, Written};
use crate::item::{Item, Key};
use crate::unavailable::PortResult;

/// The most keys that one call of [`Table::batch_get`] takes.
pub const MAX_BATCH_GET_KEYS: usize = 100;

/// The most keys that one call of [`Table::batch_delete`] takes.
pub const MAX_BATCH_DELETE_KEYS: usize = 25;

/// How fresh a read is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Consistency {
    /// It sees every write that was answered.
    Strong,
    /// It may miss the latest writes, and costs half.
    Eventual,
}

/// One table of `DynamoDB`, whose primary key is `pk` and `sk`.
pub trait Table: Clone + Send + Sync + 'static {
    /// Reads one item (`GetItem`).
    fn get(
        &self,
        key: &Key,
        consistency: Consistency,
    ) -> impl Future<Output = PortResult<Option<Item>>> + Send;

    /// Reads one page of a partition (`Query`). A page ends at its limit or after 1 MB of items read, also where the
    /// filter leaves little or nothing of them.
    fn query(&self, query: &Query) -> impl Future<Output = PortResult<Page>> + Send;

    /// Puts an item, in the place of the one that is there, if its condition holds (`PutItem`).
    fn put(&self, put: &Put) -> impl Future<Output = PortResult<Written>> + Send;

    /// Changes attributes of an item, or creates it, if its condition holds (`UpdateItem`).
    fn update(&self, update: &Update) -> impl Future<Output = PortResult<Written>> + Send;

    /// Deletes an item, if its condition holds (`DeleteItem`). Deleting an item that is absent changes nothing.
    fn delete(&self, delete: &Delete) -> impl Future<Output = PortResult<Written>> + Send;

    /// Makes all writes, each on another item, or none (`TransactWriteItems`).
    fn transact(&self, writes: &[Write]) -> impl Future<Output = PortResult<Transacted>> + Send;

    /// Reads up to [`MAX_BATCH_GET_KEYS`] items consistently, in any order; returns them, and the keys that were left
    /// unprocessed: all of them where the table is too busy for any (`BatchGetItem`).
    fn batch_get(&self, keys: &[Key]) -> impl Future<Output = PortResult<(Vec<Item>, Vec<Key>)>> + Send;

    /// Deletes up to [`MAX_BATCH_DELETE_KEYS`] items, each once; returns the keys that were left unprocessed: all of them where
    /// the table is too busy for any (`BatchWriteItem`).
    fn batch_delete(&self, keys: &[Key]) -> impl Future<Output = PortResult<Vec<Key>>> + Send;
}

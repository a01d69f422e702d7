//! A table whose calls take time and are counted. What they cost is in the journal of the memory table.

use store::item::{Item, Key};
use store::table::query::{Page, Query};
use store::table::write::{Delete, Put, Transacted, Update, Write, Written};
use store::table::{Consistency, Table};
use store::testing::table::MemoryTable;
use store::testing::table::usage::Operation;
use store::unavailable::PortResult;
use tokio::time::sleep;

use crate::latency;
use crate::recorded::Recorder;

/// A table. Clones share it.
#[derive(Clone)]
pub struct MeteredTable {
    name: &'static str,
    table: MemoryTable,
    recorder: Recorder,
}

impl MeteredTable {
    /// Returns the table of this name, whose calls this recorder counts.
    #[must_use]
    pub fn new(name: &'static str, table: MemoryTable, recorder: Recorder) -> Self {
        Self { name, table, recorder }
    }

    async fn call(&self, operation: Operation) -> &MemoryTable {
        let name = self.name;
        self.recorder.record(|current| *current.table_calls.entry((name, operation)).or_default() += 1);
        sleep(latency::of_table(operation)).await;
        &self.table
    }
}

impl Table for MeteredTable {
    async fn get(&self, key: &Key, consistency: Consistency) -> PortResult<Option<Item>> {
        self.call(Operation::Get).await.get(key, consistency).await
    }

    async fn query(&self, query: &Query) -> PortResult<Page> {
        self.call(Operation::Query).await.query(query).await
    }

    async fn put(&self, put: &Put) -> PortResult<Written> {
        self.call(Operation::Put).await.put(put).await
    }

    async fn update(&self, update: &Update) -> PortResult<Written> {
        self.call(Operation::Update).await.update(update).await
    }

    async fn delete(&self, delete: &Delete) -> PortResult<Written> {
        self.call(Operation::Delete).await.delete(delete).await
    }

    async fn transact(&self, writes: &[Write]) -> PortResult<Transacted> {
        self.call(Operation::Transact).await.transact(writes).await
    }

    async fn batch_get(&self, keys: &[Key]) -> PortResult<(Vec<Item>, Vec<Key>)> {
        self.call(Operation::BatchGet).await.batch_get(keys).await
    }

    async fn batch_delete(&self, keys: &[Key]) -> PortResult<Vec<Key>> {
        self.call(Operation::BatchDelete).await.batch_delete(keys).await
    }
}

//! The memory table bills what `DynamoDB` bills: the worked examples of its documentation
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html> and, for the indexes,
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html>).

use store::item::{Item, Key};
use store::table::condition::{absent, exists};
use store::table::query::{Index, Query};
use store::table::write::{Delete, Put, Update, Write};
use store::table::{Consistency, Table};
use store::testing::table::MemoryTable;

const KB: usize = 1024;

/// An item of this many bytes.
fn item_of(sort: &str, bytes: usize) -> Item {
    let key = key(sort).into_item();
    let padding = bytes - key.size() - "padding".len();
    key.with("padding", "x".repeat(padding))
}

fn key(sort: &str) -> Key {
    Key::new("p", sort)
}

/// The read units since the last call, in halves.
fn half_reads(table: &MemoryTable) -> u64 {
    let usage = table.usage();
    table.reset_usage();
    usage.half_reads
}

/// The write units of the table since the last call.
fn writes(table: &MemoryTable) -> u64 {
    let usage = table.usage();
    table.reset_usage();
    usage.writes
}

/// The write units of an index since the last call.
fn index_writes(table: &MemoryTable, index: Index) -> u64 {
    let usage = table.usage();
    table.reset_usage();
    usage.index_writes.get(&index).copied().unwrap_or_default()
}

#[tokio::test]
async fn a_read_is_rounded_up_to_4_kb_and_costs_half_if_it_may_be_stale() {
    let table = MemoryTable::default();
    for (sort, bytes) in [("a", 3_500), ("b", 8 * KB)] {
        table.put_item(item_of(sort, bytes));
    }
    for (sort, consistency, halves) in [
        ("a", Consistency::Strong, 2),
        ("b", Consistency::Strong, 4),
        ("b", Consistency::Eventual, 2),
        ("nothing", Consistency::Strong, 2),
        ("nothing", Consistency::Eventual, 1),
    ] {
        table.show_writes_at_once();
        table.get(&key(sort), consistency).await.unwrap();
        assert_eq!(half_reads(&table), halves, "{sort}, {consistency:?}");
    }
}

#[tokio::test]
async fn a_batch_rounds_each_item_and_a_query_the_sum() {
    let table = MemoryTable::default();
    table.put_item(item_of("a", 3 * KB / 2));
    table.put_item(item_of("b", 13 * KB / 2));
    table.batch_get(&[key("a"), key("b")]).await.unwrap();
    assert_eq!(half_reads(&table), 2 * 3, "1.5 KB and 6.5 KB count as 4 KB and 8 KB");

    let ten = MemoryTable::default();
    for number in 0..10 {
        ten.put_item(item_of(&number.to_string(), 408 * KB / 100)); // 40.8 KB in total
    }
    ten.query(&Query::consistent("p")).await.unwrap();
    assert_eq!(half_reads(&ten), 2 * 11, "40.8 KB count as 44 KB");
    ten.query(&Query::eventual("p")).await.unwrap();
    assert_eq!(half_reads(&ten), 11);

    let small = MemoryTable::default();
    for number in 0..1500 {
        small.put_item(item_of(&format!("{number:04}"), 64));
    }
    small.query(&Query::consistent("p")).await.unwrap();
    assert_eq!(half_reads(&small), 2 * 24, "1,500 items of 64 bytes count as 96 KB");
}

#[tokio::test]
async fn a_write_is_rounded_up_to_1_kb_and_costs_double_in_a_transaction() {
    let table = MemoryTable::default();
    for (bytes, units) in [(500, 1), (KB, 1), (KB + 1, 2), (3 * KB, 3)] {
        table.put(&Put::new(item_of(&bytes.to_string(), bytes))).await.unwrap();
        assert_eq!(writes(&table), units, "{bytes}");
    }
    table.transact(&[Write::Put(Put::new(item_of("a", 3 * KB)))]).await.unwrap();
    assert_eq!(writes(&table), 6);
}

#[tokio::test]
async fn an_update_costs_the_larger_of_the_item_before_and_after_it() {
    let table = MemoryTable::default();
    table.put_item(item_of("a", 3 * KB));
    table.update(&Update::new(key("a")).set("n", 1_u64)).await.unwrap();
    assert_eq!(writes(&table), 4, "3 KB and one attribute");
    table.update(&Update::new(key("a")).remove("padding")).await.unwrap();
    assert_eq!(writes(&table), 4);
    table.delete(&Delete::new(key("a"))).await.unwrap();
    assert_eq!(writes(&table), 1);
    table.delete(&Delete::new(key("a"))).await.unwrap();
    assert_eq!(writes(&table), 1, "there is nothing to delete");
}

#[tokio::test]
async fn a_refused_write_costs_the_larger_of_the_stored_and_the_new_item() {
    let table = MemoryTable::default();
    table.put_item(item_of("a", 300 * KB));
    let refused = Put::new(item_of("a", 310 * KB)).only_if(absent("pk"));
    table.put(&refused).await.unwrap();
    assert_eq!(writes(&table), 310);
    table.put(&Put::new(item_of("a", KB)).only_if(absent("pk"))).await.unwrap();
    assert_eq!(writes(&table), 300);
    table.update(&Update::new(key("b")).set("n", 1_u64).only_if(exists("pk"))).await.unwrap();
    assert_eq!(writes(&table), 1, "a condition on an item that does not exist");
}

#[tokio::test]
async fn an_index_is_billed_only_for_entries_that_change_and_twice_for_those_that_move() {
    let table = MemoryTable::default();
    let write = async |update: Update| {
        table.reset_usage();
        table.update(&update).await.unwrap();
        index_writes(&table, Index::Pending)
    };
    let change = || Update::new(key("a"));
    assert_eq!(write(change().set("rev", 1_u64)).await, 0, "it is not in the index");
    assert_eq!(write(change().set("pending_pk", "inbox").set("type", "x")).await, 1, "an entry appears");
    assert_eq!(write(change().set("rev", 2_u64)).await, 0, "the index does not hold the attribute");
    assert_eq!(write(change().set("status", "leased")).await, 1, "a held attribute changes");
    assert_eq!(write(change().set("status", "leased")).await, 0, "nothing changes");
    assert_eq!(write(change().set("pending_pk", "other")).await, 2, "its key changes");
    assert_eq!(write(change().set("type", "x".repeat(3 * KB))).await, 4, "the entry has more than 3 KB");
    assert_eq!(write(change().remove("pending_pk")).await, 4, "the entry goes");
    table.delete(&Delete::new(key("a"))).await.unwrap();
    assert_eq!(index_writes(&table, Index::Pending), 0, "nothing is left in the index");
}

#[tokio::test]
async fn stored_bytes_count_the_indexes_and_100_bytes_for_each_entry() {
    let table = MemoryTable::default();
    table.put_item(item_of("a", KB));
    assert_eq!((table.stored().items, table.stored().bytes), (1, 1124));
    let indexed = item_of("b", KB).with("attempts_pk", "t").with("attempted_at", 1_u64);
    let bytes = indexed.size() as u64 + 100;
    table.put_item(indexed);
    assert_eq!((table.stored().items, table.stored().bytes), (2, 1124 + 2 * bytes));
}

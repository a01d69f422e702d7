//! The memory table throttles partitions as `DynamoDB` documents it, where a simulation asks for it
//! ([`store::testing::table::throttle`]).

use std::time::Duration;

use futures_util::future::join_all;
use store::item::{Item, Key};
use store::table::query::Index;
use store::table::write::{Delete, Put, Reason, Transacted, Write};
use store::table::{Consistency, Table};
use store::testing::table::MemoryTable;
use tokio::time::{Instant, sleep};

/// What a partition gathers until the last attempt of a call, at most: 150 ms of 1,000 units a second.
const WHILE_RETRIED: usize = 150;

fn table() -> MemoryTable {
    let table = MemoryTable::default();
    table.throttle_partitions();
    table
}

/// An item of less than 1 KB, in the partition `index` of the index of the inbox.
fn item(pk: &str, number: usize) -> Item {
    let keys = [(Index::Pending.partition(), "index".into()), (Index::Pending.sort(), "1".into())];
    Item::from(keys).at(Key::new(pk, number.to_string()))
}

/// Makes this many puts at once; returns how many were made.
async fn put(table: &MemoryTable, count: usize, item: impl Fn(usize) -> Item) -> usize {
    let puts: Vec<Put> = (0..count).map(|number| Put::new(item(number))).collect();
    join_all(puts.iter().map(|put| table.put(put))).await.iter().filter(|put| put.is_ok()).count()
}

fn plain(pk: &'static str) -> impl Fn(usize) -> Item {
    move |number| Key::new(pk, number.to_string()).into_item()
}

#[tokio::test(start_paused = true)]
async fn a_partition_takes_a_thousand_write_units_a_second() {
    let table = table();
    let began = Instant::now();
    let made = put(&table, 3_000, plain("a")).await;
    assert!((1_000..=1_000 + WHILE_RETRIED).contains(&made), "{made}");
    assert!(began.elapsed() > Duration::from_millis(50), "the SDK made further attempts");
    assert_eq!(put(&table, 1_000, plain("b")).await, 1_000, "another partition");
    let [load] = table
        .loads()
        .into_iter()
        .filter(|load| load.partition == "a")
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert!(load.writes == made as u64 && load.refused > 0, "{load:?}");

    sleep(Duration::from_secs(2)).await;
    let made = put(&table, 3_000, plain("a")).await;
    assert!((1_000..=1_000 + WHILE_RETRIED).contains(&made), "two seconds later it has no more: {made}");
}

#[tokio::test(start_paused = true)]
async fn a_partition_of_an_index_pushes_back_on_the_table() {
    let table = table();
    let made = put(&table, 2_000, |number| item(&number.to_string(), 0)).await;
    assert!((1_000..=1_000 + WHILE_RETRIED).contains(&made), "each item has a partition of its own: {made}");
    assert_eq!(put(&table, 10, plain("c")).await, 10, "an item that is not in the index");
}

#[tokio::test(start_paused = true)]
async fn a_partition_takes_three_thousand_read_units_a_second() {
    let table = table();
    let key = Key::new("a", "1");
    let gets = join_all((0..8_000).map(|_| table.get(&key, Consistency::Eventual))).await;
    let made = gets.iter().filter(|get| get.is_ok()).count();
    assert!((6_000..=6_000 + 6 * WHILE_RETRIED).contains(&made), "half a unit each: {made}");
    assert_eq!(put(&table, 1, plain("a")).await, 1, "writes are limited apart");
}

#[tokio::test(start_paused = true)]
async fn a_batch_leaves_the_keys_of_a_throttled_partition_and_a_transaction_is_canceled() {
    let table = table();
    let large = |number| plain("a")(number).with("padding", "x".repeat(390 * 1024));
    assert_eq!(
        put(&table, 3, large).await,
        3,
        "the last one is admitted while units are left, and leaves a debt"
    );
    let keys = ["a", "b"].map(|pk| Key::new(pk, "1"));
    let deletions = keys.clone().map(|key| Write::Delete(Delete::new(key)));
    let Transacted::Canceled(reasons) = table.transact(&deletions).await.unwrap() else {
        panic!("it is made")
    };
    assert_eq!(reasons, [Reason::Other; 2]);
    assert_eq!(table.batch_delete(&keys).await.unwrap(), keys[..1]);
    assert_eq!(table.batch_delete(&keys[..1]).await.unwrap(), keys[..1], "it has no other key");
}

//! The table in memory and a real one in the emulator, held to the same answers by random operations. What runs over the
//! memory table in every other test rests on this.
//!
//! The emulator differs from `DynamoDB` in what follows; the operations leave it out, and the memory table does as `DynamoDB`:
//! * It filters by key attributes. `DynamoDB` refuses that.
//! * It filters an index by attributes that the index does not hold. `DynamoDB` does not find them; memory refuses.
//! * It compares booleans, lists and maps as less or greater, to nothing. `DynamoDB` refuses that.
//! * It takes an update that names an attribute twice. `DynamoDB` refuses that.
//! * It looks at an update's condition before it refuses that the update names a key.
//! * It never answers `TransactionConflict`, has no index lag, leaves nothing unprocessed, and deletes within seconds what has
//!   expired: no `ttl` here lies in the past.

mod operation;
mod random;

use std::collections::BTreeMap;

use aws::clients::emulator_clients;
use aws::dynamo_table::DynamoTable;
use futures_util::stream::{self, StreamExt};
use rand::RngExt;
use store::testing::table::MemoryTable;

use self::operation::{Answer, Operation};
use self::random::Random;
use super::support::stack::shared;
use crate::support::size;

/// Operations on one key space, which begins empty.
const OPERATIONS_PER_CASE: u64 = 100;

/// Cases under way at once.
const CONCURRENT_CASES: usize = 4;

/// How often each operation ended how.
type Tally = BTreeMap<String, u64>;

#[tokio::test]
async fn memory_and_emulator_give_the_same_answers_to_random_operations() {
    let operations = size("TRIGGERS_TABLE_OPERATIONS", 2000);
    let first_seed = size("TRIGGERS_TABLE_SEED", rand::rng().random_range(0..1_000_000_000));
    let summary = shared().summary();
    let table =
        DynamoTable::new(&emulator_clients(&summary.emulator).await, summary.tables["Events"].clone());
    let seeds = first_seed..first_seed + operations.div_ceil(OPERATIONS_PER_CASE);
    let cases = stream::iter(seeds).map(|seed| run_case(&table, seed)).buffer_unordered(CONCURRENT_CASES);
    let tallies: Vec<Tally> = cases.collect().await;
    let mut total = Tally::new();
    for (outcome, count) in tallies.into_iter().flatten() {
        *total.entry(outcome).or_default() += count;
    }
    println!("{} operations tried, from seed {first_seed}: {total:#?}", total.values().sum::<u64>());
}

/// Does the same operations to both tables, and compares every answer.
async fn run_case(real: &DynamoTable, seed: u64) -> Tally {
    let memory = MemoryTable::default();
    let mut random = Random::new(seed);
    let mut tally = Tally::new();
    for number in 0..OPERATIONS_PER_CASE {
        let operation = random.operation();
        let before = memory.items();
        let (expected, found) = (operation.on(&memory).await, operation.on(real).await);
        assert!(
            agree(&expected, &found),
            "operation {number} of TRIGGERS_TABLE_SEED={seed}: {operation:#?}\non {before:#?}\nin memory {expected:#?}\nfor real {found:#?}"
        );
        *tally.entry(outcome(&operation, &found)).or_default() += 1;
    }
    tally
}

/// Returns whether both tables answered alike. What both refuse they may refuse with other words.
fn agree(memory: &Answer, real: &Answer) -> bool {
    match (memory, real) {
        (Err(_), Err(reason)) => {
            reason.contains("ValidationException") || reason.contains("was not specified")
        }
        (memory, real) => memory == real,
    }
}

fn outcome(operation: &Operation, answer: &Answer) -> String {
    let end = match answer {
        Ok(found) => found.name(),
        Err(_) => "invalid",
    };
    format!("{} {end}", operation.name())
}

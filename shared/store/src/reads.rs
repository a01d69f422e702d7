//! What reads cost, and the sum of it for one request.
//!
//! The sum belongs to the task that handles the request, so a read deep below a handler counts without an argument in each
//! function between them. No further call is needed: the size of an item is known when it is read, and `DynamoDB` returns
//! with each page what the page cost.

use std::cell::Cell;
use std::future::Future;

use crate::table::Consistency;

/// The bytes of a read unit.
const UNIT_BYTES: usize = 4096;

tokio::task_local! {
    static HALF_UNITS: Cell<u64>;
}

/// Does this work; returns its result, and the read units of all its reads, counted in halves.
pub async fn measured<R>(work: impl Future<Output = R>) -> (R, u64) {
    let counting = async {
        let result = work.await;
        (result, HALF_UNITS.with(Cell::get))
    };
    HALF_UNITS.scope(Cell::new(0), counting).await
}

/// Counts a read, if the work that it belongs to is measured.
pub(crate) fn count(half_units: u64) {
    // Outside of measured work there is no sum.
    let _ = HALF_UNITS.try_with(|sum| sum.set(sum.get() + half_units));
}

/// Returns the halves of read units of a read of `bytes` bytes: a unit for each 4 KB begun, half of it if the read is
/// eventually consistent. A read that finds nothing costs as much as the smallest item.
pub(crate) fn half_units(bytes: usize, consistency: Consistency) -> u64 {
    let units = bytes.div_ceil(UNIT_BYTES).max(1) as u64;
    match consistency {
        Consistency::Strong => units * 2,
        Consistency::Eventual => units,
    }
}

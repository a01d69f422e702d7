//! The retry loop of a conditional write: read, decide, write, and start again if another writer was faster.

use std::future::Future;

use crate::unavailable::Unavailable;

/// The maximum number of rounds. In each lost round another writer made progress, and the 50 deliveries of an event can end at
/// the same time.
const MAX_ROUNDS: usize = 60;

/// How one round of reading, deciding and writing ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Round<R> {
    /// The round has this result.
    Ended(R),
    /// Another writer was faster: read again and decide again.
    Lost,
}

/// Runs rounds until one has a result.
///
/// # Errors
/// The error of a round, or [`Unavailable`] after too many lost
/// rounds.
pub async fn until_won<R, E, F>(operation: &'static str, mut round: impl FnMut() -> F) -> Result<R, E>
where
    E: From<Unavailable>,
    F: Future<Output = Result<Round<R>, E>>,
{
    for _ in 0..MAX_ROUNDS {
        if let Round::Ended(result) = round().await? {
            return Ok(result);
        }
    }
    Err(Unavailable::new(operation, "other writers were faster too often").into())
}

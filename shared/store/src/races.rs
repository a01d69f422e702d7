//! Read, decide, write on condition, and begin again where another writer was faster.

use std::future::Future;

use crate::unavailable::Unavailable;

/// How often a lost race is run again. Each lost one means that another writer made progress.
const MAX_RACES: usize = 20;

/// How one round of reading, deciding and writing ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Round<R> {
    /// There is a result.
    Ended(R),
    /// Another writer was faster: read again and decide again.
    Lost,
}

/// Runs rounds until one ends.
///
/// # Errors
/// The error of a round; [`Unavailable`] after too many lost rounds.
pub async fn until_won<R, E, F>(operation: &'static str, mut round: impl FnMut() -> F) -> Result<R, E>
where
    E: From<Unavailable>,
    F: Future<Output = Result<Round<R>, E>>,
{
    for _ in 0..MAX_RACES {
        if let Round::Ended(result) = round().await? {
            return Ok(result);
        }
    }
    Err(Unavailable::new(operation, "other writers were faster too often").into())
}

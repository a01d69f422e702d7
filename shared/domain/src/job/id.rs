//! The id of a job.

use std::fmt;

use rand::Rng;

use crate::id;
use crate::tenant::api_key::KeyHash;
use crate::timestamp::Timestamp;

const REPLAY: &str = "rpl_";
const ERASURE: &str = "era_";

/// The id of a job: `rpl_` or `era_`, and 32 hexadecimal digits.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct JobId(String);

impl JobId {
    /// Draws the id of a new replay. Ids of replays sort by time, so a later replay has a larger id.
    pub fn generate_replay(now: Timestamp, rng: &mut impl Rng) -> Self {
        Self(id::draw_by_time(REPLAY, now, rng))
    }

    /// Derives the id of an erasure from the key that requests it, so that a repeated request is the same job. Only a
    /// client with the key, or a reader of the table of keys, can know the id. After the erasure, when no key exists,
    /// the id gives access to the receipt.
    #[must_use]
    pub fn derive_erasure(key: &KeyHash) -> Self {
        Self(id::derive(ERASURE, key.as_str()))
    }

    /// Accepts exactly the form of a replay's id; returns `None` for any other text.
    #[must_use]
    pub fn parse_replay(text: &str) -> Option<Self> {
        Self::parse(REPLAY, text)
    }

    /// Accepts exactly the form of an erasure's id; returns `None` for any other text.
    #[must_use]
    pub fn parse_erasure(text: &str) -> Option<Self> {
        Self::parse(ERASURE, text)
    }

    fn parse(prefix: &str, text: &str) -> Option<Self> {
        id::is_canonical(prefix, text).then(|| Self(text.to_owned()))
    }

    /// Takes an id that our own code wrote into a table, without a check.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{START, erasure_id};

    #[test]
    fn ids_have_one_form_and_ids_of_replays_sort_by_time() {
        let replay = JobId::generate_replay(START, &mut rand::rng());
        let erasure = erasure_id();
        assert_eq!(JobId::parse_replay(replay.as_str()), Some(replay.clone()));
        assert_eq!(JobId::parse_erasure(erasure.as_str()), Some(erasure.clone()));
        assert_eq!(JobId::parse_erasure(replay.as_str()), None);
        assert_eq!(JobId::parse_replay("rpl_1"), None);
        assert!(replay < JobId::generate_replay(START.after(Duration::from_millis(1)), &mut rand::rng()));
    }
}

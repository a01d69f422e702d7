//! The run that a delivery belongs to: the original one, or a replay.

use std::fmt;

use crate::job::id::JobId;

/// The text of the original run in tables and messages. It sorts before the id of every replay.
const ORIGINAL: &str = "0";

/// A run of deliveries. Runs sort by time: the original run first, then the replays.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Run {
    /// The deliveries that the event got when it was stored.
    Original,
    /// The deliveries that a replay opened again.
    Replay(JobId),
}

impl Run {
    /// Takes a run that our own code wrote into a table or a queue, without a check.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        if text == ORIGINAL { Self::Original } else { Self::Replay(JobId::from_stored(text)) }
    }

    /// Returns the run as text, for tables and messages.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Original => ORIGINAL,
            Self::Replay(replay) => replay.as_str(),
        }
    }

    /// Returns the id of the replay; `None` for the original run.
    #[must_use]
    pub fn replay_id(&self) -> Option<&str> {
        match self {
            Self::Original => None,
            Self::Replay(replay) => Some(replay.as_str()),
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::START;

    #[test]
    fn a_run_is_read_as_it_was_written() {
        let replay = Run::Replay(JobId::generate_replay(START, &mut rand::rng()));
        for run in [Run::Original, replay.clone()] {
            assert_eq!(Run::from_stored(run.as_str()), run);
        }
        assert_eq!((Run::Original.replay_id(), replay.replay_id()), (None, Some(replay.as_str())));
    }

    #[test]
    fn runs_sort_by_time_as_values_and_as_text() {
        let at = |seconds| {
            Run::Replay(JobId::generate_replay(START.after(Duration::from_secs(seconds)), &mut rand::rng()))
        };
        let runs = [Run::Original, at(0), at(1)];
        assert!(runs.is_sorted_by(|a, b| a < b && a.as_str() < b.as_str()));
    }
}

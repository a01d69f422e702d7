//! Decides which waits of the queue `events` are stored. The last stored wait tells ingest that consumer receives messages. A
//! short wait carries no other news, so an instance stores it at intervals only: an ordinary batch then costs no write for it. Ingest
//! counts what was sent less than an interval after a stored wait as received.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::timestamp::Timestamp;
use store::limits::counters::Wait;

/// A wait below this is short. Lambda polls at once, so nearly every event waits less.
const SHORT: Duration = Duration::from_secs(1);

/// The interval where ingest refuses nothing because of the queue.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(150);

/// Remembers the last wait that this instance stored.
pub(crate) struct Heartbeat {
    interval: Duration,
    last: Mutex<Option<Wait>>,
}

impl Heartbeat {
    /// Makes the heartbeat for an ingest that refuses events once nothing was received for `shed_after`; `None` if it never does.
    pub(crate) fn new(shed_after: Option<Duration>) -> Self {
        Self { interval: shed_after.map_or(DEFAULT_INTERVAL, Wait::interval), last: Mutex::default() }
    }

    /// Returns the wait if it is to be stored: it is long, or the last one was, or the interval is over.
    pub(crate) fn due(&self, wait: Wait) -> Option<Wait> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: Timestamp| wait.at.since(at) < self.interval;
        if is_short(wait) && last.is_some_and(|last| is_short(last) && is_recent(last.at)) {
            return None;
        }
        *last = Some(wait);
        Some(wait)
    }
}

fn is_short(wait: Wait) -> bool {
    Duration::from_millis(wait.waited_ms) < SHORT
}

#[cfg(test)]
mod tests {
    use domain::testing::START;
    use store::limits::counters::QueueName;

    use super::*;

    fn wait(seconds: u64, waited_ms: u64) -> Wait {
        Wait { queue: QueueName::Events, waited_ms, at: START.after(Duration::from_secs(seconds)) }
    }

    #[test]
    fn short_waits_are_stored_at_intervals_and_long_ones_always() {
        let heartbeat = Heartbeat::new(Some(Duration::from_mins(10)));
        let is_stored = |seconds, waited_ms| heartbeat.due(wait(seconds, waited_ms)).is_some();
        assert!(is_stored(0, 20), "the first of an instance");
        assert!(!is_stored(60, 20) && !is_stored(149, 999));
        assert!(is_stored(150, 20), "a quarter of ten minutes");
        assert!(is_stored(151, 1000) && is_stored(152, 1000));
        assert!(is_stored(153, 20), "so that a long wait does not stay the last one");
        assert!(!is_stored(154, 20));
    }

    #[test]
    fn the_interval_does_not_depend_on_an_ingest_that_refuses_nothing() {
        let heartbeat = Heartbeat::new(None);
        assert!(heartbeat.due(wait(0, 0)).is_some() && heartbeat.due(wait(149, 0)).is_none());
        assert!(heartbeat.due(wait(150, 0)).is_some());
    }
}

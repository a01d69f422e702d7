//! Decides which waits of a queue are stored. A wait is the time that the oldest new message of a batch was in its queue. The function that
//! receives the messages stores it, and the functions that send messages read it: they see that the queue is received, and how long
//! messages wait.
//!
//! A short wait shows only that the queue is received, so an instance stores it at intervals. A long wait is stored once a second. A
//! reader assumes that a message was received if it was sent less than an interval after a stored wait.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use store::limits::counters::Wait;

/// A wait below this is short. Lambda polls at once, so nearly every message waits less.
const SHORT: Duration = Duration::from_secs(1);

/// The interval between two long waits.
const LONG_INTERVAL: Duration = Duration::from_secs(1);

/// Remembers the last wait of each queue that this instance stored.
#[derive(Debug)]
pub struct Heartbeat {
    interval: Duration,
    last: Mutex<Vec<Wait>>,
}

impl Heartbeat {
    /// Makes the heartbeat of queues whose short waits are stored at this interval.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self { interval, last: Mutex::default() }
    }

    /// Returns the wait if it is to be stored: it is the first of its queue, or the interval since the last one is over. The interval is a
    /// second if one of the two is long.
    pub fn due(&self, wait: Wait) -> Option<Wait> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(of_queue) = last.iter_mut().find(|last| last.queue == wait.queue) else {
            last.push(wait);
            return Some(wait);
        };
        let interval = if is_short(*of_queue) && is_short(wait) { self.interval } else { LONG_INTERVAL };
        if wait.at.since(of_queue.at) < interval {
            return None;
        }
        *of_queue = wait;
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

    const INTERVAL: Duration = Duration::from_secs(150);

    fn wait(seconds: u64, waited_ms: u64) -> Wait {
        Wait { queue: QueueName::Events, waited_ms, at: START.after(Duration::from_secs(seconds)) }
    }

    #[test]
    fn short_waits_are_stored_at_the_interval_and_long_ones_once_a_second() {
        let heartbeat = Heartbeat::new(INTERVAL);
        let is_stored = |seconds, waited_ms| heartbeat.due(wait(seconds, waited_ms)).is_some();
        assert!(is_stored(0, 20), "the first of an instance");
        assert!(!is_stored(60, 20) && !is_stored(149, 999));
        assert!(is_stored(150, 20), "the interval is over");
        assert!(!is_stored(150, 1000) && is_stored(151, 1000), "a long one after a second");
        assert!(!is_stored(151, 20) && is_stored(152, 20), "so that a long wait does not stay the last one");
        assert!(!is_stored(153, 20));
    }

    #[test]
    fn each_queue_has_its_own_last_wait() {
        let heartbeat = Heartbeat::new(INTERVAL);
        for queue in QueueName::ALL {
            let wait = Wait { queue, ..wait(0, 20) };
            assert!(heartbeat.due(wait).is_some() && heartbeat.due(wait).is_none(), "{queue:?}");
        }
    }
}

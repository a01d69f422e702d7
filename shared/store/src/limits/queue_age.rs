//! How long messages wait in a queue, as far as one instance knows: from its own sends, and from the waits that the function which
//! receives the messages stores.
//!
//! ```text
//!   last stored wait        first send since then       now
//!   ------|-----------------------------|------------------|---->
//!         | waits of its messages       |<- nothing received for this long
//! ```
//!
//! A stored wait counts for a minute. Only CloudWatch gets the age of a queue from SQS, so this is an estimate, and it can be wrong, for example if a wait could not
//! be stored.

use std::time::Duration;

use domain::timestamp::Timestamp;

use super::counters::Wait;

/// The largest difference between the clocks of two instances.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// The data for the estimate.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueueAge {
    wait: Option<Wait>,
    /// The first send of this instance since that wait.
    sent_since: Option<Timestamp>,
}

impl QueueAge {
    /// Records that messages were sent.
    pub fn record_send(&mut self, now: Timestamp) {
        self.sent_since.get_or_insert(now);
    }

    /// Takes a new reading. Waits are stored at least once in an `interval` while messages are received, so what was sent
    /// within an interval after a stored one counts as received.
    pub fn take_reading(&mut self, wait: Option<Wait>, interval: Duration) {
        let is_received =
            |sent: Timestamp| wait.is_some_and(|wait| wait.at.after(CLOCK_TOLERANCE + interval) >= sent);
        self.wait = wait;
        self.sent_since = self.sent_since.filter(|sent| !is_received(*sent));
    }

    /// Returns for how long nothing was received that this instance sent.
    #[must_use]
    pub fn unreceived(&self, now: Timestamp) -> Duration {
        self.sent_since.map_or(Duration::ZERO, |since| now.since(since))
    }

    /// Returns how long the messages waited that were received last.
    #[must_use]
    pub fn waited(&self, now: Timestamp) -> Duration {
        self.wait.map_or(Duration::ZERO, |wait| wait.at(now))
    }
}

#[cfg(test)]
mod tests {
    use domain::testing::START;

    use super::super::counters::QueueName;
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        START.after(Duration::from_secs(seconds))
    }

    #[test]
    fn what_was_sent_within_an_interval_after_a_stored_wait_counts_as_received() {
        for (sent, unreceived) in [(155, 0), (156, 144)] {
            let mut age = QueueAge::default();
            age.record_send(at(sent));
            age.record_send(at(sent + 1));
            let wait = Wait { queue: QueueName::Events, waited_ms: 20, at: at(0) };
            age.take_reading(Some(wait), Duration::from_secs(150));
            assert_eq!(age.unreceived(at(300)), Duration::from_secs(unreceived), "sent at {sent}");
        }
    }

    #[test]
    fn a_wait_counts_for_a_minute() {
        let mut age = QueueAge::default();
        let wait = Wait { queue: QueueName::Events, waited_ms: 7000, at: at(0) };
        age.take_reading(Some(wait), Duration::ZERO);
        assert_eq!((age.waited(at(59)), age.waited(at(60))), (Duration::from_secs(7), Duration::ZERO));
    }
}

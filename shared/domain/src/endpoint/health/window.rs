//! The attempts of the last five minutes at one endpoint, counted per minute. The circuit breaker opens by these numbers.
//!
//! A window has at most five minutes and three events, so it stays small in the item of its endpoint. An instance
//! counts its successes in a window of its own, and adds them when it writes the health of the endpoint.

use crate::event::id::EventId;
use crate::timestamp::Timestamp;

/// The number of minutes in a window.
const MINUTES: u64 = 5;

/// The smallest number of attempts that opens the breaker.
const MIN_ATTEMPTS: u64 = 10;

/// The smallest number of different events with a failed attempt that opens the breaker. One event that an endpoint
/// always refuses says nothing about the other events.
const MIN_EVENTS: usize = 3;

/// The smallest percentage of failed attempts that opens the breaker.
const MIN_FAILED_PERCENT: u64 = 70;

/// How far the failures must exceed the successes: the square of the difference is at least this many times the attempts.
/// An endpoint that fails half of its attempts at random gets so far by chance less than once in a thousand. Ten
/// attempts must all have failed, of 40 attempts 30, and from 63 attempts on, 70 % are enough.
const MIN_EXCESS: u64 = 10;

/// The largest number of successes that one write of a health carries. Otherwise a busy endpoint that stops working would
/// need as many failures as it had successes in five minutes.
const MAX_CARRIED: u32 = 10;

/// The attempts of the last five minutes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Window {
    /// The minutes with attempts.
    pub minutes: Vec<Minute>,
    /// The last different events with a failed attempt, at most three, the latest last.
    pub failed_events: Vec<FailedEvent>,
}

/// The attempts that ended in one minute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Minute {
    /// The minute since the epoch.
    pub minute: u64,
    /// The number of attempts, with the failed ones.
    pub attempts: u32,
    /// The number of failed attempts.
    pub failures: u32,
}

/// An event with a failed attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FailedEvent {
    /// The hash of the event's id.
    pub hash: u32,
    /// The minute of its last failed attempt.
    pub minute: u64,
}

impl Window {
    /// Counts a successful attempt that ended at `now`.
    pub fn count_success(&mut self, now: Timestamp) {
        self.add(Minute { minute: now.minutes(), attempts: 1, failures: 0 });
        self.forget_before(now);
    }

    /// Counts a failed attempt of this event that ended at `now`.
    pub fn count_failure(&mut self, event: EventId, now: Timestamp) {
        let (hash, minute) = (hash(event), now.minutes());
        self.add(Minute { minute, attempts: 1, failures: 1 });
        self.failed_events.retain(|failed| failed.hash != hash);
        self.failed_events.push(FailedEvent { hash, minute });
        self.forget_before(now);
    }

    /// Returns the window with successes that were counted in another one: the last ten at most.
    #[must_use]
    pub fn with_successes(&self, successes: &Self, now: Timestamp) -> Self {
        let (mut sum, mut left) = (self.clone(), MAX_CARRIED);
        for Minute { minute, attempts, .. } in successes.minutes.iter().rev() {
            let attempts = (*attempts).min(left);
            left -= attempts;
            sum.add(Minute { minute: *minute, attempts, failures: 0 });
        }
        sum.forget_before(now);
        sum
    }

    /// Removes successes that were added to another window.
    pub fn remove_successes(&mut self, removed: &Self) {
        for Minute { minute, attempts, .. } in &removed.minutes {
            for ours in self.minutes.iter_mut().filter(|ours| ours.minute == *minute) {
                ours.attempts = ours.attempts.saturating_sub(*attempts);
            }
        }
        self.minutes.retain(|minute| minute.attempts > 0);
    }

    /// Returns whether the window has no attempt of the last five minutes.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.minutes.iter().all(|minute| !is_recent(minute.minute, now))
    }

    /// Returns whether the attempts show that the endpoint does not work.
    #[must_use]
    pub fn shows_outage(&self, now: Timestamp) -> bool {
        let recent = self.minutes.iter().filter(|minute| is_recent(minute.minute, now));
        let (attempts, failures) = recent.fold((0, 0), |(attempts, failures), minute| {
            (attempts + u64::from(minute.attempts), failures + u64::from(minute.failures))
        });
        let events = self.failed_events.iter().filter(|failed| is_recent(failed.minute, now)).count();
        let excess = (2 * failures).saturating_sub(attempts);
        attempts >= MIN_ATTEMPTS
            && events >= MIN_EVENTS
            && failures * 100 >= attempts * MIN_FAILED_PERCENT
            && excess * excess >= attempts * MIN_EXCESS
    }

    /// Adds attempts to their minute.
    fn add(&mut self, Minute { minute, attempts, failures }: Minute) {
        match self.minutes.iter_mut().find(|ours| ours.minute == minute) {
            Some(ours) => {
                ours.attempts = ours.attempts.saturating_add(attempts);
                ours.failures = ours.failures.saturating_add(failures);
            }
            None => self.minutes.push(Minute { minute, attempts, failures }),
        }
    }

    /// Forgets what is older than five minutes, and what is beyond the bounds of a window.
    fn forget_before(&mut self, now: Timestamp) {
        self.minutes.retain(|minute| is_recent(minute.minute, now));
        self.failed_events.retain(|failed| is_recent(failed.minute, now));
        let surplus = self.failed_events.len().saturating_sub(MIN_EVENTS);
        self.failed_events.drain(..surplus);
    }
}

/// Returns the hash of an event's id: 32 of its random bits.
#[must_use]
pub fn hash(event: EventId) -> u32 {
    let [.., a, b, c, d, _, _, _] = event.to_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Returns whether a minute is one of the last five. The clock of another instance may be ahead by a minute.
fn is_recent(minute: u64, now: Timestamp) -> bool {
    minute + MINUTES > now.minutes() && minute <= now.minutes() + 1
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::START;

    fn event() -> EventId {
        EventId::generate(START, 1, &mut rand::rng())
    }

    fn window(failures: usize, successes: usize, events: usize) -> Window {
        let mut window = Window::default();
        let ids: Vec<EventId> = (0..events).map(|_| event()).collect();
        (0..successes).for_each(|_| window.count_success(START));
        (0..failures).for_each(|n| window.count_failure(ids[n % events], START));
        window
    }

    #[test]
    fn an_outage_takes_ten_attempts_three_events_and_seventy_percent() {
        assert!(window(10, 0, 3).shows_outage(START));
        assert!(window(30, 10, 3).shows_outage(START));
        assert!(window(70, 30, 3).shows_outage(START));
        assert!(!window(7, 3, 3).shows_outage(START), "that may be chance");
        assert!(!window(9, 0, 3).shows_outage(START), "nine attempts");
        assert!(!window(690, 310, 3).shows_outage(START), "69 %");
        assert!(!window(1000, 0, 2).shows_outage(START), "two events");
    }

    #[test]
    fn only_the_last_five_minutes_count_and_the_window_stays_small() {
        let window = window(10, 0, 10);
        let later = |minutes| START.after(Duration::from_mins(minutes));
        assert!(window.shows_outage(later(4)));
        assert!(!window.shows_outage(later(5)) && window.is_over(later(5)) && !window.is_over(later(4)));
        let mut long = Window::default();
        for minutes in 0..100 {
            long.count_failure(event(), later(minutes));
        }
        assert_eq!((long.minutes.len(), long.failed_events.len()), (5, 3));
    }

    #[test]
    fn successes_of_an_instance_are_added_once() {
        let mut ours = window(0, 4, 1);
        let written = ours.clone();
        ours.count_success(START);
        ours.remove_successes(&written);
        assert_eq!(ours.minutes.iter().map(|minute| minute.attempts).sum::<u32>(), 1);
        let sum = window(9, 0, 3).with_successes(&written, START);
        assert_eq!(sum.minutes[0], Minute { minute: START.minutes(), attempts: 13, failures: 9 });
        let most = window(9, 0, 3).with_successes(&window(0, 1000, 1), START);
        assert_eq!(most.minutes[0].attempts, 19, "ten of them");
    }
}

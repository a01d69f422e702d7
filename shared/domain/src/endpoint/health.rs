//! The circuit breaker of an endpoint. It opens when most attempts of the last five minutes failed ([`window`]). While
//! it is open, deliveries are parked instead of sent, and single deliveries are sent as probes at growing intervals.
//! The first success closes it, and so does the owner. An endpoint that only fails for five days is disabled.
//!
//! ```text
//!   closed ── 10 attempts in 5 min, ──> open ── a success ──────> closed: parked deliveries are sent at the endpoint's rate
//!             70 % or more failed,       │  └── a probe fails ──> open: the next probe follows 1, 2, 5, 15, 60, 60 ... min later
//!             of 3 events or more        └───── 10 failures over 5 days, no success ──> disabled
//! ```
//!
//! A dead endpoint therefore costs a few requests per hour, for any number of waiting events. A parked delivery uses
//! up no attempt. A 429 is no failure: it lowers the rate of the endpoint ([`throttle`]).

pub mod throttle;
pub mod window;

use std::time::Duration;

use self::throttle::Throttle;
use self::window::Window;
use crate::endpoint::pace::Pace;
use crate::event::id::EventId;
use crate::timestamp::Timestamp;

/// The minutes from the opening to the first probe, and from each probe to the next. The last value repeats.
const PROBE_MINUTES: [u64; 5] = [1, 2, 5, 15, 60];

/// The longest time by which a `Retry-After` moves the next probe.
const MAX_PROBE_DELAY: Duration = Duration::from_hours(1);

/// How long an endpoint must fail before its owner gets a notice.
const TELL_AFTER: Duration = Duration::from_hours(1);

/// How long an endpoint must fail before it is disabled. [`FAILURES_TO_DISABLE`] must hold too.
const DISABLE_AFTER: Duration = Duration::from_hours(5 * 24);

/// The number of failures before an endpoint is disabled. One failed request per day is not enough.
const FAILURES_TO_DISABLE: u32 = 10;

/// A notice to the owner of an endpoint. It becomes an event in the tenant's inbox.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// What happened.
    pub kind: NoticeKind,
    /// When it happened.
    pub at: Timestamp,
}

/// What a notice is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoticeKind {
    /// The endpoint has failed for an hour.
    Failing,
    /// The endpoint was disabled, and gets no deliveries any more.
    Disabled,
    /// The endpoint works again.
    Recovered,
}

impl NoticeKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Failing, Self::Disabled, Self::Recovered];

    /// Returns the type of the notice's event.
    #[must_use]
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::Failing => "endpoint.failing",
            Self::Disabled => "endpoint.disabled",
            Self::Recovered => "endpoint.recovered",
        }
    }

    /// Returns the kind with this event type; `None` for an unknown type.
    #[must_use]
    pub fn parse(event_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.event_type() == event_type)
    }
}

/// The health of an endpoint. It is written on a failure, on the first success after a failure, and at most once a minute
/// on a 429. Other successes write nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Health {
    /// The number of writes. Each update is conditional on the value that it read.
    pub rev: u64,
    /// The number of failures since the last success.
    pub failures: u32,
    /// When the first of these failures happened.
    pub failing_since: Option<Timestamp>,
    /// A short text about the last of these failures.
    pub last_error: Option<String>,
    /// The attempts of the last minutes.
    pub window: Window,
    /// The open breaker; `None` while it is closed.
    pub open: Option<Open>,
    /// The lower rate since the last 429.
    pub throttle: Option<Throttle>,
    /// Whether the owner got a notice that the endpoint fails.
    pub has_failing_notice: bool,
    /// A notice that is not yet in the inbox.
    pub notice: Option<Notice>,
}

/// An open breaker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Open {
    /// The number of probes sent.
    pub probes: u32,
    /// When the next probe may be sent.
    pub next_probe_at: Timestamp,
    /// The hash of the event of the last probe.
    pub last_probed: Option<u32>,
}

impl Open {
    /// Returns whether the next probe is the newest parked delivery. The newest and the oldest take turns.
    #[must_use]
    pub const fn takes_newest(&self) -> bool {
        self.probes.is_multiple_of(2)
    }

    /// Moves the next probe to the time that the endpoint asked for, by an hour at most.
    fn postpone(&mut self, not_before: Option<Timestamp>, now: Timestamp) {
        let asked = not_before.unwrap_or(now).min(now.after(MAX_PROBE_DELAY));
        self.next_probe_at = self.next_probe_at.max(asked);
    }
}

/// A failed attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failed {
    /// The event.
    pub event: EventId,
    /// A short text about the failure.
    pub error: String,
    /// When the endpoint accepts the next request, from its `Retry-After`.
    pub not_before: Option<Timestamp>,
    /// Whether the attempt was a probe.
    pub is_probe: bool,
    /// Whether the endpoint answered 410 Gone.
    pub is_gone: bool,
}

/// A new health to write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// The health, with the next `rev`.
    pub health: Health,
    /// Whether the endpoint is disabled too.
    pub disables: bool,
}

impl Health {
    /// Records a success. `successes` are those that the writer has counted, with this one. Returns `None` if there is
    /// nothing to write.
    #[must_use]
    pub fn after_success(&self, successes: &Window, now: Timestamp) -> Option<Change> {
        if self.failures == 0 && self.open.is_none() {
            return None;
        }
        let notice = self.has_failing_notice.then_some(Notice { kind: NoticeKind::Recovered, at: now });
        let window = match self.open {
            Some(_) => Window::default(), // the failures that opened the breaker must not open it again
            None => self.window.with_successes(successes, now),
        };
        let health = Self { rev: self.rev + 1, notice, window, throttle: self.throttle, ..Self::default() };
        Some(Change { health, disables: false })
    }

    /// Records a failure. `successes` are those that the writer has counted. Returns `None` if there is nothing to write:
    /// an attempt that was in flight when the breaker opened gives no new information.
    #[must_use]
    pub fn after_failure(&self, failed: &Failed, successes: &Window, now: Timestamp) -> Option<Change> {
        if self.open.is_some() && !failed.is_probe && !failed.is_gone {
            return None;
        }

        // 1. Count the failure.
        let mut health = self.clone();
        health.rev += 1;
        health.failures = health.failures.saturating_add(1);
        let failing_since = *health.failing_since.get_or_insert(now);
        let failing_for = now.since(failing_since);
        health.last_error = Some(failed.error.clone());
        health.window = self.window.with_successes(successes, now);
        health.window.count_failure(failed.event, now);

        // 2. Open the breaker, or move the next probe.
        if health.open.is_none() && health.window.shows_outage(now) {
            let next_probe_at = now.after(probe_interval(0));
            health.open = Some(Open { probes: 0, next_probe_at, last_probed: None });
        }
        if let Some(open) = &mut health.open {
            open.postpone(failed.not_before, now);
        }

        // 3. Disable the endpoint, or prepare a notice.
        let has_failed_for_long = failing_for >= DISABLE_AFTER && health.failures >= FAILURES_TO_DISABLE;
        let disables = failed.is_gone || has_failed_for_long;
        if disables {
            health.notice = Some(Notice { kind: NoticeKind::Disabled, at: now });
        } else if failing_for >= TELL_AFTER && !health.has_failing_notice {
            health.has_failing_notice = true;
            health.notice = Some(Notice { kind: NoticeKind::Failing, at: now });
        }
        Some(Change { health, disables })
    }

    /// Records a 429, which is no failure: it halves the rate of the endpoint, whose configured rate is `full`. A 429 that
    /// answers a probe moves the next probe. Returns `None` if there is nothing to write.
    #[must_use]
    pub fn after_refusal(
        &self,
        full: Pace,
        not_before: Option<Timestamp>,
        is_probe: bool,
        now: Timestamp,
    ) -> Option<Change> {
        let mut health = Self { rev: self.rev + 1, ..self.clone() };
        if !self.throttle.is_some_and(|throttle| throttle.is_fresh(now)) {
            let refused_per_hour = self.pace(full, now).to_per_hour();
            health.throttle = Some(Throttle { refused_per_hour, at: now });
        }
        if let Some(open) = health.open.as_mut().filter(|_| is_probe) {
            open.postpone(not_before, now);
        }
        let has_changed = (health.throttle, health.open) != (self.throttle, self.open);
        has_changed.then_some(Change { health, disables: false })
    }

    /// Returns the rate at `now` of an endpoint whose configured rate is `full`.
    #[must_use]
    pub fn pace(&self, full: Pace, now: Timestamp) -> Pace {
        self.throttle.map_or(full, |throttle| throttle.pace(full, now))
    }

    /// Returns the open breaker if a probe is due.
    #[must_use]
    pub fn due_probe(&self, now: Timestamp) -> Option<Open> {
        self.open.filter(|open| open.next_probe_at <= now)
    }

    /// Claims the next probe for the writer of the result, who then sends it with this event. Returns `None` if no probe
    /// is due.
    #[must_use]
    pub fn claim_probe(&self, event: EventId, now: Timestamp) -> Option<Change> {
        let probes = self.due_probe(now)?.probes.saturating_add(1);
        let next_probe_at = now.after(probe_interval(probes));
        let open = Some(Open { probes, next_probe_at, last_probed: Some(window::hash(event)) });
        let health = Self { rev: self.rev + 1, open, ..self.clone() };
        Some(Change { health, disables: false })
    }

    /// Removes the notice, after it was put into the inbox.
    #[must_use]
    pub fn with_notice_sent(&self) -> Change {
        Change { health: Self { rev: self.rev + 1, notice: None, ..self.clone() }, disables: false }
    }
}

/// Returns the time to the next probe after this number of probes.
fn probe_interval(probes: u32) -> Duration {
    let step = usize::try_from(probes).unwrap_or(usize::MAX).min(PROBE_MINUTES.len() - 1);
    Duration::from_mins(PROBE_MINUTES[step])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::START;

    fn event() -> EventId {
        EventId::generate(START, 1, &mut rand::rng())
    }

    fn failed(is_probe: bool) -> Failed {
        Failed { event: event(), error: "500".to_owned(), not_before: None, is_probe, is_gone: false }
    }

    fn minutes(minutes: u64) -> Timestamp {
        START.after(Duration::from_mins(minutes))
    }

    fn fail(health: &Health, failed: &Failed, now: Timestamp) -> Option<Change> {
        health.after_failure(failed, &Window::default(), now)
    }

    fn succeed(health: &Health, now: Timestamp) -> Option<Change> {
        let mut successes = Window::default();
        successes.count_success(now);
        health.after_success(&successes, now)
    }

    fn after_failures(count: u32) -> Health {
        (0..count).fold(Health::default(), |health, _| fail(&health, &failed(false), START).unwrap().health)
    }

    const OPENED: Option<Open> =
        Some(Open { probes: 0, next_probe_at: START_IN_A_MINUTE, last_probed: None });
    const START_IN_A_MINUTE: Timestamp = Timestamp::from_millis(START.millis() + 60_000);

    #[test]
    fn ten_failures_open_the_breaker_and_a_success_among_them_makes_it_more() {
        assert_eq!(after_failures(9).open, None);
        assert_eq!(after_failures(10).open, OPENED);
        let begun_anew = succeed(&after_failures(9), START).unwrap().health;
        assert_eq!((begun_anew.failures, begun_anew.failing_since, begun_anew.rev), (0, None, 10));
        assert_eq!(succeed(&begun_anew, START), None, "a further success writes nothing");
        let more = |count| {
            (0..count)
                .fold(begun_anew.clone(), |health, _| fail(&health, &failed(false), START).unwrap().health)
        };
        assert_eq!((more(3).open, more(4).open), (None, OPENED), "13 failures of 14 attempts");
    }

    #[test]
    fn an_event_that_alone_is_refused_opens_nothing() {
        let poison = failed(false);
        let health =
            (0..100).fold(Health::default(), |health, _| fail(&health, &poison, START).unwrap().health);
        assert_eq!((health.open, health.failures), (None, 100));
    }

    #[test]
    fn successes_that_an_instance_counted_are_carried_by_its_next_failure() {
        let mut successes = Window::default();
        (0..5).for_each(|_| successes.count_success(START));
        let change = after_failures(9).after_failure(&failed(false), &successes, START).unwrap();
        assert_eq!(change.health.open, None, "10 of 15 attempts failed");
        assert_eq!(change.health.window.minutes[0].attempts, 15);
    }

    #[test]
    fn a_closed_breaker_forgets_the_failures_that_opened_it() {
        let closed = succeed(&after_failures(10), START).unwrap().health;
        assert_eq!((closed.open, closed.failures), (None, 0));
        assert_eq!(fail(&closed, &failed(false), START).unwrap().health.open, None);
    }

    #[test]
    fn probes_are_sent_at_growing_intervals_with_the_newest_and_the_oldest_in_turn() {
        let mut health = after_failures(10);
        let mut at = START;
        let mut probes = Vec::new();
        while probes.len() < 7 {
            at = at.after(Duration::from_mins(1));
            if let Some(open) = health.due_probe(at) {
                let failed = failed(true);
                let change = health.claim_probe(failed.event, at).unwrap();
                assert_eq!(change.health.due_probe(at), None, "one probe at a time");
                assert_eq!(change.health.open.unwrap().last_probed, Some(window::hash(failed.event)));
                health = fail(&change.health, &failed, at).unwrap().health;
                probes.push((at.since(START).as_secs() / 60, open.takes_newest()));
            }
        }
        let sides = probes.iter().map(|(_, takes_newest)| *takes_newest).collect::<Vec<_>>();
        assert_eq!(probes.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 3, 8, 23, 83, 143, 203]);
        assert_eq!(sides, [true, false, true, false, true, false, true]);
    }

    #[test]
    fn an_attempt_in_flight_when_the_breaker_opened_changes_nothing() {
        assert_eq!(fail(&after_failures(10), &failed(false), START), None);
    }

    #[test]
    fn a_retry_after_postpones_the_probe_by_an_hour_at_most() {
        for (asked, expected) in [(30, 30), (24 * 60, 60)] {
            let asking = Failed { not_before: Some(minutes(asked)), ..failed(false) };
            let health = fail(&after_failures(9), &asking, START).unwrap().health;
            assert_eq!(health.open.unwrap().next_probe_at, minutes(expected));
            assert_eq!(health.due_probe(minutes(expected - 1)), None);
        }
    }

    #[test]
    fn a_429_halves_the_rate_once_a_minute_and_is_no_failure() {
        let full = Pace::per_second(30);
        let refuse = |health: &Health, now| health.after_refusal(full, None, false, now);
        let halved = refuse(&Health::default(), START).unwrap().health;
        assert_eq!(halved.pace(full, START), Pace::per_second(15));
        assert_eq!((halved.failures, halved.failing_since, halved.open), (0, None, None));
        assert_eq!(halved.window, Window::default());
        assert_eq!(refuse(&halved, START.after(Duration::from_secs(59))), None, "requests in flight");
        let again = refuse(&halved, minutes(1)).unwrap().health;
        assert_eq!(again.pace(full, minutes(1)), Pace::per_hour(27_000));
        let failing = fail(&again, &failed(false), minutes(1)).unwrap().health;
        assert_eq!(succeed(&failing, minutes(1)).unwrap().health.throttle, again.throttle);
    }

    #[test]
    fn a_429_to_a_probe_moves_the_next_probe_by_an_hour_at_most() {
        let open = after_failures(10);
        let refused = open.after_refusal(Pace::per_second(1), Some(minutes(600)), true, START).unwrap();
        assert_eq!(refused.health.open.unwrap().next_probe_at, minutes(60));
        assert_eq!((refused.health.failures, refused.disables), (10, false));
    }

    #[test]
    fn the_owner_gets_a_notice_after_an_hour_and_one_on_recovery() {
        let health = after_failures(10);
        assert_eq!(fail(&health, &failed(true), minutes(59)).unwrap().health.notice, None);
        let noticed = fail(&health, &failed(true), minutes(60)).unwrap().health;
        assert_eq!(noticed.notice, Some(Notice { kind: NoticeKind::Failing, at: minutes(60) }));
        let again = fail(&noticed.with_notice_sent().health, &failed(true), minutes(90)).unwrap().health;
        assert_eq!(again.notice, None, "one notice is enough");
        let recovered = succeed(&again, minutes(100)).unwrap().health;
        assert_eq!(recovered.notice, Some(Notice { kind: NoticeKind::Recovered, at: minutes(100) }));
        assert_eq!(
            succeed(&health, minutes(100)).unwrap().health.notice,
            None,
            "there was no notice of a failure"
        );
    }

    #[test]
    fn ten_failures_over_five_days_without_a_success_disable_the_endpoint() {
        let days = |days: u64| START.after(Duration::from_hours(24 * days));
        let change = |failures, at| fail(&after_failures(failures), &failed(true), at).unwrap();
        assert!(!change(5, days(6)).disables, "six failures are too few");
        assert!(!change(9, days(4)).disables);
        let disabled = change(9, days(5));
        assert!(disabled.disables);
        assert_eq!(disabled.health.notice.unwrap().kind, NoticeKind::Disabled);
        let recovered = succeed(&after_failures(9), days(4)).unwrap().health;
        let failing =
            (0..20).fold(recovered, |health, _| fail(&health, &failed(true), days(5)).unwrap().health);
        assert!(!fail(&failing, &failed(true), days(8)).unwrap().disables, "there was a success");
    }

    #[test]
    fn a_410_disables_the_endpoint_at_once() {
        let gone = Failed { is_gone: true, ..failed(false) };
        assert!(fail(&Health::default(), &gone, START).unwrap().disables);
        assert!(fail(&after_failures(10), &gone, START).unwrap().disables);
    }
}

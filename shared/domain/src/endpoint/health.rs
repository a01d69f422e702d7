//! The circuit breaker of an endpoint. It opens when most attempts of the last five minutes failed ([`window`]). While
//! it is open, deliveries are parked instead of sent, and single deliveries are sent as probes at growing intervals.
//! The first success closes it, and so does the owner. An endpoint that only fails for five days is disabled.
//!
//! ```text
//!   closed ── 10 attempts in 5 min, ──> open ── a success ──────> closed: parked deliveries are sent at the endpoint's rate
//!             70 % or more failed,      │ │ └── a probe fails ──> open: the next probe follows 1, 2, 5, 15, 60, 60 ... min later
//!             of 3 events or more       │ └──── 10 failures over 5 days, no success ──> disabled
//!                                       └─ 429 ─> trial: deliveries are sent at 10 a minute or less
//!                                                   ├── a success ──> closed
//!                                                   └── a failure ──> open: the next probe follows as after a failed probe
//! ```
//!
//! A dead endpoint therefore costs a few requests per hour, for any number of waiting events. A parked delivery uses
//! up no attempt. A 429 is no failure: it lowers the rate of the endpoint ([`throttle`]), and to a probe it shows that
//! the endpoint answers ([`trial`]).

pub mod throttle;
pub mod trial;
pub mod window;

#[cfg(test)]
mod tests;

use std::time::Duration;

use self::throttle::Throttle;
use self::trial::Trial;
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
    /// The open breaker; `None` while it is closed, or on trial.
    pub open: Option<Open>,
    /// The trial since a probe was answered 429.
    pub trial: Option<Trial>,
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
        if self.failures == 0 && self.is_closed() {
            return None;
        }
        let notice = self.has_failing_notice.then_some(Notice { kind: NoticeKind::Recovered, at: now });
        let window = if self.is_closed() {
            self.window.with_successes(successes, now)
        } else {
            Window::default() // the failures that opened the breaker must not open it again
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
        let mut health = self.with_failure(failed, successes, now);

        // 2. Open the breaker, or move the next probe.
        if let Some(Trial { probes, last_probed, .. }) = self.trial {
            health.open =
                Some(Open { probes, next_probe_at: now.after(probe_interval(probes)), last_probed });
        } else if health.open.is_none() && health.window.shows_outage(now) {
            let next_probe_at = now.after(probe_interval(0));
            health.open = Some(Open { probes: 0, next_probe_at, last_probed: None });
        }
        if let Some(open) = &mut health.open {
            open.postpone(failed.not_before, now);
        }

        // 3. Disable the endpoint, or prepare a notice.
        let failing_for = health.failing_since.map_or(Duration::ZERO, |since| now.since(since));
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

    /// Counts a failure, which ends a trial. The time of the trial is no time in which the endpoint failed.
    fn with_failure(&self, failed: &Failed, successes: &Window, now: Timestamp) -> Self {
        let on_trial_for = self.trial.map_or(Duration::ZERO, |trial| now.since(trial.since));
        let mut window = self.window.with_successes(successes, now);
        window.count_failure(failed.event, now);
        Self {
            rev: self.rev + 1,
            failures: self.failures.saturating_add(1),
            failing_since: Some(self.failing_since.map_or(now, |since| since.after(on_trial_for))),
            last_error: Some(failed.error.clone()),
            window,
            trial: None,
            ..self.clone()
        }
    }

    /// Records a 429, which is no failure: it halves the rate of the endpoint, whose configured rate is `full`. A 429 that
    /// answers a probe begins a trial. Returns `None` if there is nothing to write.
    #[must_use]
    pub fn after_refusal(&self, full: Pace, is_probe: bool, now: Timestamp) -> Option<Change> {
        let mut health = Self { rev: self.rev + 1, ..self.clone() };
        if !self.throttle.is_some_and(|throttle| throttle.is_fresh(now)) {
            let refused_per_hour = self.pace(full, now).to_per_hour();
            health.throttle = Some(Throttle { refused_per_hour, at: now });
        }
        if is_probe && let Some(Open { probes, last_probed, .. }) = health.open.take() {
            health.trial = Some(Trial { since: now, probes, last_probed });
        }
        let has_changed = (health.throttle, health.trial) != (self.throttle, self.trial);
        has_changed.then_some(Change { health, disables: false })
    }

    /// Returns the rate at `now` of an endpoint whose configured rate is `full`.
    #[must_use]
    pub fn pace(&self, full: Pace, now: Timestamp) -> Pace {
        let full = if self.trial.is_some() { full.min(trial::pace()) } else { full };
        self.throttle.map_or(full, |throttle| throttle.pace(full, now))
    }

    /// Returns whether the breaker is closed: it is not open, and not on trial.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.open.is_none() && self.trial.is_none()
    }

    /// Closes the breaker, because the owner says that the endpoint gets deliveries.
    pub fn close(&mut self) {
        (self.open, self.trial) = (None, None);
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

    /// Removes the notice, after it was stored as an event.
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

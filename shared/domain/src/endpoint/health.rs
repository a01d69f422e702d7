//! The circuit breaker of an endpoint. Five failures in a row open it. While it is open, deliveries are parked
//! instead of sent, and single deliveries are sent as probes at growing intervals. The first successful probe closes
//! it. An endpoint that fails for five days is disabled.
//!
//! ```text
//!   closed ── 5 failures in a row ──> open ── a probe succeeds ──> closed: parked deliveries are sent at the endpoint's rate
//!                                      │  └── a probe fails ─────> open: the next probe follows 1, 2, 5, 15, 60, 60 ... min later
//!                                      └───── 10 failures over 5 days ──> disabled
//! ```
//!
//! A dead endpoint therefore costs a few requests per hour, for any number of waiting events. A parked delivery uses
//! up no attempt.

use std::time::Duration;

use crate::timestamp::Timestamp;

/// The number of failures in a row that opens the breaker.
const FAILURES_TO_OPEN: u32 = 5;

/// The minutes from the opening to the first probe, and from each probe to the next. The last value repeats.
const PROBE_MINUTES: [u64; 5] = [1, 2, 5, 15, 60];

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

/// The health of an endpoint. It is written on a failure, and on the first success after a failure. Other successes
/// write nothing.
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
    /// The open breaker; `None` while it is closed.
    pub open: Option<Open>,
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
}

/// A failed attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failed {
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
    /// Records a success. Returns `None` if there is nothing to write.
    #[must_use]
    pub fn after_success(&self, now: Timestamp) -> Option<Change> {
        if self.failures == 0 {
            return None;
        }
        let notice = self.has_failing_notice.then_some(Notice { kind: NoticeKind::Recovered, at: now });
        let health = Self { rev: self.rev + 1, notice, ..Self::default() };
        Some(Change { health, disables: false })
    }

    /// Records a failure. Returns `None` if there is nothing to write: an attempt that was in flight when the breaker
    /// opened gives no new information.
    #[must_use]
    pub fn after_failure(&self, failed: &Failed, now: Timestamp) -> Option<Change> {
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

        // 2. Open the breaker, or move the next probe.
        if health.failures >= FAILURES_TO_OPEN {
            let first = Open { probes: 0, next_probe_at: now.after(probe_interval(0)) };
            let open = health.open.get_or_insert(first);
            open.next_probe_at = failed.not_before.unwrap_or(now).max(open.next_probe_at);
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

    /// Claims the next probe for the writer of the result, who then sends it. Returns `None` if no probe is due.
    #[must_use]
    pub fn claim_probe(&self, now: Timestamp) -> Option<Change> {
        let open = self.open.filter(|open| open.next_probe_at <= now)?;
        let probes = open.probes.saturating_add(1);
        let next_probe_at = now.after(probe_interval(probes));
        let health = Self { rev: self.rev + 1, open: Some(Open { probes, next_probe_at }), ..self.clone() };
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

    fn failed(is_probe: bool) -> Failed {
        Failed { error: "500".to_owned(), not_before: None, is_probe, is_gone: false }
    }

    fn minutes(minutes: u64) -> Timestamp {
        START.after(Duration::from_mins(minutes))
    }

    fn after_failures(count: u32) -> Health {
        (0..count)
            .fold(Health::default(), |health, _| health.after_failure(&failed(false), START).unwrap().health)
    }

    #[test]
    fn five_failures_in_a_row_open_the_breaker_and_a_success_resets_the_count() {
        assert_eq!(after_failures(4).open, None);
        assert_eq!(after_failures(5).open, Some(Open { probes: 0, next_probe_at: minutes(1) }));
        let begun_anew = after_failures(4).after_success(START).unwrap().health;
        assert_eq!(begun_anew, Health { rev: 5, ..Health::default() });
        assert_eq!(begun_anew.after_success(START), None, "a further success writes nothing");
    }

    #[test]
    fn probes_are_sent_at_growing_intervals() {
        let mut health = after_failures(5);
        let mut at = START;
        let mut probes = Vec::new();
        while probes.len() < 7 {
            at = at.after(Duration::from_mins(1));
            if let Some(change) = health.claim_probe(at) {
                assert_eq!(change.health.claim_probe(at), None, "one probe at a time");
                health = change.health.after_failure(&failed(true), at).unwrap().health;
                probes.push(at.since(START).as_secs() / 60);
            }
        }
        assert_eq!(probes, [1, 3, 8, 23, 83, 143, 203]);
    }

    #[test]
    fn an_attempt_in_flight_when_the_breaker_opened_changes_nothing() {
        assert_eq!(after_failures(5).after_failure(&failed(false), START), None);
        let closed = after_failures(5).after_success(START).unwrap().health;
        assert_eq!((closed.open, closed.failures), (None, 0));
    }

    #[test]
    fn a_retry_after_postpones_the_probe() {
        let asking = Failed { not_before: Some(minutes(30)), ..failed(false) };
        let health = after_failures(4).after_failure(&asking, START).unwrap().health;
        assert_eq!(health.open.unwrap().next_probe_at, minutes(30));
        assert_eq!(health.claim_probe(minutes(29)), None);
    }

    #[test]
    fn the_owner_gets_a_notice_after_an_hour_and_one_on_recovery() {
        let health = after_failures(5);
        assert_eq!(health.after_failure(&failed(true), minutes(59)).unwrap().health.notice, None);
        let noticed = health.after_failure(&failed(true), minutes(60)).unwrap().health;
        assert_eq!(noticed.notice, Some(Notice { kind: NoticeKind::Failing, at: minutes(60) }));
        let again =
            noticed.with_notice_sent().health.after_failure(&failed(true), minutes(90)).unwrap().health;
        assert_eq!(again.notice, None, "one notice is enough");
        let recovered = again.after_success(minutes(100)).unwrap().health;
        assert_eq!(recovered.notice, Some(Notice { kind: NoticeKind::Recovered, at: minutes(100) }));
        assert_eq!(
            health.after_success(minutes(100)).unwrap().health.notice,
            None,
            "there was no notice of a failure"
        );
    }

    #[test]
    fn ten_failures_over_five_days_disable_the_endpoint() {
        let days = |days: u64| START.after(Duration::from_hours(24 * days));
        let change = |failures, at| after_failures(failures).after_failure(&failed(true), at).unwrap();
        assert!(!change(5, days(6)).disables, "six failures are too few");
        let nine = Health { failures: 9, ..after_failures(5) };
        assert!(!nine.after_failure(&failed(true), days(4)).unwrap().disables);
        let disabled = nine.after_failure(&failed(true), days(5)).unwrap();
        assert!(disabled.disables);
        assert_eq!(disabled.health.notice.unwrap().kind, NoticeKind::Disabled);
    }

    #[test]
    fn a_410_disables_the_endpoint_at_once() {
        let gone = Failed { is_gone: true, ..failed(false) };
        assert!(Health::default().after_failure(&gone, START).unwrap().disables);
        assert!(after_failures(5).after_failure(&gone, START).unwrap().disables);
    }
}

//! When an endpoint is left in peace. Five failures in a row open its breaker: deliveries are parked instead of made, and
//! single ones are sent as probes, at ever longer intervals, until one succeeds. Five days of nothing but failures disable
//! the endpoint.
//!
//! ```text
//!   closed ── 5 failures in a row ──> open ── probe succeeds ──> closed: what is parked drains at the endpoint's rate
//!                                      │  └── probe fails ─────> open: the next probe 1, 2, 5, 15, 60, 60 ... min later
//!                                      └───── 5 days, 10 failures or more ──> disabled
//! ```
//!
//! Retries to a dead endpoint thus cost a few requests an hour, however many events wait for it, and no parked
//! delivery spends an attempt.

use std::time::Duration;

use crate::timestamp::Timestamp;

/// So many failures in a row open the breaker.
const FAILURES_TO_OPEN: u32 = 5;

/// Minutes from the opening to the first probe, and from each probe to the next; the last one repeats.
const PROBE_MINUTES: [u64; 5] = [1, 2, 5, 15, 60];

/// An endpoint's owner is told after so long.
const TELL_AFTER: Duration = Duration::from_hours(1);

/// An endpoint is disabled after so long without a success ...
const DISABLE_AFTER: Duration = Duration::from_hours(5 * 24);

/// ... and so many failures: one bad request a day is no proof.
const FAILURES_TO_DISABLE: u32 = 10;

/// Something the owner of an endpoint is told by an event in the inbox.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// What happened.
    pub kind: NoticeKind,
    /// When.
    pub at: Timestamp,
}

/// What the owner of an endpoint may be told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoticeKind {
    /// It fails for an hour.
    Failing,
    /// It gets nothing any more.
    Disabled,
    /// It takes events again.
    Recovered,
}

impl NoticeKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Failing, Self::Disabled, Self::Recovered];

    /// The type of the event that tells it.
    #[must_use]
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::Failing => "endpoint.failing",
            Self::Disabled => "endpoint.disabled",
            Self::Recovered => "endpoint.recovered",
        }
    }

    /// The kind that this event type tells; `None` if there is none.
    #[must_use]
    pub fn parse(event_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.event_type() == event_type)
    }
}

/// How an endpoint does. Written on a failure, and on the first success after one; never while all is well.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Health {
    /// How often it was written. Every update is conditional on the value it read.
    pub rev: u64,
    /// Failures since the last success.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<Timestamp>,
    /// What the last of them was, in a few words.
    pub last_error: Option<String>,
    /// Set while the breaker is open.
    pub open: Option<Open>,
    /// Whether the owner was told that it fails.
    pub is_told: bool,
    /// What the owner is still to be told.
    pub notice: Option<Notice>,
}

/// An open breaker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Open {
    /// How many probes were sent.
    pub probes: u32,
    /// When the next one may be.
    pub next_probe_at: Timestamp,
}

/// What an attempt's failure says about its endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failed {
    /// What it was, in a few words.
    pub error: String,
    /// The moment before which the endpoint wants no further request.
    pub not_before: Option<Timestamp>,
    /// Whether it was a probe.
    pub is_probe: bool,
    /// Whether the endpoint said that it is gone for good.
    pub is_gone: bool,
}

/// An endpoint's health as it is to be written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// The health, with the next `rev`.
    pub health: Health,
    /// Whether the endpoint is disabled with it.
    pub disables: bool,
}

impl Health {
    /// The health after a success; `None` where there is nothing to write.
    #[must_use]
    pub fn after_success(&self, now: Timestamp) -> Option<Change> {
        if self.failures == 0 {
            return None;
        }
        let notice = self.is_told.then_some(Notice { kind: NoticeKind::Recovered, at: now });
        let health = Self { rev: self.rev + 1, notice, ..Self::default() };
        Some(Change { health, disables: false })
    }

    /// The health after a failure; `None` where there is nothing to write: a delivery that was under way when
    /// the breaker opened says nothing new.
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

        // 3. Disable the endpoint, or tell its owner.
        let has_failed_for_long = failing_for >= DISABLE_AFTER && health.failures >= FAILURES_TO_DISABLE;
        let disables = failed.is_gone || has_failed_for_long;
        if disables {
            health.notice = Some(Notice { kind: NoticeKind::Disabled, at: now });
        } else if failing_for >= TELL_AFTER && !health.is_told {
            health.is_told = true;
            health.notice = Some(Notice { kind: NoticeKind::Failing, at: now });
        }
        Some(Change { health, disables })
    }

    /// The health with a probe under way; `None` where none is due. Whoever writes it sends the probe.
    #[must_use]
    pub fn claim_probe(&self, now: Timestamp) -> Option<Change> {
        let open = self.open.filter(|open| open.next_probe_at <= now)?;
        let probes = open.probes.saturating_add(1);
        let next_probe_at = now.after(probe_interval(probes));
        let health = Self { rev: self.rev + 1, open: Some(Open { probes, next_probe_at }), ..self.clone() };
        Some(Change { health, disables: false })
    }

    /// The health once its notice is in the inbox.
    #[must_use]
    pub fn told(&self) -> Change {
        Change { health: Self { rev: self.rev + 1, notice: None, ..self.clone() }, disables: false }
    }
}

/// How long after this many probes the next one follows.
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
    fn five_failures_in_a_row_open_it_and_a_success_before_begins_anew() {
        assert_eq!(after_failures(4).open, None);
        assert_eq!(after_failures(5).open, Some(Open { probes: 0, next_probe_at: minutes(1) }));
        let begun_anew = after_failures(4).after_success(START).unwrap().health;
        assert_eq!(begun_anew, Health { rev: 5, ..Health::default() });
        assert_eq!(begun_anew.after_success(START), None, "nothing is written while all is well");
    }

    #[test]
    fn probes_come_at_ever_longer_intervals() {
        let mut health = after_failures(5);
        let mut at = START;
        let mut probes = Vec::new();
        while probes.len() < 7 {
            at = at.after(Duration::from_mins(1));
            if let Some(change) = health.claim_probe(at) {
                assert_eq!(change.health.claim_probe(at), None, "one at a time");
                health = change.health.after_failure(&failed(true), at).unwrap().health;
                probes.push(at.since(START).as_secs() / 60);
            }
        }
        assert_eq!(probes, [1, 3, 8, 23, 83, 143, 203]);
    }

    #[test]
    fn what_was_under_way_when_it_opened_changes_nothing_more() {
        assert_eq!(after_failures(5).after_failure(&failed(false), START), None);
        let closed = after_failures(5).after_success(START).unwrap().health;
        assert_eq!((closed.open, closed.failures), (None, 0));
    }

    #[test]
    fn a_receiver_that_asks_for_a_longer_pause_is_probed_after_it() {
        let asking = Failed { not_before: Some(minutes(30)), ..failed(false) };
        let health = after_failures(4).after_failure(&asking, START).unwrap().health;
        assert_eq!(health.open.unwrap().next_probe_at, minutes(30));
        assert_eq!(health.claim_probe(minutes(29)), None);
    }

    #[test]
    fn the_owner_is_told_after_an_hour_and_of_the_recovery() {
        let health = after_failures(5);
        assert_eq!(health.after_failure(&failed(true), minutes(59)).unwrap().health.notice, None);
        let told = health.after_failure(&failed(true), minutes(60)).unwrap().health;
        assert_eq!(told.notice, Some(Notice { kind: NoticeKind::Failing, at: minutes(60) }));
        let again = told.told().health.after_failure(&failed(true), minutes(90)).unwrap().health;
        assert_eq!(again.notice, None, "once is enough");
        let recovered = again.after_success(minutes(100)).unwrap().health;
        assert_eq!(recovered.notice, Some(Notice { kind: NoticeKind::Recovered, at: minutes(100) }));
        assert_eq!(health.after_success(minutes(100)).unwrap().health.notice, None, "nobody knew");
    }

    #[test]
    fn five_days_of_ten_failures_or_more_disable_it() {
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
    fn a_receiver_that_is_gone_is_disabled_at_once() {
        let gone = Failed { is_gone: true, ..failed(false) };
        assert!(Health::default().after_failure(&gone, START).unwrap().disables);
        assert!(after_failures(5).after_failure(&gone, START).unwrap().disables);
    }
}

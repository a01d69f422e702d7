//! Work that is longer than a request: a replay, or the erasure of a tenant. A job is one row of `Schedule` with a cursor;
//! the scheduler advances it in bounded steps.
//!
//! ```text
//!   free ── claim ──> busy, for a while ── step, save, step, save ... ──> released, or ended
//!     ^                 `── whoever claimed it died: its time ends ──┐
//!     └──────────────────────────────────────────────────────────────┘
//! ```
//!
//! A step does its work first and saves the cursor after it, so that a step whose process died is made again; every step
//! may therefore run twice. Every write is conditional on the `rev` that was read: two schedulers that hold the same job for
//! theirs do not both advance it.

pub mod erasure;
pub mod replay;

use std::fmt;
use std::time::Duration;

use rand::Rng;

use self::erasure::Erasure;
use self::replay::Replay;
use crate::id;
use crate::tenant::api_key::KeyHash;
use crate::tenant::id::TenantId;
use crate::timestamp::Timestamp;

/// Whoever claims a job has it to himself for so long at least: longer than a visit of the scheduler (55 s).
const BUSY: Duration = Duration::from_secs(70);

const REPLAY: &str = "rpl_";
const ERASURE: &str = "era_";

/// The identity of a job: `rpl_` or `era_`, and 32 hexadecimal digits.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct JobId(String);

impl JobId {
    /// A new replay. Identities of replays sort by time: a later run is told by it.
    pub fn replay(now: Timestamp, rng: &mut impl Rng) -> Self {
        Self(id::by_time(REPLAY, now, rng))
    }

    /// The erasure that the bearer of this key asks for: however often he does, it is one. Nobody else can tell its identity
    /// who cannot read the table of keys: by it the receipt is read, when no key is left.
    #[must_use]
    pub fn erasure(key: &KeyHash) -> Self {
        Self(id::derived(ERASURE, key.as_str()))
    }

    /// Accepts exactly the form of a replay's identity.
    #[must_use]
    pub fn parse_replay(text: &str) -> Option<Self> {
        Self::parse(REPLAY, text)
    }

    /// Accepts exactly the form of an erasure's identity.
    #[must_use]
    pub fn parse_erasure(text: &str) -> Option<Self> {
        Self::parse(ERASURE, text)
    }

    fn parse(prefix: &str, text: &str) -> Option<Self> {
        id::is_canonical(prefix, text).then(|| Self(text.to_owned()))
    }

    /// The identity that our own code wrote into a table.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The identity as text.
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

/// A job, as it was read or is to be written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Job {
    /// Which job.
    pub id: JobId,
    /// Whose.
    pub tenant: TenantId,
    /// What there is to do, and how far it is done.
    pub work: Work,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Until when somebody works at it.
    pub busy_until: Timestamp,
    /// Whether its owner wants it to end early.
    pub is_cancelled: bool,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How often it was written. Every update is conditional on the value it read.
    pub rev: u64,
}

/// What there is to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Work {
    /// Events are sent again.
    Replay(Box<Replay>),
    /// All that a tenant has is deleted.
    Erasure(Box<Erasure>),
}

impl Job {
    /// A job that is just asked for.
    #[must_use]
    pub fn new(id: JobId, tenant: TenantId, work: Work, now: Timestamp) -> Self {
        let busy_until = Timestamp::from_millis(0);
        Self { id, tenant, work, created_at: now, busy_until, is_cancelled: false, ended_at: None, rev: 1 }
    }

    /// The job in the hands of whoever writes this; `None` while somebody else has it, or where it has ended.
    #[must_use]
    pub fn claim(&self, now: Timestamp) -> Option<Self> {
        let is_free = self.busy_until <= now && self.ended_at.is_none();
        is_free.then(|| Self { busy_until: now.after(BUSY), ..self.next() })
    }

    /// The job with what a step leaves to be done; whatever is written next writes it too.
    #[must_use]
    pub fn with(&self, work: Work) -> Self {
        Self { work, ..self.clone() }
    }

    /// The job between two steps.
    #[must_use]
    pub fn advanced(&self) -> Self {
        self.next()
    }

    /// The job for the next visit, which need not wait for it.
    #[must_use]
    pub fn released(&self) -> Self {
        Self { busy_until: Timestamp::from_millis(0), ..self.next() }
    }

    /// The job once it is done, or was cancelled.
    #[must_use]
    pub fn ended(&self, now: Timestamp) -> Self {
        Self { ended_at: Some(now), ..self.next() }
    }

    /// The job once its owner wants it to end; `None` where he does already, or it has ended.
    #[must_use]
    pub fn cancel(&self) -> Option<Self> {
        (!self.is_cancelled && self.ended_at.is_none()).then(|| Self { is_cancelled: true, ..self.next() })
    }

    /// What we were about to write, on top of what somebody else wrote instead; `None` where that was more than that the
    /// owner wants it to end.
    #[must_use]
    pub fn on_top_of(&self, now: &Self) -> Option<Self> {
        let is_next_write = now.rev == self.rev;
        let is_cancellation = now.is_cancelled && !self.is_cancelled && now.ended_at.is_none();
        let merged = Self { is_cancelled: true, rev: now.rev + 1, ..self.clone() };
        (is_next_write && is_cancellation).then_some(merged)
    }

    /// Where it stands, in one word.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match (self.ended_at.is_some(), self.is_cancelled) {
            (true, true) => "cancelled",
            (true, false) => "done",
            (false, true) => "cancelling",
            (false, false) => "running",
        }
    }

    fn next(&self) -> Self {
        Self { rev: self.rev + 1, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, erasure_id, tenant};

    fn job() -> Job {
        let work = Work::Erasure(Box::new(Erasure::begin()));
        Job::new(erasure_id(), tenant(), work, START)
    }

    #[test]
    fn one_at_a_time_works_at_a_job_and_whoever_dies_is_followed() {
        let claimed = job().claim(START).unwrap();
        assert_eq!((claimed.rev, claimed.state()), (2, "running"));
        assert_eq!(claimed.claim(START.after(Duration::from_secs(69))), None);
        assert!(claimed.claim(START.after(BUSY)).is_some());
        assert!(claimed.released().claim(START).is_some());
        assert_eq!(claimed.ended(START).claim(START.after(BUSY)), None);
    }

    #[test]
    fn whatever_is_written_is_written_once() {
        let later = Work::Erasure(Box::new(Erasure { deleted: 1, ..Erasure::begin() }));
        let stepped = job().with(later.clone());
        for next in [stepped.advanced(), stepped.released(), stepped.ended(START), stepped.cancel().unwrap()]
        {
            assert_eq!((next.rev, &next.work), (2, &later));
        }
    }

    #[test]
    fn a_job_is_cancelled_once_and_not_after_its_end() {
        let cancelled = job().cancel().unwrap();
        assert_eq!((cancelled.state(), cancelled.cancel()), ("cancelling", None));
        assert_eq!(cancelled.ended(START).state(), "cancelled");
        assert_eq!(job().ended(START).cancel(), None);
        assert_eq!(job().ended(START).state(), "done");
    }

    #[test]
    fn a_step_that_was_made_counts_although_its_job_was_cancelled_meanwhile() {
        let claimed = job().claim(START).unwrap();
        let step = claimed.advanced();
        let cancelled = claimed.cancel().unwrap();
        let both = step.on_top_of(&cancelled).unwrap();
        assert_eq!((both.is_cancelled, both.rev), (true, cancelled.rev + 1));
        assert_eq!(step.on_top_of(&claimed.advanced()), None, "somebody else has it");
        assert_eq!(step.on_top_of(&cancelled.ended(START)), None);
    }

    #[test]
    fn identities_have_one_form_and_those_of_replays_sort_by_time() {
        let replay = JobId::replay(START, &mut rand::rng());
        let erasure = erasure_id();
        assert_eq!(JobId::parse_replay(replay.as_str()), Some(replay.clone()));
        assert_eq!(JobId::parse_erasure(erasure.as_str()), Some(erasure.clone()));
        assert_eq!(JobId::parse_erasure(replay.as_str()), None);
        assert_eq!(JobId::parse_replay("rpl_1"), None);
        assert!(replay < JobId::replay(START.after(Duration::from_millis(1)), &mut rand::rng()));
        assert!(crate::delivery::ORIGINAL < replay.as_str(), "the original run is earlier than any");
    }
}

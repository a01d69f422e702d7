//! A job: work that takes longer than a request, namely a replay or the erasure of a tenant. A job is one row of
//! `Schedule` with a cursor. The scheduler advances it in bounded steps.
//!
//! ```text
//!   free ── claim ──> claimed ── step, save, step, save ... ──> released, or ended
//!     ^                 └── the scheduler crashes, and the claim ends ──┐
//!     └─────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A step does its work first and saves the cursor second. If the process crashes between the two, the step runs
//! again, so every step must be safe to repeat. Each write is conditional on the `rev` that was read, so two
//! schedulers with the same job cannot both advance it.

pub mod erasure;
pub mod id;
pub mod replay;

use std::time::Duration;

use self::erasure::Erasure;
use self::id::JobId;
use self::replay::Replay;
use crate::tenant::id::TenantId;
use crate::timestamp::Timestamp;

/// How long a claim of a job lasts: longer than one run of the scheduler (55 s).
const BUSY: Duration = Duration::from_secs(70);

/// A job, as it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Job {
    /// The id of the job.
    pub id: JobId,
    /// The tenant that the job works for.
    pub tenant: TenantId,
    /// The work of the job, and its progress.
    pub work: Work,
    /// When the job was requested.
    pub created_at: Timestamp,
    /// The end of the current claim. Until then no other scheduler claims the job.
    pub busy_until: Timestamp,
    /// When the job was claimed last; `None` before its first claim, and if the claim was made by a version that did not
    /// write this down.
    pub last_turn: Option<Timestamp>,
    /// Whether the owner cancelled the job.
    pub is_cancelled: bool,
    /// When the job ended; `None` while it runs.
    pub ended_at: Option<Timestamp>,
    /// The number of writes. Each update is conditional on the value that it read.
    pub rev: u64,
}

/// The work of a job.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Work {
    /// The job sends events again.
    Replay(Box<Replay>),
    /// The job deletes all data of a tenant.
    Erasure(Box<Erasure>),
}

impl Job {
    /// Makes a new job.
    #[must_use]
    pub fn new(id: JobId, tenant: TenantId, work: Work, now: Timestamp) -> Self {
        let busy_until = Timestamp::from_millis(0);
        Self {
            id,
            tenant,
            work,
            created_at: now,
            busy_until,
            last_turn: None,
            is_cancelled: false,
            ended_at: None,
            rev: 1,
        }
    }

    /// Claims the job for the writer of the result. Returns `None` if another claim is still valid, or if the job has ended.
    #[must_use]
    pub fn claim(&self, now: Timestamp) -> Option<Self> {
        let is_free = self.busy_until <= now && self.ended_at.is_none();
        is_free.then(|| Self { busy_until: now.after(BUSY), last_turn: Some(now), ..self.next() })
    }

    /// Returns since when the job waits for a turn. The jobs of one tenant take turns in this order: a new job comes after
    /// those that wait already, and before those that had a turn since it was requested.
    #[must_use]
    pub fn waits_since(&self) -> Timestamp {
        self.last_turn.unwrap_or(self.created_at)
    }

    /// Sets the work and its progress, without a new `rev`: the next write stores it.
    #[must_use]
    pub fn with(&self, work: Work) -> Self {
        Self { work, ..self.clone() }
    }

    /// Returns the job to write between two steps.
    #[must_use]
    pub fn advanced(&self) -> Self {
        self.next()
    }

    /// Releases the claim, so that the next run of the scheduler can claim the job at once.
    #[must_use]
    pub fn released(&self) -> Self {
        Self { busy_until: Timestamp::from_millis(0), ..self.next() }
    }

    /// Ends the job: it is done, or was cancelled.
    #[must_use]
    pub fn ended(&self, now: Timestamp) -> Self {
        Self { ended_at: Some(now), ..self.next() }
    }

    /// Cancels the job. Returns `None` if it was cancelled before, or has ended.
    #[must_use]
    pub fn cancel(&self) -> Option<Self> {
        (!self.is_cancelled && self.ended_at.is_none()).then(|| Self { is_cancelled: true, ..self.next() })
    }

    /// Merges our unwritten step with the stored job `now`, if the only write in between is the owner's cancellation.
    /// Returns `None` after any other write.
    #[must_use]
    pub fn merge_with(&self, now: &Self) -> Option<Self> {
        let is_next_write = now.rev == self.rev;
        let is_cancellation = now.is_cancelled && !self.is_cancelled && now.ended_at.is_none();
        let merged = Self { is_cancelled: true, rev: now.rev + 1, ..self.clone() };
        (is_next_write && is_cancellation).then_some(merged)
    }

    /// Returns the state of the job in JSON: `running`, `cancelling`, `cancelled` or `done`.
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
    fn one_scheduler_at_a_time_has_a_job_and_a_claim_ends_after_a_crash() {
        let claimed = job().claim(START).unwrap();
        assert_eq!((claimed.rev, claimed.state()), (2, "running"));
        assert_eq!((job().waits_since(), claimed.waits_since()), (job().created_at, START));
        assert_eq!(claimed.claim(START.after(Duration::from_secs(69))), None);
        assert!(claimed.claim(START.after(BUSY)).is_some());
        assert!(claimed.released().claim(START).is_some());
        assert_eq!(claimed.ended(START).claim(START.after(BUSY)), None);
    }

    #[test]
    fn every_write_raises_rev_once_and_keeps_the_work() {
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
    fn a_step_counts_if_the_job_was_cancelled_during_it() {
        let claimed = job().claim(START).unwrap();
        let step = claimed.advanced();
        let cancelled = claimed.cancel().unwrap();
        let both = step.merge_with(&cancelled).unwrap();
        assert_eq!((both.is_cancelled, both.rev), (true, cancelled.rev + 1));
        assert_eq!(step.merge_with(&claimed.advanced()), None, "another scheduler advanced it");
        assert_eq!(step.merge_with(&cancelled.ended(START)), None);
    }
}

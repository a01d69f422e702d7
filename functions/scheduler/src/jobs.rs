//! Advances the jobs. Each job is claimed for this run, and takes bounded steps in turn with the other jobs while there is
//! time. A step does its work first and saves its cursor second, so after a crash the step runs again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use domain::job::{Job, Work};
use domain::timestamp::Timestamp;
use futures_util::future::join_all;
use rand::seq::SliceRandom;
use store::clock::Clock;
use store::items::Updated;
use store::ports::Ports;
use store::unavailable::PortResult;

use crate::handler::{RunCounts, Scheduler};
use crate::step::StepResult;

/// The largest number of jobs in one run.
const MAX_JOBS: usize = 1000;

/// The largest number of jobs at the same time.
const CONCURRENT_JOBS: usize = 8;

/// A job that waits for its next step.
struct QueuedJob {
    job: Job,
    /// Whether this run has claimed the job.
    is_claimed: bool,
    /// The number of events that the job sent in this run.
    sent: usize,
}

/// The jobs that wait for their next step, the first one first.
type JobQueue = Mutex<VecDeque<QueuedJob>>;

impl<P: Ports> Scheduler<P> {
    /// Advances every job that no other scheduler has, one step after the other. The order is random in every run, so that
    /// long jobs do not hold up the same other jobs again and again.
    pub(crate) async fn advance_jobs(&self, until: Timestamp) -> RunCounts {
        let mut jobs = match self.schedule.jobs(MAX_JOBS).await {
            Ok(jobs) => jobs,
            Err(error) => return RunCounts::of_step(Err(error)),
        };
        jobs.shuffle(&mut rand::rng());
        let queued = jobs.into_iter().map(|job| QueuedJob { job, is_claimed: false, sent: 0 });
        let queue = &JobQueue::new(queued.collect());
        let workers = join_all((0..CONCURRENT_JOBS).map(|_| self.work_on(queue, until))).await;
        workers.into_iter().fold(RunCounts::default(), RunCounts::plus)
    }

    /// Takes jobs from the front of the queue, and puts those with a further step at its end.
    async fn work_on(&self, queue: &JobQueue, until: Timestamp) -> RunCounts {
        let mut counts = RunCounts::default();
        while let Some(queued) = take_first(queue) {
            match self.advance(queued, until).await {
                Ok(Some(queued)) => {
                    counts.steps += 1;
                    put_last(queue, queued);
                }
                Ok(None) => {}
                Err(error) => counts = counts.plus(RunCounts::of_step(Err(error))),
            }
        }
        counts
    }

    /// Runs one step of a job. Returns the job if its next step can follow in this run.
    async fn advance(&self, queued: QueuedJob, until: Timestamp) -> PortResult<Option<QueuedJob>> {
        let QueuedJob { job, is_claimed, mut sent } = queued;

        // 1. If there is no time for a step, release the job, so that the next run can claim it at once.
        if !self.has_time(until) {
            if is_claimed {
                self.save(job.released()).await?;
            }
            return Ok(None);
        }

        // 2. Claim the job, unless this run has it.
        let claimed = if is_claimed { Some(job) } else { self.claim(&job).await? };
        let Some(job) = claimed else { return Ok(None) };

        // 3. Do the work of the step.
        let result = match &job.work {
            Work::Replay(replay) => self.step_of_replay(&job, replay, &mut sent).await?,
            Work::Erasure(erasure) => self.step_of_erasure(&job, erasure).await?,
        };

        // 4. Save the cursor.
        let (next, continues) = match result {
            StepResult::Continue(work) => (job.with(work).advanced(), true),
            StepResult::NextRun(work) => (job.with(work).released(), false),
            StepResult::Done(work) => (job.with(work).ended(self.clock.now()), false),
        };
        let saved = self.save(next).await?;
        Ok(saved.filter(|_| continues).map(|job| QueuedJob { job, is_claimed: true, sent }))
    }

    /// Claims a job. Returns `None` if another scheduler has it.
    async fn claim(&self, job: &Job) -> PortResult<Option<Job>> {
        let Some(claimed) = job.claim(self.clock.now()) else { return Ok(None) };
        let saved = self.schedule.save_job(&claimed).await?;
        Ok((saved == Updated::Done).then_some(claimed))
    }

    /// Writes a job, and returns it as it is stored. Returns `None` if another scheduler wrote it. If the owner cancelled it
    /// during the step, the step counts nevertheless.
    async fn save(&self, job: Job) -> PortResult<Option<Job>> {
        if self.schedule.save_job(&job).await? == Updated::Done {
            return Ok(Some(job));
        }
        let stored = match &job.work {
            Work::Replay(_) => self.schedule.replay(&job.tenant, &job.id).await?,
            Work::Erasure(_) => self.schedule.erasure(&job.id).await?,
        };
        let Some(stored) = stored else { return Ok(None) };
        if stored == job {
            return Ok(Some(job)); // this write: the SDK repeated it after its answer was lost
        }
        let Some(merged) = job.merge_with(&stored) else { return Ok(None) };
        let saved = self.schedule.save_job(&merged).await?;
        Ok((saved == Updated::Done).then_some(merged))
    }
}

fn take_first(queue: &JobQueue) -> Option<QueuedJob> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

fn put_last(queue: &JobQueue, queued: QueuedJob) {
    queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(queued);
}

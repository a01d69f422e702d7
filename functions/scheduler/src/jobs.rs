//! Advances the jobs. Each job is claimed for this run, and takes bounded steps in turn with the other jobs while there is
//! time. A step does its work first and saves its cursor second, so after a crash the step runs again.
//!
//! ```text
//!   tenant a: replay, replay, replay ┐
//!   tenant b: replay                 ├─ one step of one job of each, then another step of each ... ── save the place
//!   erasure of tenant c              ┘
//! ```
//!
//! The replays of one tenant share one turn. The next run begins with the turn after the last one that this run began.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::job::{Job, Work};
use domain::timestamp::Timestamp;
use futures_util::future::join_all;
use store::clock::Clock;
use store::items::Updated;
use store::ports::Ports;
use store::schedule::turns::{Place, Turn};
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
    /// The number of the turn, among those that this run has read, that the job shares.
    turn: usize,
    /// Whether this run has claimed the job.
    is_claimed: bool,
    /// The number of events that the job sent in this run.
    sent: usize,
}

/// The jobs that wait for their next step.
struct JobQueue {
    /// The jobs of each turn, the next turn first. No turn is empty.
    turns: VecDeque<VecDeque<QueuedJob>>,
    /// The number of turns of which a job was taken.
    begun: usize,
}

impl<P: Ports> Scheduler<P> {
    /// Advances the jobs that no other scheduler has, one step after the other, while there is time.
    pub(crate) async fn advance_jobs(&self, until: Timestamp) -> RunCounts {
        // 1. Read the turns, beginning where the last run ended.
        let turns = match self.schedule.turns(MAX_JOBS, CONCURRENT_JOBS).await {
            Ok(turns) if self.has_time(until) => turns,
            Ok(_) => return RunCounts::default(),
            Err(error) => return RunCounts::of_step(Err(error)),
        };
        let places: Vec<Place> = turns.iter().map(|turn| turn.place.clone()).collect();

        // 2. Save the place after the jobs that begin at once: if their steps end the process, the next run begins with
        //    others.
        let mut counts = self.save_place(&places, CONCURRENT_JOBS).await;

        // 3. Run the steps, and save the place that was reached.
        let queue = &Mutex::new(JobQueue::of(turns));
        for of_worker in join_all((0..CONCURRENT_JOBS).map(|_| self.work_on(queue, until))).await {
            counts = counts.plus(of_worker);
        }
        let begun = locked(queue).begun;
        counts.plus(self.save_place(&places, begun).await)
    }

    /// Saves the place after the first `begun` turns, unless all turns begin at once in every run.
    async fn save_place(&self, places: &[Place], begun: usize) -> RunCounts {
        match places.get(begun.wrapping_sub(1)) {
            Some(place) if places.len() > CONCURRENT_JOBS => {
                let saved = self.schedule.save_place(place).await;
                RunCounts::of_step(saved.map(|()| RunCounts::default()))
            }
            _ => RunCounts::default(),
        }
    }

    /// Takes jobs from the queue while there is time, and puts those with a further step back. Then releases the claimed
    /// jobs, so that the next run can claim them at once.
    async fn work_on(&self, queue: &Mutex<JobQueue>, until: Timestamp) -> RunCounts {
        let mut counts = RunCounts::default();
        while self.has_time(until) {
            let Some(queued) = locked(queue).begin() else { break };
            match self.advance(queued).await {
                Ok(Some(queued)) => {
                    counts.steps += 1;
                    locked(queue).put(queued);
                }
                Ok(None) => {}
                Err(error) => counts = counts.plus(RunCounts::of_step(Err(error))),
            }
        }
        while !self.has_time(until) {
            let Some(QueuedJob { job, is_claimed, .. }) = locked(queue).take() else { break };
            if is_claimed && let Err(error) = self.save(job.released()).await {
                counts = counts.plus(RunCounts::of_step(Err(error)));
            }
        }
        counts
    }

    /// Runs one step of a job. Returns the job if its next step can follow in this run.
    async fn advance(&self, queued: QueuedJob) -> PortResult<Option<QueuedJob>> {
        let QueuedJob { job, turn, is_claimed, mut sent } = queued;

        // 1. Claim the job, unless this run has it.
        let claimed = if is_claimed { Some(job) } else { self.claim(&job).await? };
        let Some(job) = claimed else { return Ok(None) };

        // 2. Do the work of the step.
        let result = match &job.work {
            Work::Replay(replay) => self.step_of_replay(&job, replay, &mut sent).await?,
            Work::Erasure(erasure) => self.step_of_erasure(&job, erasure).await?,
        };

        // 3. Save the cursor.
        let (next, continues) = match result {
            StepResult::Continue(work) => (job.with(work).advanced(), true),
            StepResult::NextRun(work) => (job.with(work).released(), false),
            StepResult::Done(work) => (job.with(work).ended(self.clock.now()), false),
        };
        let saved = self.save(next).await?;
        Ok(saved.filter(|_| continues).map(|job| QueuedJob { job, turn, is_claimed: true, sent }))
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

impl JobQueue {
    fn of(turns: Vec<Turn>) -> Self {
        let queued = |turn, job| QueuedJob { job, turn, is_claimed: false, sent: 0 };
        let turns = turns.into_iter().enumerate();
        let turns =
            turns.map(|(number, turn)| turn.jobs.into_iter().map(|job| queued(number, job)).collect());
        Self { turns: turns.collect(), begun: 0 }
    }

    /// Takes the next job for a step.
    fn begin(&mut self) -> Option<QueuedJob> {
        let queued = self.take()?;
        self.begun = self.begun.max(queued.turn + 1);
        Some(queued)
    }

    /// Takes the first job of the first turn. The other jobs of that turn wait until each other turn had a step.
    fn take(&mut self) -> Option<QueuedJob> {
        let mut turn = self.turns.pop_front()?;
        let queued = turn.pop_front();
        if !turn.is_empty() {
            self.turns.push_back(turn);
        }
        queued
    }

    /// Puts a job behind the others of its turn.
    fn put(&mut self, queued: QueuedJob) {
        let shared = self.turns.iter_mut().find(|turn| turn.iter().any(|other| other.turn == queued.turn));
        match shared {
            Some(turn) => turn.push_back(queued),
            None => self.turns.push_back(VecDeque::from([queued])),
        }
    }
}

fn locked(queue: &Mutex<JobQueue>) -> MutexGuard<'_, JobQueue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

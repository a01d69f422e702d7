//! Jobs: each is claimed for this visit and advanced in bounded steps, in turns with the others, as far as there is time and as
//! it may go. What a step does comes before its cursor is saved, so the step of a process that died is made again.

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

use crate::handler::{Moved, Scheduler};

/// So many jobs are looked at in one visit.
const MAX_JOBS: usize = 1000;

/// Jobs that are advanced side by side.
const CONCURRENT_JOBS: usize = 8;

/// What a step leaves.
pub(crate) enum Stepped {
    /// There is more to do now.
    On(Work),
    /// There is more to do in another visit.
    Later(Work),
    /// There is nothing more to do.
    Done(Work),
}

/// A job in its line.
struct Turn {
    job: Job,
    /// Whether it is ours in this visit.
    is_claimed: bool,
    /// How many events it has sent in this visit.
    sent: usize,
}

/// Jobs that wait for their next step.
type Line = Mutex<VecDeque<Turn>>;

impl<P: Ports> Scheduler<P> {
    /// Advances every job that nobody else is at: a step of each, and again, from another one on in every visit, so that
    /// none waits for long ones.
    pub(crate) async fn advance_jobs(&self, until: Timestamp) -> Moved {
        let mut jobs = match self.schedule.jobs(MAX_JOBS).await {
            Ok(jobs) => jobs,
            Err(error) => return Moved::of(Err(error)),
        };
        jobs.shuffle(&mut rand::rng());
        let turns = jobs.into_iter().map(|job| Turn { job, is_claimed: false, sent: 0 });
        let line = &Line::new(turns.collect());
        let all = join_all((0..CONCURRENT_JOBS).map(|_| self.work_through(line, until))).await;
        all.into_iter().fold(Moved::default(), Moved::plus)
    }

    /// Takes jobs from the front of the line, and puts back at its end what is not done.
    async fn work_through(&self, line: &Line, until: Timestamp) -> Moved {
        let mut moved = Moved::default();
        while let Some(turn) = next(line) {
            match self.take_turn(turn, until).await {
                Ok(Some(turn)) => {
                    moved.steps += 1;
                    locked(line).push_back(turn);
                }
                Ok(None) => {}
                Err(error) => moved = moved.plus(Moved::of(Err(error))),
            }
        }
        moved
    }

    /// One step; the turn after it, where there is more to do in this visit.
    async fn take_turn(
        &self,
        Turn { mut job, is_claimed, mut sent }: Turn,
        until: Timestamp,
    ) -> PortResult<Option<Turn>> {
        if !self.has_time(until) {
            if is_claimed {
                self.save(job.released()).await?;
            }
            return Ok(None);
        }
        if !is_claimed {
            let Some(claimed) = job.claim(self.clock.now()) else { return Ok(None) };
            if self.schedule.save_job(&claimed).await? == Updated::Raced {
                return Ok(None); // somebody else has it
            }
            job = claimed;
        }
        let stepped = match &job.work {
            Work::Replay(replay) => self.step_of_replay(&job, replay, &mut sent).await?,
            Work::Erasure(erasure) => self.step_of_erasure(&job, erasure).await?,
        };
        let (next, goes_on) = match stepped {
            Stepped::On(work) => (job.with(work).advanced(), true),
            Stepped::Later(work) => (job.with(work).released(), false),
            Stepped::Done(work) => (job.with(work).ended(self.clock.now()), false),
        };
        let saved = self.save(next).await?;
        Ok(saved.filter(|_| goes_on).map(|job| Turn { job, is_claimed: true, sent }))
    }

    /// Writes a job, and gives it as it is then; none where somebody else has written it. A cancellation meanwhile does not undo
    /// the step that was made.
    async fn save(&self, job: Job) -> PortResult<Option<Job>> {
        if self.schedule.save_job(&job).await? == Updated::Done {
            return Ok(Some(job));
        }
        let now = match &job.work {
            Work::Replay(_) => self.schedule.replay(&job.tenant, &job.id).await?,
            Work::Erasure(_) => self.schedule.erasure(&job.id).await?,
        };
        let Some(now) = now else { return Ok(None) };
        if now == job {
            return Ok(Some(job)); // we raced with ourselves: the answer to a first try was lost
        }
        let Some(both) = job.merge_with(&now) else { return Ok(None) };
        let saved = self.schedule.save_job(&both).await?;
        Ok((saved == Updated::Done).then_some(both))
    }
}

fn next(line: &Line) -> Option<Turn> {
    locked(line).pop_front()
}

fn locked(line: &Line) -> std::sync::MutexGuard<'_, VecDeque<Turn>> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

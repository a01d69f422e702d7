//! Jobs: each is claimed for this visit and advanced in bounded steps, as far as there is time and as it may go. What a step
//! does comes before its cursor is saved, so the step of a process that died is made again.

use futures_util::stream::{self, StreamExt};
use triggers::job::{Job, Work};
use triggers::ports::{Clock, Control, DeliveryQueue, Events, Limits, PortResult, Schedule, Updated};
use triggers::timestamp::Timestamp;

use crate::handler::{Moved, Scheduler};

/// So many jobs are looked at in one visit.
const MOST_JOBS: usize = 1000;

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

impl<C: Control, E: Events, L: Limits, S: Schedule, Q: DeliveryQueue, T: Clock> Scheduler<C, E, L, S, Q, T> {
    /// Advances every job that nobody else is at.
    pub(crate) async fn advance_jobs(&self, until: Timestamp) -> Moved {
        let jobs = match self.schedule.jobs(MOST_JOBS).await {
            Ok(jobs) => jobs,
            Err(error) => return Moved::of(Err(error)),
        };
        let steps = stream::iter(jobs).map(|job| async move { Moved::of(self.advance(&job, until).await) });
        let steps = steps.buffer_unordered(CONCURRENT_JOBS);
        steps.fold(Moved::default(), |sum, moved| async move { sum.plus(moved) }).await
    }

    async fn advance(&self, job: &Job, until: Timestamp) -> PortResult<Moved> {
        let mut moved = Moved::default();
        let Some(mut job) = job.claim(self.clock.now()) else { return Ok(moved) };
        if self.schedule.save_job(&job).await? == Updated::Raced {
            return Ok(moved); // somebody else has it
        }
        let mut sent = 0;
        while self.has_time(until) {
            let stepped = match &job.work {
                Work::Replay(replay) => self.step_of_replay(&job, replay, &mut sent).await?,
                Work::Erasure(erasure) => self.step_of_erasure(&job, erasure).await?,
            };
            moved.steps += 1;
            job = match stepped {
                Stepped::On(work) => job.with(work).advanced(),
                Stepped::Later(work) => {
                    self.save(job.with(work).released()).await?;
                    return Ok(moved);
                }
                Stepped::Done(work) => {
                    self.save(job.with(work).ended(self.clock.now())).await?;
                    return Ok(moved);
                }
            };
            if self.schedule.save_job(&job).await? == Updated::Raced {
                return Ok(moved); // it was cancelled: the next visit sees to it
            }
        }
        self.save(job.released()).await?;
        Ok(moved)
    }

    /// Writes the last of this visit. Where it was cancelled meanwhile, the next visit makes the last step again.
    async fn save(&self, job: Job) -> PortResult<()> {
        self.schedule.save_job(&job).await.map(drop)
    }
}

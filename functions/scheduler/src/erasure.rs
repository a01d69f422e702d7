//! Runs one step of an erasure. `domain::job::erasure::Erasure` gives the order of the steps. Each step is safe to repeat:
//! what is deleted stays deleted.

use domain::job::erasure::{Erasure, Phase};
use domain::job::{Job, Work};
use store::clock::Clock;
use store::ports::Ports;
use store::unavailable::PortResult;

use crate::handler::Scheduler;
use crate::step::StepResult;

/// The number of items to delete in one step.
const STEP: usize = 200;

impl<P: Ports> Scheduler<P> {
    /// Runs the next step of an erasure.
    pub(crate) async fn step_of_erasure(&self, job: &Job, erasure: &Erasure) -> PortResult<StepResult> {
        let (deleted, is_empty) = self.erase(job, erasure.phase).await?;
        let deleted = u64::try_from(deleted).unwrap_or(u64::MAX);
        let next = erasure.advanced(deleted, is_empty, self.clock.now(), self.erasure_pause);
        let phase = next.phase;
        let work = Work::Erasure(Box::new(next));
        Ok(match phase {
            Phase::Done => StepResult::Done(work),
            Phase::Pause(_) => StepResult::NextRun(work),
            Phase::Mark | Phase::Control | Phase::Shard(_) | Phase::Rest => StepResult::Continue(work),
        })
    }

    /// Deletes items of a phase. Returns their number, and whether the phase has no further items.
    async fn erase(&self, job: &Job, phase: Phase) -> PortResult<(usize, bool)> {
        let tenant = &job.tenant;
        match phase {
            Phase::Mark => {
                self.control.mark_erased(tenant, &job.id, job.created_at).await?;
                Ok((0, true))
            }
            Phase::Control => Ok((self.control.purge(tenant).await?, true)),
            Phase::Shard(shard) => {
                let deleted = self.events.purge(tenant, shard, STEP).await?;
                Ok((deleted, deleted == 0))
            }
            Phase::Rest => {
                let audit = self.control.purge_audit(tenant, STEP).await?;
                let unreadable = self.events.purge_unreadable(tenant).await?;
                let counters = self.limits.purge(tenant).await?;
                let replays = self.schedule.purge_replays(tenant).await?;
                Ok((audit + unreadable + counters + replays, audit == 0))
            }
            Phase::Pause(_) | Phase::Done => Ok((0, true)),
        }
    }
}

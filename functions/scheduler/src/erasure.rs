//! One step of an erasure, as `domain::job::erasure::Erasure` orders them. Each may be made twice: what is deleted stays deleted.

use domain::job::erasure::{Erasure, Phase};
use domain::job::{Job, Work};
use store::clock::Clock;
use store::ports::Ports;
use store::unavailable::PortResult;

use crate::handler::Scheduler;
use crate::jobs::Stepped;

/// So many items are deleted in one step.
const STEP: usize = 200;

impl<P: Ports> Scheduler<P> {
    /// The next step of an erasure.
    pub(crate) async fn step_of_erasure(&self, job: &Job, erasure: &Erasure) -> PortResult<Stepped> {
        let (deleted, is_empty) = self.erase(job, erasure.phase).await?;
        let deleted = u64::try_from(deleted).unwrap_or(u64::MAX);
        let next = erasure.advanced(deleted, is_empty, self.clock.now(), self.erasure_pause);
        let phase = next.phase;
        let work = Work::Erasure(Box::new(next));
        Ok(match phase {
            Phase::Done => Stepped::Done(work),
            Phase::Pause(_) => Stepped::Later(work),
            Phase::Mark | Phase::Control | Phase::Shard(_) | Phase::Rest => Stepped::On(work),
        })
    }

    /// How many items were deleted, and whether nothing of this phase is left.
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
                let unreadable = self.events.purge_unreadable(tenant).await?;
                let (counted, replays) =
                    (self.limits.purge(tenant).await?, self.schedule.purge_replays(tenant).await?);
                Ok((unreadable + counted + replays, true))
            }
            Phase::Pause(_) | Phase::Done => Ok((0, true)),
        }
    }
}

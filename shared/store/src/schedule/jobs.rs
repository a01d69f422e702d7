//! Jobs. The rows of running jobs are in one partition, which the scheduler reads. An ended replay moves to a partition
//! of its tenant, an ended erasure to a partition of its own.

use domain::job::id::JobId;
use domain::job::{Job, Work};
use domain::tenant::id::TenantId;

use super::{Schedule, job_item};
use crate::item::{Item, Key};
use crate::items::{Committed, Updated};
use crate::keys;
use crate::table::Table;
use crate::table::condition::equals;
use crate::table::query::{Query, Range};
use crate::table::write::{Delete, Put, Write};
use crate::unavailable::PortResult;

/// How long an ended job is kept, in seconds.
const KEEP_ENDED_SECONDS: u64 = 90 * 24 * 3600;

impl<T: Table> Schedule<T> {
    /// Puts the row of a new job. Does not change a running job with the same id, and starts an ended one again.
    pub async fn put_job(&self, job: &Job) -> PortResult<()> {
        self.items.put_new(running_row(job)?).await.map(drop)
    }

    /// Returns a replay of a tenant, running or ended, read consistently.
    pub async fn replay(&self, tenant: &TenantId, id: &JobId) -> PortResult<Option<Job>> {
        let running = Key::new(keys::JOBS, keys::job_row(tenant, id));
        let ended = Key::new(keys::ended_replays(tenant), id.as_str());
        self.first_of([running, ended]).await
    }

    /// Returns an erasure, running or ended, read consistently.
    pub async fn erasure(&self, id: &JobId) -> PortResult<Option<Job>> {
        let running = Key::new(keys::JOBS, keys::erasure_row(id));
        let ended = Key::new(keys::receipt(id), keys::ONLY);
        self.first_of([running, ended]).await
    }

    /// Returns the number of running replays of a tenant.
    pub async fn count_running_replays(&self, tenant: &TenantId) -> PortResult<usize> {
        self.items.all(running_replays(tenant)).await.map(|rows| rows.len())
    }

    /// Saves a running job, if the stored `rev` is the previous one. Moves an ended job to its other partition in one
    /// transaction, so that it can always be read.
    pub async fn save_job(&self, job: &Job) -> PortResult<Updated> {
        let Some(ended_at) = job.ended_at else {
            return self.items.put_over(running_row(job)?, job.rev).await;
        };
        let key = match &job.work {
            Work::Replay(_) => Key::new(keys::ended_replays(&job.tenant), job.id.as_str()),
            Work::Erasure(_) => Key::new(keys::receipt(&job.id), keys::ONLY),
        };
        let ended = job_item::write(job)?.with("ttl", ended_at.seconds() + KEEP_ENDED_SECONDS).at(key);
        let delete = Delete::new(running_key(job)).only_if(equals("rev", job.rev - 1));
        let writes = vec![Write::Put(Put::new(ended)), Write::Delete(delete)];
        self.items.transact(writes).await.map(Committed::updated)
    }

    /// Deletes all replays of a tenant and their names; returns the number of items.
    ///
    /// # Errors
    /// When the table does not answer. Some items may be deleted then.
    pub async fn purge_replays(&self, tenant: &TenantId) -> PortResult<usize> {
        // A replay that ends in between has moved to the partition that is deleted second.
        let running = self.items.delete_found(running_replays(tenant)).await?;
        let ended = self.items.delete_found(Query::consistent(keys::ended_replays(tenant))).await?;
        Ok(running + ended)
    }

    /// Returns the first of these items that exists. A job that ends between the two reads has moved to the second key.
    async fn first_of(&self, keys: [Key; 2]) -> PortResult<Option<Job>> {
        for key in keys {
            if let Some(item) = self.items.get(key).await? {
                return Ok(Some(job_item::read(&item)?));
            }
        }
        Ok(None)
    }
}

/// Returns the row of a running job.
pub(crate) fn running_row(job: &Job) -> PortResult<Item> {
    Ok(job_item::write(job)?.at(running_key(job)))
}

fn running_key(job: &Job) -> Key {
    Key::new(keys::JOBS, keys::job_row(&job.tenant, &job.id))
}

/// Returns the query for the keys of a tenant's running replays.
fn running_replays(tenant: &TenantId) -> Query {
    Query::consistent(keys::JOBS).range(Range::Prefix(keys::replays_of(tenant))).keys()
}

//! Jobs. The rows of running jobs are in one partition, which the scheduler reads. An ended replay moves to a partition
//! of its tenant. An erasure has a receipt besides, from its beginning, in a partition of its own: a client that reads the
//! receipt, or invents its id, does not read the partition of the scheduler.

use domain::job::id::JobId;
use domain::job::{Job, Work};
use domain::tenant::id::TenantId;

use super::{Schedule, job_item};
use crate::item::{Item, Key};
use crate::items::{Committed, Outcome, Updated};
use crate::keys;
use crate::table::Table;
use crate::table::condition::{absent, equals};
use crate::table::query::{Query, Range};
use crate::table::write::{Delete, Put, Write};
use crate::unavailable::PortResult;

/// How long an ended job is kept, in seconds.
const KEEP_ENDED_SECONDS: u64 = 90 * 24 * 3600;

/// A page of the replays of a tenant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReplayPage {
    /// The replays, newest first.
    pub jobs: Vec<Job>,
    /// Whether there are older ones.
    pub has_more: bool,
}

impl<T: Table> Schedule<T> {
    /// Puts the row of a new job. Does not change a running job with the same id, and starts an ended one again.
    pub async fn put_job(&self, job: &Job) -> PortResult<()> {
        let new = Put::new(running_row(job)?).only_if(absent("pk"));
        match &job.work {
            Work::Replay(_) => self.items.put_if(new).await.map(drop),
            Work::Erasure(_) => self.put_with_receipt(new, job).await.map(drop),
        }
    }

    /// Returns a replay of a tenant, running or ended, read consistently.
    pub async fn replay(&self, tenant: &TenantId, id: &JobId) -> PortResult<Option<Job>> {
        let running = Key::new(keys::JOBS, keys::job_row(tenant, id));
        let ended = Key::new(keys::ended_replays(tenant), id.as_str());
        self.first_of([running, ended]).await
    }

    /// Returns at most `limit` replays of a tenant, running or ended, newest first, read consistently. Starts after the replay
    /// `after`, or at the newest one.
    pub async fn replays(
        &self,
        tenant: &TenantId,
        after: Option<&JobId>,
        limit: usize,
    ) -> PortResult<ReplayPage> {
        let one_more = limit + 1;
        // A replay that ends between the two reads has moved to the partition that is read second.
        let start = after.map(|id| Key::new(keys::JOBS, keys::job_row(tenant, id)).into_item());
        let running = running_replays(tenant).backwards().from(start);
        let running = self.rows(running, one_more, job_item::read).await?.rows;
        let start = after.map(|id| Key::new(keys::ended_replays(tenant), id.as_str()).into_item());
        let ended = Query::consistent(keys::ended_replays(tenant))
            .range(Range::Prefix(keys::REPLAY_IDS.to_owned()))
            .backwards()
            .from(start);
        let mut jobs = self.rows(ended, one_more, job_item::read).await?.rows;
        for job in running {
            if jobs.iter().all(|ended| ended.id != job.id) {
                jobs.push(job);
            }
        }
        jobs.sort_by(|one, other| other.id.cmp(&one.id));
        let has_more = jobs.len() > limit;
        jobs.truncate(limit);
        Ok(ReplayPage { jobs, has_more })
    }

    /// Returns an erasure by its receipt, read consistently.
    pub async fn receipt(&self, id: &JobId) -> PortResult<Option<Job>> {
        self.first_of([receipt_key(id)]).await
    }

    /// Returns an erasure by its row, or by its receipt if it has ended, read consistently. An erasure that the version
    /// before receipts began has no receipt yet.
    pub async fn erasure(&self, id: &JobId) -> PortResult<Option<Job>> {
        let running = Key::new(keys::JOBS, keys::erasure_row(id));
        self.first_of([running, receipt_key(id)]).await
    }

    /// Returns the number of running replays of a tenant.
    pub async fn count_running_replays(&self, tenant: &TenantId) -> PortResult<usize> {
        self.items.all(running_replays(tenant).keys()).await.map(|rows| rows.len())
    }

    /// Saves a running job, if the stored `rev` is the previous one. Moves an ended job to its other partition in one
    /// transaction, so that it can always be read.
    pub async fn save_job(&self, job: &Job) -> PortResult<Updated> {
        let Some(ended_at) = job.ended_at else {
            let over = Put::new(running_row(job)?).only_if(equals("rev", job.rev - 1));
            return match &job.work {
                Work::Replay(_) => self.items.put_if(over).await.map(Outcome::updated),
                Work::Erasure(_) => self.put_with_receipt(over, job).await.map(Committed::updated),
            };
        };
        let key = match &job.work {
            Work::Replay(_) => Key::new(keys::ended_replays(&job.tenant), job.id.as_str()),
            Work::Erasure(_) => receipt_key(&job.id),
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

    /// Puts the row of a running erasure, if its condition holds, and with it the receipt.
    async fn put_with_receipt(&self, running: Put, job: &Job) -> PortResult<Committed> {
        let receipt = Put::new(job_item::write(job)?.at(receipt_key(&job.id)));
        self.items.transact(vec![Write::Put(running), Write::Put(receipt)]).await
    }

    /// Returns the first of these items that exists. A job that ends between the two reads has moved to the second key.
    async fn first_of<const N: usize>(&self, keys: [Key; N]) -> PortResult<Option<Job>> {
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

fn receipt_key(erasure: &JobId) -> Key {
    Key::new(keys::receipt(erasure), keys::ONLY)
}

fn running_key(job: &Job) -> Key {
    Key::new(keys::JOBS, keys::job_row(&job.tenant, &job.id))
}

/// Returns the query for a tenant's running replays.
fn running_replays(tenant: &TenantId) -> Query {
    Query::consistent(keys::JOBS).range(Range::Prefix(keys::replays_of(tenant)))
}

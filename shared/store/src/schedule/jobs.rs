//! Jobs. One under way is a row in the one partition that the scheduler reads; an ended replay is an item in a partition of its
//! tenant, an ended erasure an item in a partition that only its receipt names.

use domain::job::{Job, JobId, Work};
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

/// How long an ended job can be read.
const KEEP_ENDED_SECONDS: u64 = 90 * 24 * 3600;

impl<T: Table> Schedule<T> {
    /// Puts the row of a new job. A job that is under way stays as it is; an ended one starts again.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn put_job(&self, job: &Job) -> PortResult<()> {
        self.items.put_new(row_under_way(job)?).await.map(drop)
    }

    /// Returns at most `most` jobs under way.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn jobs(&self, most: usize) -> PortResult<Vec<Job>> {
        let found = self.rows(Query::consistent(keys::JOBS), most, job_item::read).await?;
        Ok(found.rows)
    }

    /// Returns a tenant's replay, under way or ended, read consistently.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn replay(&self, tenant: &TenantId, id: &JobId) -> PortResult<Option<Job>> {
        let under_way = Key::new(keys::JOBS, keys::job_row(tenant, id));
        let ended = Key::new(keys::ended_replays(tenant), id.as_str());
        self.first_of([under_way, ended]).await
    }

    /// Returns an erasure, under way or ended, read consistently.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn erasure(&self, id: &JobId) -> PortResult<Option<Job>> {
        let under_way = Key::new(keys::JOBS, keys::erasure_row(id));
        let ended = Key::new(keys::receipt(id), keys::ONLY);
        self.first_of([under_way, ended]).await
    }

    /// Returns how many of a tenant's replays are under way.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn replays_under_way(&self, tenant: &TenantId) -> PortResult<usize> {
        self.items.all(replays_query(tenant)).await.map(|rows| rows.len())
    }

    /// Writes a job, only if its `rev` is still the one before. An ended job can be read at every time in between: it moves to its
    /// second place in one transaction.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn save_job(&self, job: &Job) -> PortResult<Updated> {
        let Some(ended_at) = job.ended_at else {
            return self.items.put_over(row_under_way(job)?, job.rev).await;
        };
        let place = match &job.work {
            Work::Replay(_) => Key::new(keys::ended_replays(&job.tenant), job.id.as_str()),
            Work::Erasure(_) => Key::new(keys::receipt(&job.id), keys::ONLY),
        };
        let ended = job_item::write(job)?.with("ttl", ended_at.seconds() + KEEP_ENDED_SECONDS).at(place);
        let delete = Delete::new(under_way(job)).only_if(equals("rev", job.rev - 1));
        let writes = vec![Write::Put(Put::new(ended)), Write::Delete(delete)];
        Ok(match self.items.transact(writes).await? {
            Committed::Done => Updated::Done,
            Committed::Refused(_) => Updated::Raced,
        })
    }

    /// Deletes all replays of a tenant and their names; returns how many items there were.
    ///
    /// # Errors
    /// When the table does not answer; some may be deleted then.
    pub async fn purge_replays(&self, tenant: &TenantId) -> PortResult<usize> {
        let mut items = self.items.all(replays_query(tenant)).await?;
        items.extend(self.items.all(Query::consistent(keys::ended_replays(tenant)).keys()).await?);
        let found: Vec<Key> = items.iter().map(Item::key).collect::<Result<_, _>>()?;
        let count = found.len();
        self.items.delete_all(found).await?;
        Ok(count)
    }

    /// Returns the first of these items that exists: a job is in its second place as soon as it has left its first.
    async fn first_of(&self, places: [Key; 2]) -> PortResult<Option<Job>> {
        for place in places {
            if let Some(item) = self.items.get(place).await? {
                return Ok(Some(job_item::read(&item)?));
            }
        }
        Ok(None)
    }
}

/// Returns the row of a job under way.
pub(crate) fn row_under_way(job: &Job) -> PortResult<Item> {
    Ok(job_item::write(job)?.at(under_way(job)))
}

fn under_way(job: &Job) -> Key {
    Key::new(keys::JOBS, keys::job_row(&job.tenant, &job.id))
}

/// Asks for the keys of a tenant's replays under way.
fn replays_query(tenant: &TenantId) -> Query {
    Query::consistent(keys::JOBS).range(Range::Prefix(keys::replays_of(tenant))).keys()
}

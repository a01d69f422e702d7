//! The names that clients give to their requests for replays. A name and its job are put in one transaction, so that
//! the job of a stored name always exists. Names are stored in the partition of the tenant's ended replays, and deleted
//! with them.

use domain::event::claim::{Claim, Claimed};
use domain::event::claim_name::ClaimName;
use domain::job::Job;
use domain::job::id::JobId;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

use super::Schedule;
use super::jobs::running_row;
use crate::claim_item;
use crate::item::{Item, Key, Unreadable};
use crate::items::Committed;
use crate::keys;
use crate::races::{Round, until_won};
use crate::table::Table;
use crate::table::condition::absent;
use crate::table::write::{Put, Write};
use crate::unavailable::PortResult;

impl<T: Table> Schedule<T> {
    /// Puts the row of a new job and the name of its request in one transaction. Puts neither if the name is claimed
    /// for another job.
    ///
    /// # Errors
    /// When the table does not answer. Then both are put, or neither.
    pub async fn put_named_job(
        &self,
        job: &Job,
        name: &ClaimName,
        ours: &Claim<JobId>,
    ) -> PortResult<Claimed<JobId>> {
        let row = Put::new(running_row(job)?).only_if(absent("pk"));
        let claim = Put::new(write(&job.tenant, name, ours)).only_if(claim_item::is_free(job.created_at));
        until_won("naming a job", || async {
            let writes = vec![Write::Put(row.clone()), Write::Put(claim.clone())];
            if self.items.transact(writes).await? == Committed::Done {
                return Ok(Round::Ended(Claimed::First));
            }
            let held = self.named_job(&job.tenant, name, job.created_at).await?;
            // A claim that has expired since the transaction is replaced in the next round.
            Ok(held.map_or(Round::Lost, |held| Round::Ended(Claimed::decide(&held, ours))))
        })
        .await
    }

    /// Returns the claim of a name that is valid at `now`, read consistently.
    pub async fn named_job(
        &self,
        tenant: &TenantId,
        name: &ClaimName,
        now: Timestamp,
    ) -> PortResult<Option<Claim<JobId>>> {
        let Some(item) = self.items.get(key(tenant, name)).await? else { return Ok(None) };
        let held = read(&item)?;
        Ok(held.is_live(now).then_some(held))
    }
}

fn key(tenant: &TenantId, name: &ClaimName) -> Key {
    Key::new(keys::ended_replays(tenant), keys::job_name(name))
}

fn write(tenant: &TenantId, name: &ClaimName, claim: &Claim<JobId>) -> Item {
    claim_item::write(claim)
        .with("id", claim.id.as_str())
        .with("ttl", claim.expires_at.seconds())
        .at(key(tenant, name))
}

fn read(item: &Item) -> Result<Claim<JobId>, Unreadable> {
    claim_item::read(item, JobId::from_stored(item.text("id")?))
}

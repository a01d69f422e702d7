//! The erasure of a tenant: it is marked first, then everything but the mark is deleted.

use domain::job::JobId;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

use super::{Control, key_item, tenant_item};
use crate::item::Key;
use crate::items::Outcome;
use crate::table::Table;
use crate::table::condition::{absent, exists};
use crate::table::write::Update;
use crate::unavailable::PortResult;

impl<T: Table> Control<T> {
    /// Marks a tenant as erased by this job, unless another job did so before; returns the job that erases it. Nothing of the tenant
    /// is stored from then on.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn mark_erased(&self, tenant: &TenantId, job: &JobId, now: Timestamp) -> PortResult<JobId> {
        let mark = Update::new(tenant_item::key(tenant))
            .returning()
            .set(tenant_item::ERASED_AT, now)
            .set(tenant_item::ERASED_BY, job.as_str())
            .add("rev", 1) // no change of keys or tier passes the mark
            .only_if(absent(tenant_item::ERASED_AT));
        match self.items.update(mark).await? {
            Outcome::Done(_) => Ok(job.clone()),
            Outcome::Refused(found) => Ok(JobId::from_stored(found.text(tenant_item::ERASED_BY)?)),
        }
    }

    /// Deletes everything that is known of a tenant but its mark; returns how many items there were.
    ///
    /// # Errors
    /// When the table does not answer; some may be deleted then, and the next call finds the rest.
    pub async fn purge(&self, tenant: &TenantId) -> PortResult<usize> {
        let items = self.list_all(tenant).await?;
        // The items by which keys are found go before the listings that name them: a repeat still finds the way.
        let hashes = items.iter().filter_map(|item| key_item::read_hash(item).ok());
        let authentications: Vec<Key> = hashes.map(|hash| key_item::authentication(&hash)).collect();
        let others: Vec<Key> = items
            .iter()
            .filter(|item| !tenant_item::is_tenant(item))
            .map(crate::item::Item::key)
            .collect::<Result<_, _>>()?;
        let count = authentications.len() + others.len();
        self.items.delete_all(authentications).await?;
        self.items.delete_all(others).await?;
        self.keep_the_mark_alone(tenant).await?;
        Ok(count)
    }

    async fn keep_the_mark_alone(&self, tenant: &TenantId) -> PortResult<()> {
        let update = Update::new(tenant_item::key(tenant)).only_if(exists(tenant_item::ERASED_AT));
        let update = tenant_item::PERSONAL.into_iter().fold(update, Update::remove);
        self.items.update(update).await.map(drop)
    }
}

//! The erasure of a tenant: marks it as erased first, then deletes everything except the mark.

use domain::job::id::JobId;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

use super::{Control, key_item, tenant_item, tenant_list};
use crate::item::Key;
use crate::items::Outcome;
use crate::table::Table;
use crate::table::condition::{absent, exists};
use crate::table::write::Update;
use crate::unavailable::PortResult;

impl<T: Table> Control<T> {
    /// Marks a tenant as erased by this job, unless it is marked by another job. Returns the job that erases it. No
    /// event of the tenant is stored after that.
    pub async fn mark_erased(&self, tenant: &TenantId, job: &JobId, now: Timestamp) -> PortResult<JobId> {
        let mark = Update::new(tenant_item::key(tenant))
            .returning()
            .set(tenant_item::ERASED_AT, now)
            .set(tenant_item::ERASED_BY, job.as_str())
            .add("rev", 1) // a change of keys or tier that has read the tenant before must fail
            .only_if(absent(tenant_item::ERASED_AT));
        match self.items.update(mark).await? {
            Outcome::Done(_) => Ok(job.clone()),
            Outcome::Refused(found) => Ok(JobId::from_stored(found.text(tenant_item::ERASED_BY)?)),
        }
    }

    /// Deletes all items of a tenant except its mark; returns their number.
    ///
    /// # Errors
    /// When the table does not answer. Some items may be deleted then, and the next call deletes the rest.
    pub async fn purge(&self, tenant: &TenantId) -> PortResult<usize> {
        let mut items = self.list_all(tenant).await?;
        // Delete the authentication items first: the listings hold their hashes, and a repeated call needs them.
        let hashes = items.iter().filter_map(|item| key_item::read_hash(item).ok());
        let mut elsewhere: Vec<Key> = hashes.map(|hash| key_item::authentication(&hash)).collect();
        let count = elsewhere.len();
        elsewhere.push(tenant_list::key(tenant));
        self.items.delete_all(elsewhere).await?;
        items.retain(|item| !tenant_item::is_tenant(item));
        let others = self.items.delete_items(&items).await?;
        self.remove_personal_data(tenant).await?;
        Ok(count + others)
    }

    /// Removes all attributes of a tenant's item except the mark.
    async fn remove_personal_data(&self, tenant: &TenantId) -> PortResult<()> {
        let is_marked = Update::new(tenant_item::key(tenant)).only_if(exists(tenant_item::ERASED_AT));
        let update = tenant_item::PERSONAL.into_iter().fold(is_marked, Update::remove);
        self.items.update(update).await.map(drop)
    }
}

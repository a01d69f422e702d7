//! The audit trails: a record is put before its change, and gets the outcome after the answer.

use domain::tenant::audit::{AuditId, AuditRecord};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

use super::{Control, audit_item};
use crate::keys;
use crate::table::Table;
use crate::table::condition::exists;
use crate::table::query::{Query, Range};
use crate::table::write::Update;
use crate::unavailable::PortResult;

/// The records that a page shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditQuery {
    /// The first time; `None` for the oldest record.
    pub since: Option<Timestamp>,
    /// The time before which the records are; `None` for the newest record.
    pub until: Option<Timestamp>,
    /// The last record of the previous page.
    pub after: Option<AuditId>,
    /// The largest number of records.
    pub limit: usize,
}

/// A page of an audit trail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditPage {
    /// The records, newest first.
    pub records: Vec<AuditRecord>,
    /// The record after which the next page starts; `None` if this page is the last.
    pub next: Option<String>,
}

impl<T: Table> Control<T> {
    /// Puts the record of a change that is about to be made. A repeated call writes the same item.
    ///
    /// # Errors
    /// When the table does not answer. Then the change must not be made; the record may be there.
    pub async fn begin_change(&self, record: &AuditRecord) -> PortResult<()> {
        self.items.put(audit_item::write(record)).await
    }

    /// Adds the outcome to the record of a change. Returns whether the record was there: it is never made anew, so that the
    /// trail of an erased tenant stays deleted.
    pub async fn end_change(&self, record: &AuditRecord) -> PortResult<bool> {
        let update = Update::new(audit_item::key(&record.tenant, &record.id))
            .set_or_remove("status", record.status)
            .set_or_remove("created", record.created.as_deref())
            .only_if(exists("pk"));
        Ok(self.items.update(update).await?.is_done())
    }

    /// Returns a page of a tenant's audit trail. The read is consistent, so that a change is shown at once.
    pub async fn audit(&self, tenant: &TenantId, query: &AuditQuery) -> PortResult<AuditPage> {
        let from = keys::audit_from(query.since.unwrap_or(Timestamp::from_millis(0)));
        let to = keys::audit_from(query.until.unwrap_or(Timestamp::from_millis(u64::MAX)));
        if from >= to {
            return Ok(AuditPage { records: Vec::new(), next: None }); // DynamoDB refuses such a range
        }
        let after = query.after.as_ref().map(|id| audit_item::key(tenant, id).into_item());
        let records = Query::consistent(keys::audit(tenant))
            .range(Range::Between(from, to))
            .backwards()
            .limit(query.limit)
            .from(after);
        let page = self.items.page(records).await?;
        let next = page.next.map(|key| key.text("sk").map(str::to_owned)).transpose()?;
        let readable = page.items.iter().filter_map(|item| audit_item::readable(tenant, item));
        Ok(AuditPage { records: readable.collect(), next })
    }

    /// Deletes at most `most` records of a tenant; returns their number.
    ///
    /// # Errors
    /// When the table does not answer. Some records may be deleted then.
    pub async fn purge_audit(&self, tenant: &TenantId, most: usize) -> PortResult<usize> {
        let query = Query::consistent(keys::audit(tenant)).limit(most).keys();
        let records = self.items.page(query).await?.items;
        self.items.delete_items(&records).await
    }
}

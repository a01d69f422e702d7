//! The rows of cohorts whose owners are told when their time comes: one partition, in the order of that time.

use crate::adapters::item::{Item, item, n, number, s, text};
use crate::adapters::schedule::{Bound, ScheduleTable, readable};
use crate::keys;
use crate::unavailable::{PortResult, Unavailable};
use domain::inbox::expiry::Cohort;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

impl ScheduleTable {
    pub(super) async fn put_cohort(&self, cohort: &Cohort) -> PortResult<()> {
        let row = item([
            ("pk", s(keys::EXPIRING)),
            ("sk", s(keys::expiring_row(cohort))),
            ("tenant", s(cohort.tenant.as_str())),
            ("born_from", n(cohort.born_from.millis())),
            ("retention_hours", n(cohort.retention_hours)),
            ("ttl", n(cohort.ends_at().seconds())),
        ]);
        self.put(row).await
    }

    pub(super) async fn cohorts(&self, until: Timestamp, most: usize) -> PortResult<Vec<Cohort>> {
        let bound = Some(Bound::Before(keys::due_until(until)));
        let rows = self.rows(keys::EXPIRING.to_owned(), bound, most).await?;
        let read = |row: &Item| {
            Ok(Cohort {
                tenant: TenantId::from_stored(text(row, "tenant")?),
                born_from: Timestamp::from_millis(number(row, "born_from")?),
                retention_hours: number(row, "retention_hours")?,
            })
        };
        Ok(readable(rows, read))
    }

    pub(super) async fn delete_cohort(&self, cohort: &Cohort) -> PortResult<()> {
        let delete = self.client.delete_item().table_name(&self.table);
        let delete = delete.key("pk", s(keys::EXPIRING)).key("sk", s(keys::expiring_row(cohort)));
        delete.send().await.map(drop).map_err(|error| Unavailable::new("deleting a row", error))
    }
}

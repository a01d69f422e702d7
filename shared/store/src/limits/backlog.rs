//! The backlog of a tenant: one item for each day on which its undelivered events were accepted.

use domain::tenant::backlog::Backlog;
use domain::tenant::id::TenantId;
use futures_util::future::try_join_all;

use super::Limits;
use super::once::Once;
use crate::item::{Item, Key};
use crate::keys;
use crate::table::Table;
use crate::table::query::Query;
use crate::unavailable::PortResult;

/// A day is kept longer than any of its events.
const KEEP_DAYS: u64 = 100;

const DAY_SECONDS: u64 = 86_400;

impl<T: Table> Limits<T> {
    /// Adds to a tenant's backlog. Not idempotent: a further call counts again.
    ///
    /// # Errors
    /// When the table does not answer: then nobody knows whether it counted.
    pub async fn change_backlog(&self, tenant: &TenantId, change: &Backlog) -> PortResult<()> {
        let changes = change.days().map(|(day, change)| {
            let update = Once::new(Key::new(keys::backlog(tenant), keys::backlog_day(day)))
                .add("waiting", change)
                .set("ttl", (day + KEEP_DAYS) * DAY_SECONDS);
            update.send(&self.items)
        });
        try_join_all(changes).await.map(drop)
    }

    /// Returns approximately how many events of a tenant wait.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn backlog(&self, tenant: &TenantId) -> PortResult<Backlog> {
        let items = self.items.all(Query::eventual(keys::backlog(tenant))).await?;
        Ok(Backlog::of(items.iter().filter_map(read)))
    }
}

fn read(item: &Item) -> Option<(u64, i64)> {
    let waiting: i64 = item.number("waiting").ok()?;
    let day = item.text("sk").ok()?.parse().ok()?;
    (waiting != 0).then_some((day, waiting))
}

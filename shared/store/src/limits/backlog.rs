//! The backlog of a tenant: its undelivered events, one item for each day of their acceptance.

use domain::tenant::backlog::Backlog;
use domain::tenant::id::TenantId;
use futures_util::future::try_join_all;

use super::Limits;
use super::once::update_once;
use crate::item::{Item, Key};
use crate::keys;
use crate::table::Table;
use crate::table::query::Query;
use crate::table::write::Update;
use crate::unavailable::PortResult;

/// How long the item of a day is kept, in days. No event is kept longer.
const KEEP_DAYS: u64 = 100;

const DAY_SECONDS: u64 = 86_400;

impl<T: Table> Limits<T> {
    /// Adds a change to the backlog of a tenant. Each call counts.
    ///
    /// # Errors
    /// When the table does not answer. The call may have counted then.
    pub async fn change_backlog(&self, tenant: &TenantId, change: &Backlog) -> PortResult<()> {
        let changes = change.days().map(|(day, change)| {
            let update = Update::new(Key::new(keys::backlog(tenant), keys::backlog_day(day)))
                .add("waiting", change)
                .set("ttl", (day + KEEP_DAYS) * DAY_SECONDS);
            update_once(&self.items, update)
        });
        try_join_all(changes).await.map(drop)
    }

    /// Returns the approximate backlog of a tenant.
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

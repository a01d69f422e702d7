//! The statistics of a tenant's events: one item for each minute, one attribute for each number that is not zero.

use domain::tenant::id::TenantId;
use domain::tenant::stats::{STATS_RETENTION, Stats, StatsByMinute};

use super::Limits;
use super::once::update_once;
use crate::item::{Key, Unreadable, Value};
use crate::keys;
use crate::table::Table;
use crate::table::query::{Query, Range};
use crate::table::write::Update;
use crate::unavailable::PortResult;

impl<T: Table> Limits<T> {
    /// Adds to the statistics of a minute. `minute` counts from the epoch. Each call counts.
    ///
    /// # Errors
    /// When the table does not answer. The call may have counted then.
    pub async fn add_stats(&self, tenant: &TenantId, minute: u64, stats: &Stats) -> PortResult<()> {
        let mut named = stats.named().peekable();
        if named.peek().is_none() {
            return Ok(());
        }
        let ttl = (minute + 1) * 60 + STATS_RETENTION.as_secs();
        let mut update =
            Update::new(Key::new(keys::stats(tenant), keys::stats_minute(minute))).set("ttl", ttl);
        for (name, number) in named {
            update = update.add(name, number);
        }
        update_once(&self.items, update).await.map(drop)
    }

    /// Returns the statistics of each minute from `first` to `last`, both included. They are kept for
    /// [`STATS_RETENTION`].
    pub async fn stats(&self, tenant: &TenantId, first: u64, last: u64) -> PortResult<StatsByMinute> {
        let minutes = Range::Between(keys::stats_minute(first), keys::stats_minute(last));
        let items = self.items.all(Query::eventual(keys::stats(tenant)).range(minutes)).await?;
        let mut found = StatsByMinute::default();
        for item in &items {
            let minute = item.text("sk")?.parse().map_err(|_| Unreadable("sk"))?;
            for (name, value) in item.iter() {
                if let Value::N(number) = value
                    && let Ok(number) = u64::try_from(*number)
                {
                    found.add(minute, name, number);
                }
            }
        }
        Ok(found)
    }
}

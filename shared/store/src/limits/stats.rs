//! What happened to a tenant's events: one item for each minute; each number is an attribute, which is absent where it is zero.

use domain::tenant::id::TenantId;
use domain::tenant::stats::{STATS_RETENTION, Stats};

use super::Limits;
use super::once::Once;
use crate::item::{Key, Value};
use crate::keys;
use crate::table::Table;
use crate::table::query::{Query, Range};
use crate::unavailable::PortResult;

impl<T: Table> Limits<T> {
    /// Adds to what happened in a minute since the epoch. Not idempotent: a further call counts again.
    ///
    /// # Errors
    /// When the table does not answer: then nobody knows whether it counted.
    pub async fn note_stats(&self, tenant: &TenantId, minute: u64, stats: &Stats) -> PortResult<()> {
        let mut named = stats.named().peekable();
        if named.peek().is_none() {
            return Ok(());
        }
        let ttl = (minute + 1) * 60 + STATS_RETENTION.as_secs();
        let update = Once::new(Key::new(keys::stats(tenant), keys::stats_minute(minute))).set("ttl", ttl);
        let update = named.fold(update, |update, (name, number)| update.add(name, number));
        update.send(&self.items).await.map(drop)
    }

    /// Returns what happened from the first of these minutes to the last, both included. Stats are kept for
    /// [`STATS_RETENTION`].
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn stats(&self, tenant: &TenantId, first: u64, last: u64) -> PortResult<Stats> {
        let minutes = Range::Between(keys::stats_minute(first), keys::stats_minute(last));
        let items = self.items.all(Query::eventual(keys::stats(tenant)).range(minutes)).await?;
        let mut sum = Stats::default();
        for item in &items {
            for (name, value) in item.iter() {
                if let Value::N(number) = value
                    && let Ok(number) = u64::try_from(*number)
                {
                    sum.add(name, number);
                }
            }
        }
        Ok(sum)
    }
}

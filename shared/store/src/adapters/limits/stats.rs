//! What happened to a tenant's events: one item per minute, each number an attribute of its own, and absent where it is zero.

use crate::adapters::item::{n, number_of, s};
use crate::adapters::limits::LimitsTable;
use crate::keys;
use crate::unavailable::{PortResult, Unavailable};
use domain::tenant::id::TenantId;
use domain::tenant::stats::{KEEP_STATS, Stats};

impl LimitsTable {
    /// Adds to the item of one minute, in one step.
    pub(super) async fn add_stats(&self, tenant: &TenantId, minute: u64, stats: &Stats) -> PortResult<()> {
        let mut named = stats.named().peekable();
        if named.peek().is_none() {
            return Ok(());
        }
        let update = self
            .once(keys::stats(tenant), keys::stats_minute(minute))
            .set("ttl", n((minute + 1) * 60 + KEEP_STATS.as_secs()));
        let update = named.fold(update, |update, (name, number)| update.add(&name, number));
        update.send("counting for a tenant").await.map(drop)
    }

    /// The items of these minutes, summed.
    pub(super) async fn sum_of_stats(&self, tenant: &TenantId, first: u64, last: u64) -> PortResult<Stats> {
        let (mut sum, mut start) = (Stats::default(), None);
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
                .expression_attribute_values(":pk", s(keys::stats(tenant)))
                .expression_attribute_values(":first", s(keys::stats_minute(first)))
                .expression_attribute_values(":last", s(keys::stats_minute(last)))
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(|error| Unavailable::new("reading stats", error))?;
            for (name, value) in answer.items.into_iter().flatten().flatten() {
                if let Some(number) = number_of(&value) {
                    sum.add(&name, number);
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(sum);
            }
        }
    }
}

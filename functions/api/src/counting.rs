//! What changes in a tenant's inbox by its owner's hand, for its backlog and its stats.

use domain::tenant::id::TenantId;
use domain::tenant::stats::{TenantChange, TenantChanges};
use domain::timestamp::Timestamp;
use runtime::batch;
use store::limits::counters::Counts;

use crate::deps::Api;
use store::ports::Ports;

/// Counts events that left the inbox, or are in it once more. Where that fails, they do all the same.
pub(crate) async fn count<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    changes: &[TenantChange],
    now: Timestamp,
) {
    if changes.is_empty() {
        return;
    }
    let by: Vec<i64> = changes.iter().flat_map(|share| share.backlog.days()).map(|(_, by)| by).collect();
    let sum = |wanted: fn(&&i64) -> bool| by.iter().filter(wanted).map(|by| by.unsigned_abs()).sum();
    let counts = Counts { settled: sum(|by| **by < 0), returned: sum(|by| **by > 0), ..Counts::default() };
    let shares = changes.iter().fold(TenantChanges::default(), |all, share| all.with(tenant, share));
    batch::count(&api.limits, counts, None, &shares, now).await;
}

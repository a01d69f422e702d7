//! Counts events that a client's request acknowledges or deletes, for the backlog and the statistics.

use domain::tenant::id::TenantId;
use domain::tenant::stats::{TenantChange, TenantChanges};
use domain::timestamp::Timestamp;
use runtime::batch;
use store::limits::counters::Counts;
use store::ports::Ports;

use crate::deps::Api;

/// Adds these changes to the counters. An error is logged only, because the events are changed already.
pub(crate) async fn count<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    changes: &[TenantChange],
    now: Timestamp,
) {
    if changes.is_empty() {
        return;
    }
    let mut counts = Counts::default();
    let mut of_tenant = TenantChanges::default();
    for change in changes {
        counts.settled += change.backlog.days().map(|(_, by)| by.unsigned_abs()).sum::<u64>();
        of_tenant = of_tenant.with(tenant, change);
    }
    batch::count(&api.limits, counts, None, &of_tenant, now).await;
}

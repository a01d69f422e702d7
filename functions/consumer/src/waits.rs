//! How long the events of each tenant waited in the queue. Ingest refuses new events of a tenant whose own events wait too
//! long. An ordinary event costs no call, because only a long wait is stored.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use futures_util::future::join_all;
use runtime::batch::{Message, longest_wait};
use store::limits::Limits;
use store::limits::counters::{QueueName, Wait};
use store::table::Table;

/// The shortest wait that is stored: longer than the wait of any event while consumer keeps up, and far shorter than one that
/// refuses events.
const LONG_WAIT: Duration = Duration::from_secs(10);

/// Returns the wait of the oldest new message of each tenant, of the tenants whose wait is long. `tenants` holds the tenant
/// of each message, as far as it is known.
pub(crate) fn long_waits(
    messages: &[Message],
    tenants: &[Option<TenantId>],
    now: Timestamp,
) -> Vec<(TenantId, Wait)> {
    let mut by_tenant: BTreeMap<&TenantId, Vec<&Message>> = BTreeMap::new();
    for (message, tenant) in messages.iter().zip(tenants) {
        if let Some(tenant) = tenant {
            by_tenant.entry(tenant).or_default().push(message);
        }
    }
    let waits = by_tenant.into_iter().filter_map(|(tenant, messages)| {
        let wait = longest_wait(QueueName::Events, messages.into_iter(), now)?;
        (Duration::from_millis(wait.waited_ms) >= LONG_WAIT).then(|| (tenant.clone(), wait))
    });
    waits.collect()
}

/// Stores these waits. A failure is logged only: the next batch stores its own.
pub(crate) async fn record(limits: &Limits<impl Table>, waits: &[(TenantId, Wait)]) {
    let records = waits.iter().map(|(tenant, wait)| limits.record_wait(tenant, wait));
    for error in join_all(records).await.into_iter().filter_map(Result::err) {
        tracing::warn!(cause = %error, "the wait of a tenant's events was not stored");
    }
}

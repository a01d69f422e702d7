//! Records when an endpoint last took a delivery, with one write in a quarter of an hour at most. The endpoint is read before
//! each attempt, so most deliveries see that none is to be recorded.

use std::time::Duration;

use domain::delivery::DeliveryMessage;
use domain::endpoint::Endpoint;
use domain::endpoint::id::EndpointId;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use store::cache::Cache;
use store::control::Control;
use store::table::Table;

/// The shortest time between two writes of this instance for one endpoint. All messages of a batch have read the endpoint
/// before any of them writes.
const INTERVAL: Duration = Duration::from_mins(1);

/// The largest number of endpoints in memory.
const MAX_ENDPOINTS: usize = 10_000;

/// The writes of this instance.
pub(crate) struct LastDeliveries(Cache<(TenantId, EndpointId), Timestamp>);

impl LastDeliveries {
    /// Returns a recorder that has written nothing.
    pub(crate) fn new() -> Self {
        Self(Cache::new(MAX_ENDPOINTS))
    }

    /// Records a delivery at `now`, if it is time for it. A failure is logged only: a later delivery is recorded instead.
    pub(crate) async fn record<T: Table>(
        &self,
        control: &Control<T>,
        message: &DeliveryMessage,
        endpoint: &Endpoint,
        now: Timestamp,
    ) {
        if !endpoint.records_delivery(now) || !self.starts(message, now) {
            return;
        }
        if let Err(error) = control.record_delivery(&message.tenant, endpoint, now).await {
            tracing::warn!(cause = %error, "the last delivery of an endpoint was not recorded; a later one is");
        }
    }

    /// Returns whether this instance may write now, and then remembers that it does.
    fn starts(&self, message: &DeliveryMessage, now: Timestamp) -> bool {
        let key = (message.tenant.clone(), message.endpoint.clone());
        let is_due = self.0.get(&key).is_none_or(|last| now.since(last) >= INTERVAL);
        if is_due {
            self.0.insert(key, now);
        }
        is_due
    }
}

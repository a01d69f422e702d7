//! The endpoints of a tenant. The tenant changes an endpoint on the condition of its `rev`, and attempts change its
//! health on the condition of its `health_rev`, so that neither overwrites the other.
//!
//! Each change by the tenant is counted in the item of the tenant, after the change and before the answer. Consumer reads that count
//! for each batch, and the endpoints only when it has changed. So a list that is read after a count has all changes that it counts.
//! A new endpoint is counted twice: the first time in the transaction that adds it, because a repeated request is refused for its URL and
//! counts nothing. `DynamoDB` can show one item of a transaction before the other, so that count alone would not be enough.

use domain::endpoint::health::Change;
use domain::endpoint::id::EndpointId;
use domain::endpoint::slowness::Slowness;
use domain::endpoint::{DELIVERY_RECORD_INTERVAL, Endpoint, EndpointState, MAX_ENDPOINTS};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

use super::{Control, endpoint_item, health_item, tenant_item};
use crate::item::Key;
use crate::items::{Committed, Outcome, Updated};
use crate::keys;
use crate::table::Table;
use crate::table::condition::{absent, absent_or_at_most, equals, exists, less};
use crate::table::write::{Delete, Put, Update, Write};
use crate::unavailable::PortResult;

/// How adding an endpoint ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Added {
    /// The endpoint is added.
    Done,
    /// An endpoint with this id exists.
    Exists,
    /// The tenant already has [`MAX_ENDPOINTS`] endpoints.
    TooMany,
    /// The tenant is suspended.
    Suspended,
}

impl<T: Table> Control<T> {
    /// Returns all endpoints of a tenant, read consistently.
    ///
    /// # Errors
    /// When the table does not answer, or an endpoint is unreadable.
    pub async fn endpoints(&self, tenant: &TenantId) -> PortResult<Vec<Endpoint>> {
        let items = self.list(tenant, keys::ENDPOINTS).await?;
        Ok(items.iter().map(endpoint_item::read).collect::<Result<_, _>>()?)
    }

    /// Returns one endpoint. The read is consistent, so that a change applies to the next attempt.
    ///
    /// # Errors
    /// When the table does not answer, or the endpoint is unreadable.
    pub async fn endpoint(&self, tenant: &TenantId, id: &EndpointId) -> PortResult<Option<Endpoint>> {
        let item = self.items.get(endpoint_item::key(tenant, id)).await?;
        Ok(item.as_ref().map(endpoint_item::read).transpose()?)
    }

    /// Adds an endpoint, unless the tenant is suspended: the mark of its endpoints would miss it.
    pub async fn add_endpoint(&self, tenant: &TenantId, endpoint: &Endpoint) -> PortResult<Added> {
        let put = Put::new(endpoint_item::write(tenant, endpoint)).only_if(absent("sk"));
        let most = u64::try_from(MAX_ENDPOINTS).unwrap_or(u64::MAX);
        let count = count_endpoints(tenant, 1).only_if(absent("held").or(less("held", most)));
        let raise = tenant_item::raise_endpoints_rev(tenant).only_if(tenant_item::when_suspended(false));
        let writes = vec![Write::Put(put), Write::Update(count), Write::Update(raise)];
        Ok(match self.items.transact(writes).await? {
            Committed::Done => {
                self.count_change(tenant).await?;
                Added::Done
            }
            Committed::Refused(refused) if refused.first() == Some(&true) => Added::Exists,
            Committed::Refused(refused) if refused.get(1) == Some(&true) => Added::TooMany,
            Committed::Refused(_) => Added::Suspended,
        })
    }

    /// Changes the settings of an endpoint, if they have not changed since they were read as `seen`. Deletes the health
    /// of an endpoint that gets another URL, is enabled again, or whose circuit breaker `next` closes. Another URL has no last
    /// delivery.
    pub async fn change_endpoint(
        &self,
        tenant: &TenantId,
        seen: &Endpoint,
        next: &Endpoint,
    ) -> PortResult<Updated> {
        let settings = endpoint_item::settings(&Endpoint { rev: seen.rev + 1, ..next.clone() });
        let mut update = Update::new(endpoint_item::key(tenant, &seen.id))
            .set_all(settings)
            .only_if(equals("rev", seen.rev));
        for (name, value) in endpoint_item::optional_settings(next) {
            update = update.set_or_remove(name, value);
        }
        let is_enabled_again = (seen.state, next.state) == (EndpointState::Disabled, EndpointState::Active);
        let closes_breaker = !seen.health.is_closed() && next.health.is_closed();
        if is_enabled_again || closes_breaker || seen.url != next.url {
            // Attempts that have read the old health must not write it back: the higher health_rev refuses them.
            update = update.remove("health").add("health_rev", 1);
        }
        if seen.url != next.url {
            update = update.remove(endpoint_item::DELIVERED_AT);
        }
        let updated = self.items.update(update).await?.updated();
        if updated == Updated::Done {
            self.count_change(tenant).await?;
        }
        Ok(updated)
    }

    /// Records a delivery at `at`, if none was recorded within [`DELIVERY_RECORD_INTERVAL`] before it, and the endpoint has
    /// the URL that was read as `seen`. A repeat writes nothing.
    pub async fn record_delivery(&self, tenant: &TenantId, seen: &Endpoint, at: Timestamp) -> PortResult<()> {
        let is_due = absent_or_at_most(endpoint_item::DELIVERED_AT, at.before(DELIVERY_RECORD_INTERVAL));
        let update = Update::new(endpoint_item::key(tenant, &seen.id))
            .set(endpoint_item::DELIVERED_AT, at)
            .only_if(equals("url", seen.url.as_str()).and(is_due));
        self.items.update(update).await.map(drop)
    }

    /// Records how slowly an endpoint answers, if nothing was recorded since it was read as `seen`, and it has the same URL. A
    /// repeat writes nothing.
    pub async fn record_slowness(
        &self,
        tenant: &TenantId,
        seen: &Endpoint,
        next: Slowness,
    ) -> PortResult<Updated> {
        let is_unchanged = match seen.slowness {
            Some(slowness) => equals(endpoint_item::SLOW_AT, slowness.at),
            None => absent(endpoint_item::SLOW_AT),
        };
        let update = Update::new(endpoint_item::key(tenant, &seen.id))
            .set(endpoint_item::SLOW_SECONDS, next.seconds)
            .set(endpoint_item::SLOW_AT, next.at)
            .only_if(equals("url", seen.url.as_str()).and(is_unchanged));
        self.items.update(update).await.map(Outcome::updated)
    }

    /// Changes the health of an endpoint, and disables the endpoint if the change says so. Writes nothing if the health
    /// or the URL has changed since they were read as `seen`: the answer of one URL must not change the health of
    /// another.
    pub async fn change_health(
        &self,
        tenant: &TenantId,
        seen: &Endpoint,
        change: &Change,
    ) -> PortResult<Updated> {
        let mut update = Update::new(endpoint_item::key(tenant, &seen.id))
            .set("health", health_item::write(&change.health))
            .set("health_rev", change.health.rev)
            .only_if(equals("url", seen.url.as_str()).and(equals("health_rev", seen.health.rev)));
        if change.disables {
            update = update.set("state", endpoint_item::DISABLED);
        }
        self.items.update(update).await.map(Outcome::updated)
    }

    /// Deletes an endpoint. A second delete changes nothing.
    pub async fn delete_endpoint(&self, tenant: &TenantId, id: &EndpointId) -> PortResult<()> {
        let delete = Delete::new(endpoint_item::key(tenant, id)).only_if(exists("sk"));
        let writes = vec![Write::Delete(delete), Write::Update(count_endpoints(tenant, -1))];
        self.items.transact(writes).await?;
        self.count_change(tenant).await
    }

    /// Counts a change of the tenant's endpoints.
    async fn count_change(&self, tenant: &TenantId) -> PortResult<()> {
        self.items.update(tenant_item::raise_endpoints_rev(tenant)).await.map(drop)
    }
}

/// Returns the update that changes the number of a tenant's endpoints.
fn count_endpoints(tenant: &TenantId, change: i64) -> Update {
    Update::new(Key::new(keys::tenant(tenant), keys::ENDPOINT_COUNT)).add("held", change)
}

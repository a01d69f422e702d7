//! The table `Control`: tenants, keys and endpoints.

mod endpoints;
mod health_item;
mod keys_of_tenant;
mod spread_item;

use aws_sdk_dynamodb::Client;

use super::aws::Clients;
use super::item::{Item, s};
use crate::api_key::{KeyHash, KeyRecord};
use crate::breaker::Change;
use crate::endpoint::{Endpoint, EndpointId};
use crate::keys;
use crate::ports::{Control, PortResult, Unavailable, Updated};
use crate::tenant::{TenantId, Tier};
use crate::timestamp::Timestamp;

pub use endpoints::Added;
pub use keys_of_tenant::Written;

/// The table `Control`.
#[derive(Clone, Debug)]
pub struct ControlTable {
    client: Client,
    table: String,
}

impl ControlTable {
    /// The table of this name.
    #[must_use]
    pub fn new(clients: &Clients, table: String) -> Self {
        Self { client: clients.dynamodb.clone(), table }
    }

    /// One item, read consistently.
    async fn get(&self, pk: String, sk: String) -> PortResult<Option<Item>> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let answer = get.key("pk", s(pk)).key("sk", s(sk)).send().await;
        answer.map(|answer| answer.item).map_err(|error| Unavailable::new("reading the table Control", error))
    }

    /// All items of a tenant whose sort key begins like this, read consistently.
    async fn list(&self, tenant: &TenantId, prefix: &str) -> PortResult<Vec<Item>> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":pk", s(keys::tenant(tenant)))
                .expression_attribute_values(":prefix", s(prefix))
                .set_exclusive_start_key(start);
            let answer = query.send().await;
            let answer = answer.map_err(|error| Unavailable::new("reading the table Control", error))?;
            items.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }
}

impl Control for ControlTable {
    async fn key(&self, hash: &KeyHash) -> PortResult<Option<KeyRecord>> {
        self.read_key(hash).await
    }

    async fn note_use(&self, tenant: &TenantId, key_id: &str, now: Timestamp) -> PortResult<()> {
        self.note_use_of_key(tenant, key_id, now).await
    }

    async fn endpoints(&self, tenant: &TenantId) -> PortResult<Vec<Endpoint>> {
        self.read_endpoints(tenant).await
    }

    async fn endpoint(&self, tenant: &TenantId, id: &EndpointId) -> PortResult<Option<Endpoint>> {
        self.read_endpoint(tenant, id).await
    }

    async fn change_health(
        &self,
        tenant: &TenantId,
        seen: &Endpoint,
        change: &Change,
    ) -> PortResult<Updated> {
        self.change_health_of_endpoint(tenant, seen, change).await
    }

    async fn tier(&self, tenant: &TenantId) -> PortResult<Option<Tier>> {
        self.tier_of_tenant(tenant).await
    }
}

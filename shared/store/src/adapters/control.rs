//! The table `Control`: tenants, keys and endpoints.

pub mod endpoints;
mod erasure;
mod health_item;
pub mod keys_of_tenant;
mod spread_item;
mod tenant_item;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;

use crate::adapters::aws::Clients;
use crate::adapters::item::{Item, s};
use crate::items::Updated;
use crate::keys;
use crate::ports::control::{Control, TenantSettings};
use crate::unavailable::{PortResult, Unavailable};
use domain::endpoint::Endpoint;
use domain::endpoint::health::Change;
use domain::endpoint::id::EndpointId;
use domain::job::JobId;
use domain::tenant::api_key::{KeyHash, KeyRecord};
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::timestamp::Timestamp;

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
        let query = self.client.query().key_condition_expression("pk = :pk AND begins_with(sk, :prefix)");
        self.query(query.expression_attribute_values(":prefix", s(prefix)), tenant).await
    }

    /// All items of a tenant, read consistently.
    async fn list_all(&self, tenant: &TenantId) -> PortResult<Vec<Item>> {
        self.query(self.client.query().key_condition_expression("pk = :pk"), tenant).await
    }

    async fn query(&self, query: QueryFluentBuilder, tenant: &TenantId) -> PortResult<Vec<Item>> {
        let query = query.table_name(&self.table).consistent_read(true);
        let query = query.expression_attribute_values(":pk", s(keys::tenant(tenant)));
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let answer = query.clone().set_exclusive_start_key(start).send().await;
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

    async fn standing(&self, tenant: &TenantId) -> PortResult<TenantSettings> {
        self.read_standing(tenant).await
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

    async fn mark_erased(&self, tenant: &TenantId, job: &JobId, now: Timestamp) -> PortResult<JobId> {
        self.mark(tenant, job, now).await
    }

    async fn purge(&self, tenant: &TenantId) -> PortResult<usize> {
        self.purge_tenant(tenant).await
    }

    async fn tier(&self, tenant: &TenantId) -> PortResult<Option<Tier>> {
        self.tier_of_tenant(tenant).await
    }
}

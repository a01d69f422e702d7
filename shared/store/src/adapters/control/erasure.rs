//! The end of a tenant: marked first, then deleted but for its mark.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use crate::adapters::batch_delete::delete_all;
use crate::adapters::control::ControlTable;
use crate::adapters::item::{Item, Unreadable, item, key_of, n, s, text};
use crate::keys;
use crate::unavailable::{PortResult, Unavailable};
use domain::job::JobId;
use domain::tenant::api_key::KeyHash;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// What an erased tenant's item loses: all but the mark, and the `rev` that no change of the tenant passes.
const KNOWN: [&str; 5] = ["organization_name", "tier", "spread", "created_at", "retention_days"];

impl ControlTable {
    pub(super) async fn mark(&self, tenant: &TenantId, job: &JobId, now: Timestamp) -> PortResult<JobId> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", s(keys::tenant(tenant)))
            .key("sk", s(keys::TENANT))
            .update_expression("SET erased_at = :now, erased_by = :job ADD rev :one")
            .condition_expression("attribute_not_exists(erased_at)")
            .expression_attribute_values(":now", n(now.millis()))
            .expression_attribute_values(":job", s(job.as_str()))
            .expression_attribute_values(":one", n(1)) // no change of keys or tier passes the mark
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = update else { return Ok(job.clone()) };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let first = failed.item().ok_or(Unreadable("item")).and_then(|item| text(item, "erased_by"));
                first.map(JobId::from_stored).map_err(|error| Unavailable::new("reading a tenant", error))
            }
            _ => Err(Unavailable::new("marking a tenant", error)),
        }
    }

    /// The items by which keys are found go before those that list them: whoever comes again still finds the way.
    pub(super) async fn purge_tenant(&self, tenant: &TenantId) -> PortResult<usize> {
        let items = self.list_all(tenant).await?;
        let hash = |item: &Item| text(item, "hash").ok().map(KeyHash::from_stored);
        let keys: Vec<Item> = items.iter().filter_map(hash).map(|hash| authentication_key(&hash)).collect();
        delete_all(&self.client, &self.table, &keys).await?;
        let is_mark = |item: &&Item| text(item, "sk").is_ok_and(|sk| sk == keys::TENANT);
        let others: Vec<Item> = items.iter().filter(|item| !is_mark(item)).map(key_of).collect();
        delete_all(&self.client, &self.table, &others).await?;
        self.keep_the_mark_alone(tenant).await?;
        Ok(keys.len() + others.len())
    }

    async fn keep_the_mark_alone(&self, tenant: &TenantId) -> PortResult<()> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", s(keys::tenant(tenant)))
            .key("sk", s(keys::TENANT))
            .update_expression(format!("REMOVE {}", KNOWN.join(", ")))
            .condition_expression("attribute_exists(erased_at)")
            .send()
            .await;
        update.map(drop).map_err(|error| Unavailable::new("forgetting a tenant", error))
    }
}

fn authentication_key(hash: &KeyHash) -> Item {
    item([("pk", s(keys::api_key(hash))), ("sk", s(keys::ONLY))])
}

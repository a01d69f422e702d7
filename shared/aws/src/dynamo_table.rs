//! A table of `DynamoDB`: conditions, filters and updates become expressions, expected failures become answers.

mod answer;
mod expression;
mod transaction;

use std::error::Error;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    DeleteRequest, KeysAndAttributes, ReturnConsumedCapacity, ReturnValue,
    ReturnValuesOnConditionCheckFailure, Select as SelectOfCall, WriteRequest,
};

use store::item::{Item, Key};
use store::table::query::{Page, Query, Select};
use store::table::write::{Delete, Put, Transacted, Update, Write, Written};
use store::table::{Consistency, Table};
use store::unavailable::{PortResult, Unavailable};

use self::expression::Expressions;
use crate::clients::Clients;
use crate::value::{attributes, item, key_attributes};

type Cause = Box<dyn Error + Send + Sync>;

/// A refused write that returns attributes gives the item that is there, so that it need not be read.
const REFUSED: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

/// One table of `DynamoDB`.
///
/// Reading leaves out attributes of a type that this version does not know, so that the rest of the item stays readable; the
/// reader of such an attribute fails as [`Unreadable`](store::item::Unreadable).
#[derive(Clone, Debug)]
pub struct DynamoTable {
    client: Client,
    table: String,
}

impl DynamoTable {
    /// Returns the table of this name.
    #[must_use]
    pub fn new(clients: &Clients, table: String) -> Self {
        Self { client: clients.dynamodb.clone(), table }
    }
}

impl Table for DynamoTable {
    async fn get(&self, key: &Key, consistency: Consistency) -> PortResult<Option<Item>> {
        let call = self.client.get_item().table_name(&self.table).set_key(Some(key_attributes(key)));
        let answer = call.consistent_read(consistency == Consistency::Strong).send().await;
        let answer = answer.map_err(|error| Unavailable::new("GetItem", error))?;
        Ok(answer.item.map(item))
    }

    async fn query(&self, query: &Query) -> PortResult<Page> {
        let mut used = Expressions::default();
        let key_condition = used.key_condition(query);
        let filter = query.filter.as_ref().map(|filter| used.condition(filter));
        let projection = (query.select == Select::Keys).then(|| used.projection(&["pk", "sk"]));
        let call = self
            .client
            .query()
            .table_name(&self.table)
            .set_index_name(query.index.map(|index| index.name().to_owned()))
            .key_condition_expression(key_condition)
            .set_filter_expression(filter)
            .set_projection_expression(projection)
            .set_expression_attribute_names(used.names())
            .set_expression_attribute_values(used.into_values())
            .set_select((query.select == Select::Count).then_some(SelectOfCall::Count))
            .set_limit(query.limit.map(|items| i32::try_from(items).unwrap_or(i32::MAX)))
            .scan_index_forward(!query.backwards)
            .set_exclusive_start_key(query.start.as_ref().map(attributes))
            .consistent_read(query.consistency == Consistency::Strong) // an index refuses it
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = call.send().await.map_err(|error| Unavailable::new("Query", error))?;
        Ok(answer::page(answer))
    }

    async fn put(&self, put: &Put) -> PortResult<Written> {
        let mut used = Expressions::default();
        let condition = put.condition.as_ref().map(|condition| used.condition(condition));
        let call = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(attributes(&put.item)))
            .set_condition_expression(condition)
            .set_expression_attribute_names(used.names())
            .set_expression_attribute_values(used.into_values())
            .set_return_values_on_condition_check_failure(put.returns.then_some(REFUSED));
        match call.send().await {
            Ok(_) => Ok(Written::Done(Item::default())),
            Err(error) => answer::not_written("PutItem", error),
        }
    }

    async fn update(&self, update: &Update) -> PortResult<Written> {
        let mut used = Expressions::default();
        let changes = used.update(update);
        let condition = update.condition.as_ref().map(|condition| used.condition(condition));
        let call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(&update.key)))
            .set_update_expression(changes)
            .set_condition_expression(condition)
            .set_expression_attribute_names(used.names())
            .set_expression_attribute_values(used.into_values())
            .set_return_values(update.returns.then_some(ReturnValue::UpdatedNew))
            .set_return_values_on_condition_check_failure(update.returns.then_some(REFUSED));
        match call.send().await {
            Ok(answer) => Ok(Written::Done(answer.attributes.map(item).unwrap_or_default())),
            Err(error) => answer::not_written("UpdateItem", error),
        }
    }

    async fn delete(&self, delete: &Delete) -> PortResult<Written> {
        let mut used = Expressions::default();
        let condition = delete.condition.as_ref().map(|condition| used.condition(condition));
        let call = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(&delete.key)))
            .set_condition_expression(condition)
            .set_expression_attribute_names(used.names())
            .set_expression_attribute_values(used.into_values());
        match call.send().await {
            Ok(_) => Ok(Written::Done(Item::default())),
            Err(error) => answer::not_written("DeleteItem", error),
        }
    }

    async fn transact(&self, writes: &[Write]) -> PortResult<Transacted> {
        let mut call = self.client.transact_write_items();
        for write in writes {
            let write = transaction::write(&self.table, write);
            call = call.transact_items(write.map_err(|error| Unavailable::new("TransactWriteItems", error))?);
        }
        match call.send().await {
            Ok(_) => Ok(Transacted::Done),
            Err(error) => answer::not_transacted(error),
        }
    }

    async fn batch_get(&self, keys: &[Key]) -> PortResult<(Vec<Item>, Vec<Key>)> {
        let failed = |error: Cause| Unavailable::new("BatchGetItem", error);
        let reads = KeysAndAttributes::builder().set_keys(Some(keys.iter().map(key_attributes).collect()));
        let reads = reads.consistent_read(true).build().map_err(|error| failed(error.into()))?;
        let call = self.client.batch_get_item().request_items(&self.table, reads);
        match call.send().await {
            Ok(answer) => answer::batch(answer),
            Err(error) if answer::is_busy(&error) => Ok((Vec::new(), keys.to_vec())),
            Err(error) => Err(failed(error.into())),
        }
    }

    async fn batch_delete(&self, keys: &[Key]) -> PortResult<Vec<Key>> {
        let failed = |error: Cause| Unavailable::new("BatchWriteItem", error);
        let mut deletes = Vec::with_capacity(keys.len());
        for key in keys {
            let delete = DeleteRequest::builder().set_key(Some(key_attributes(key))).build();
            let delete = delete.map_err(|error| failed(error.into()))?;
            deletes.push(WriteRequest::builder().delete_request(delete).build());
        }
        let call = self.client.batch_write_item().request_items(&self.table, deletes);
        match call.send().await {
            Ok(answer) => answer::undeleted(answer),
            Err(error) if answer::is_busy(&error) => Ok(keys.to_vec()),
            Err(error) => Err(failed(error.into())),
        }
    }
}

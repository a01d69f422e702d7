//! The writes of a transaction as the SDK has them.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    ConditionCheck, Delete as DeleteOne, Put as PutOne, TransactWriteItem, Update as UpdateOne,
};

use store::item::Key;
use store::table::condition::Condition;
use store::table::write::{Delete, Put, Update, Write};

use super::expression::Expressions;
use crate::value::{attributes, key_attributes};

/// Returns one write of a transaction.
///
/// # Errors
/// For an update that changes nothing, which a transaction does not take.
pub(super) fn write(table: &str, write: &Write) -> Result<TransactWriteItem, BuildError> {
    let item = TransactWriteItem::builder();
    let item = match write {
        Write::Put(one) => item.put(put(table, one)?),
        Write::Update(one) => item.update(update(table, one)?),
        Write::Delete(one) => item.delete(delete(table, one)?),
        Write::Check(key, condition) => item.condition_check(check(table, key, condition)?),
    };
    Ok(item.build())
}

fn put(table: &str, put: &Put) -> Result<PutOne, BuildError> {
    let mut used = Expressions::default();
    let condition = put.condition.as_ref().map(|condition| used.condition(condition));
    PutOne::builder()
        .table_name(table)
        .set_item(Some(attributes(&put.item)))
        .set_condition_expression(condition)
        .set_expression_attribute_names(used.names())
        .set_expression_attribute_values(used.into_values())
        .build()
}

fn update(table: &str, update: &Update) -> Result<UpdateOne, BuildError> {
    let mut used = Expressions::default();
    let changes = used.update(update);
    let condition = update.condition.as_ref().map(|condition| used.condition(condition));
    UpdateOne::builder()
        .table_name(table)
        .set_key(Some(key_attributes(&update.key)))
        .set_update_expression(changes)
        .set_condition_expression(condition)
        .set_expression_attribute_names(used.names())
        .set_expression_attribute_values(used.into_values())
        .build()
}

fn delete(table: &str, delete: &Delete) -> Result<DeleteOne, BuildError> {
    let mut used = Expressions::default();
    let condition = delete.condition.as_ref().map(|condition| used.condition(condition));
    DeleteOne::builder()
        .table_name(table)
        .set_key(Some(key_attributes(&delete.key)))
        .set_condition_expression(condition)
        .set_expression_attribute_names(used.names())
        .set_expression_attribute_values(used.into_values())
        .build()
}

fn check(table: &str, key: &Key, condition: &Condition) -> Result<ConditionCheck, BuildError> {
    let mut used = Expressions::default();
    let condition = used.condition(condition);
    ConditionCheck::builder()
        .table_name(table)
        .set_key(Some(key_attributes(key)))
        .condition_expression(condition)
        .set_expression_attribute_names(used.names())
        .set_expression_attribute_values(used.into_values())
        .build()
}

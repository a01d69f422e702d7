//! Putting an item in the place of the one that was read, or where none is.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;

use crate::adapters::item::{Item, n};
use crate::items::Updated;
use crate::unavailable::{PortResult, Unavailable};

/// Puts an item of this `rev`, only where the one that is there has the `rev` before it.
///
/// # Errors
/// When the table does not answer.
pub(super) async fn put_over(client: &Client, table: &str, item: Item, rev: u64) -> PortResult<Updated> {
    let put = client
        .put_item()
        .table_name(table)
        .set_item(Some(item))
        .condition_expression("rev = :seen")
        .expression_attribute_values(":seen", n(rev - 1))
        .send()
        .await;
    let Err(error) = put else { return Ok(Updated::Done) };
    match error.as_service_error() {
        Some(
            PutItemError::ConditionalCheckFailedException(_) | PutItemError::TransactionConflictException(_),
        ) => Ok(Updated::Raced),
        _ => Err(Unavailable::new("replacing an item", error)),
    }
}

/// Puts an item, only where none of its key is; whether there was none.
///
/// # Errors
/// When the table does not answer.
pub(super) async fn put_new(client: &Client, table: &str, item: Item) -> PortResult<bool> {
    let put = client.put_item().table_name(table).set_item(Some(item));
    let put = put.condition_expression("attribute_not_exists(pk)").send().await;
    let Err(error) = put else { return Ok(true) };
    match error.as_service_error() {
        Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
        _ => Err(Unavailable::new("putting an item", error)),
    }
}

//! Deleting many items at once.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};

use crate::adapters::aws::BATCH_PAUSES;
use crate::adapters::item::Item;
use crate::unavailable::{PortResult, Unavailable};

/// The most items that one `BatchWriteItem` takes.
const MAX_BATCH_ITEMS: usize = 25;

/// Deletes the items of these keys, which differ; an item that is not there changes nothing.
///
/// # Errors
/// When the table does not answer: some may be deleted.
pub(super) async fn delete_all(client: &Client, table: &str, keys: &[Item]) -> PortResult<()> {
    for chunk in keys.chunks(MAX_BATCH_ITEMS) {
        delete_chunk(client, table, chunk).await?;
    }
    Ok(())
}

async fn delete_chunk(client: &Client, table: &str, keys: &[Item]) -> PortResult<()> {
    let delete = |key: &Item| DeleteRequest::builder().set_key(Some(key.clone())).build();
    let deletes: Result<Vec<_>, _> = keys.iter().map(delete).collect();
    let deletes = deletes.map_err(|error| Unavailable::new("deleting items", error))?;
    let request = |delete| WriteRequest::builder().delete_request(delete).build();
    let mut requests: Vec<WriteRequest> = deletes.into_iter().map(request).collect();
    for pause in BATCH_PAUSES {
        tokio::time::sleep(pause).await;
        let call = client.batch_write_item().request_items(table, requests).send().await;
        let answer = call.map_err(|error| Unavailable::new("deleting items", error))?;
        requests = answer.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
        if requests.is_empty() {
            return Ok(());
        }
    }
    Err(Unavailable::new("deleting items", "the table is too busy"))
}

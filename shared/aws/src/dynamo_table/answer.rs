//! Answers of `DynamoDB`, and the failures that are answers too: a condition that does not hold, a transaction in the way.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemOutput;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::CancellationReason;

use store::item::{Item, Key};
use store::table::query::Page;
use store::table::write::{Reason, Transacted, Written};
use store::unavailable::{PortResult, Unavailable};

use crate::value::{Attributes, item};

/// Returns the page that a query read.
pub(super) fn page(answer: QueryOutput) -> Page {
    let cost = answer.consumed_capacity.and_then(|consumed| consumed.capacity_units);
    Page {
        half_units: cost.map_or(0, halves),
        count: usize::try_from(answer.count).unwrap_or_default(),
        scanned: usize::try_from(answer.scanned_count).unwrap_or_default(),
        items: answer.items.into_iter().flatten().map(item).collect(),
        next: answer.last_evaluated_key.map(item),
    }
}

/// Returns capacity units, which `DynamoDB` counts in halves, as a number of halves.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it saturates, and is at most 1 MB"
)]
fn halves(units: f64) -> u64 {
    (units * 2.0).ceil() as u64
}

/// Returns why a single write was not made.
///
/// # Errors
/// When it is neither its condition nor a transaction.
pub(super) fn not_written<E>(operation: &'static str, error: SdkError<E>) -> PortResult<Written>
where
    E: std::error::Error + Send + Sync + 'static,
    aws_sdk_dynamodb::Error: From<E>,
{
    let SdkError::ServiceError(context) = error else { return Err(Unavailable::new(operation, error)) };
    match aws_sdk_dynamodb::Error::from(context.into_err()) {
        aws_sdk_dynamodb::Error::ConditionalCheckFailedException(refused) => {
            Ok(Written::Refused(refused.item.map(item).unwrap_or_default()))
        }
        aws_sdk_dynamodb::Error::TransactionConflictException(_) => Ok(Written::Conflict),
        other => Err(Unavailable::new(operation, other)),
    }
}

/// Returns why each write of a transaction was not made.
///
/// # Errors
/// When the call failed for another reason than a cancellation. The transaction may be made or not.
pub(super) fn not_transacted(error: SdkError<TransactWriteItemsError>) -> PortResult<Transacted> {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
            Ok(Transacted::Canceled(canceled.cancellation_reasons().iter().map(reason).collect()))
        }
        _ => Err(Unavailable::new("TransactWriteItems", error)),
    }
}

fn reason(reason: &CancellationReason) -> Reason {
    match reason.code() {
        None | Some("None") => Reason::None,
        Some("ConditionalCheckFailed") => Reason::Condition,
        Some("TransactionConflict") => Reason::Conflict,
        Some(_) => Reason::Other,
    }
}

/// Returns whether a batch was refused because the partitions of all its keys, or the table, are too busy. Nothing of it was
/// processed then. Where one partition is not, `DynamoDB` answers with the keys that are left instead.
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>)
pub(super) fn is_busy(error: &impl ProvideErrorMetadata) -> bool {
    let busy = ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"];
    error.code().is_some_and(|code| busy.contains(&code))
}

/// Returns the items that a batch read, and the keys that it left.
///
/// # Errors
/// When a key is none that we sent.
pub(super) fn batch(answer: BatchGetItemOutput) -> PortResult<(Vec<Item>, Vec<Key>)> {
    let found = answer.responses.into_iter().flatten().flat_map(|(_, items)| items);
    let left = answer.unprocessed_keys.into_iter().flatten().flat_map(|(_, left)| left.keys);
    Ok((found.map(item).collect(), left.map(key).collect::<PortResult<_>>()?))
}

/// Returns the keys that a batch did not delete.
///
/// # Errors
/// When a key is none that we sent.
pub(super) fn undeleted(answer: BatchWriteItemOutput) -> PortResult<Vec<Key>> {
    let left = answer.unprocessed_items.into_iter().flatten().flat_map(|(_, writes)| writes);
    left.filter_map(|write| write.delete_request).map(|delete| key(delete.key)).collect()
}

fn key(attributes: Attributes) -> PortResult<Key> {
    Ok(item(attributes).key()?)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::error::{BuildError, ErrorMetadata};
    use aws_sdk_dynamodb::types::{DeleteRequest, KeysAndAttributes, WriteRequest};

    use super::*;
    use crate::value::key_attributes;

    #[test]
    fn each_reason_of_a_canceled_transaction_has_its_meaning() {
        let of = |code: Option<&str>| {
            reason(&CancellationReason::builder().set_code(code.map(str::to_owned)).build())
        };
        assert_eq!([None, Some("None")].map(of), [Reason::None; 2]);
        assert_eq!(of(Some("ConditionalCheckFailed")), Reason::Condition);
        assert_eq!(of(Some("TransactionConflict")), Reason::Conflict);
        assert_eq!([Some("ThrottlingError"), Some("ValidationError")].map(of), [Reason::Other; 2]);
    }

    #[test]
    fn only_a_refusal_because_the_table_is_busy_counts_as_busy() {
        let of = |code: &str| is_busy(&ErrorMetadata::builder().code(code).build());
        let busy = ["ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"];
        assert_eq!(busy.map(of), [true; 3]);
        assert_eq!(["ResourceNotFoundException", "InternalServerError", ""].map(of), [false; 3]);
    }

    #[test]
    fn the_keys_that_a_batch_left_are_returned() -> Result<(), BuildError> {
        let (first, second) = (Key::new("a", "1"), Key::without_sort("b"));
        let keys = KeysAndAttributes::builder().keys(key_attributes(&first)).keys(key_attributes(&second));
        let answer = BatchGetItemOutput::builder().unprocessed_keys("Events", keys.build()?).build();
        let (items, left) = batch(answer).expect("keys of ours");
        assert_eq!((items, left), (Vec::new(), vec![first.clone(), second.clone()]));
        let delete = |key| {
            let delete = DeleteRequest::builder().set_key(Some(key_attributes(key))).build()?;
            Ok::<_, BuildError>(WriteRequest::builder().delete_request(delete).build())
        };
        let writes = vec![delete(&first)?, delete(&second)?];
        let answer = BatchWriteItemOutput::builder().unprocessed_items("Events", writes).build();
        assert_eq!(undeleted(answer).expect("keys of ours"), [first, second]);
        Ok(())
    }
}

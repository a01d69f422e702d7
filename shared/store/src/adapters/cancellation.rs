//! Why a transaction was canceled.

use aws_sdk_dynamodb::types::error::TransactionCanceledException;

/// A condition of one of its items does not hold.
pub(super) const CONDITION: &str = "ConditionalCheckFailed";

/// Another transaction writes one of its items just now.
pub(super) const CONFLICT: &str = "TransactionConflict";

/// The reason of each of its items, in their order.
pub(super) fn reasons(canceled: &TransactionCanceledException) -> Vec<Option<&str>> {
    canceled.cancellation_reasons().iter().map(|reason| reason.code()).collect()
}

/// Whether another write of one of its items was faster.
pub(super) fn is_race(canceled: &TransactionCanceledException) -> bool {
    reasons(canceled).into_iter().flatten().any(|code| matches!(code, CONDITION | CONFLICT))
}

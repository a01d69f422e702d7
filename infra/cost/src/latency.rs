//! The model of how long a call takes. These are assumptions, not measurements: the system has not run on AWS.
//!
//! `DynamoDB`: AWS promises single-digit milliseconds for single items
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Introduction.html>); 3 to 5 ms are usual within a
//! region. SQS and KMS have no published figure; 10 ms are usual for a send and for a small KMS request.

use std::time::Duration;

use store::testing::table::usage::Operation;

/// A `SendMessageBatch`, `DeleteMessageBatch` or `GetQueueAttributes`.
pub const QUEUE_CALL: Duration = Duration::from_millis(10);

/// A `Decrypt` or `GenerateDataKey`.
pub const VAULT_CALL: Duration = Duration::from_millis(10);

/// A webhook: name, connection, TLS, and the receiver's answer.
pub const WEBHOOK: Duration = Duration::from_millis(100);

/// Returns how long a call to a table takes.
#[must_use]
pub const fn of_table(operation: Operation) -> Duration {
    Duration::from_millis(match operation {
        Operation::Get => 3,
        Operation::Query => 4,
        Operation::Put | Operation::Update | Operation::Delete => 5,
        Operation::BatchGet | Operation::BatchDelete => 6,
        Operation::Transact => 12,
    })
}

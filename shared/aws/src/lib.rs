//! The ports of the store on AWS: tables in `DynamoDB`, queues in SQS, data keys wrapped by KMS. No other crate names the SDK.

pub mod clients;
pub mod dynamo_table;
pub mod kms_vault;
pub mod ports;
mod secrets;
pub mod sqs_queue;
pub mod system_clock;
mod value;
mod warm;

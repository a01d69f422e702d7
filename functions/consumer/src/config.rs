//! The configuration of consumer: its environment variables.

use runtime::config::{InvalidVariable, required};

/// The configuration of consumer.
pub struct Config {
    /// The table of tenants and endpoints.
    pub control_table: String,
    /// The table of heads and payloads.
    pub events_table: String,
    /// The table of counters.
    pub limits_table: String,
    /// The table of rows that are due later.
    pub schedule_table: String,
    /// The URL of the queue `events`.
    pub events_queue: String,
    /// The URL of the queue `deliveries`.
    pub deliveries_queue: String,
    /// The ARN of the dead-letter queue of `events`.
    pub dead_letters_arn: String,
    /// The key of KMS that wraps the tenants' data keys.
    pub data_kms_key: String,
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// [`InvalidVariable`] names the variable that is absent or wrong.
    pub fn from_env() -> Result<Self, InvalidVariable> {
        Ok(Self {
            control_table: required("CONTROL_TABLE")?,
            events_table: required("EVENTS_TABLE")?,
            limits_table: required("LIMITS_TABLE")?,
            schedule_table: required("SCHEDULE_TABLE")?,
            events_queue: required("EVENTS_QUEUE_URL")?,
            deliveries_queue: required("DELIVERIES_QUEUE_URL")?,
            dead_letters_arn: required("EVENTS_DLQ_ARN")?,
            data_kms_key: required("DATA_KMS_KEY")?,
        })
    }
}

//! The configuration of consumer: its environment variables.

use std::time::Duration;

use runtime::config::{InvalidVariable, parsed, required};

/// The configuration of consumer.
pub struct Config {
    /// The name of the table `Control`: tenants and endpoints.
    pub control_table: String,
    /// The name of the table `Events`: heads and payloads.
    pub events_table: String,
    /// The name of the table `Limits`: counters.
    pub limits_table: String,
    /// The name of the table `Schedule`: rows that are due later.
    pub schedule_table: String,
    /// The URL of the queue `events`.
    pub events_queue: String,
    /// The URL of the queue `deliveries`.
    pub deliveries_queue: String,
    /// The URL of the queue `deliveries-slow`.
    pub slow_deliveries_queue: String,
    /// The ARN of the dead-letter queue of `events`.
    pub dead_letters_arn: String,
    /// The KMS key that encrypts the data keys of the tenants.
    pub data_kms_key: String,
    /// The longest time that the oldest event may wait in the queue before ingest refuses new ones; `None` for no limit.
    pub shed_after: Option<Duration>,
}

impl Config {
    /// Reads the environment variables.
    ///
    /// # Errors
    /// [`InvalidVariable`] with the name of the variable that is missing or not valid.
    pub fn from_env() -> Result<Self, InvalidVariable> {
        let shed_after = Duration::from_secs(parsed("SHED_AFTER_SECONDS")?);
        Ok(Self {
            control_table: required("CONTROL_TABLE")?,
            events_table: required("EVENTS_TABLE")?,
            limits_table: required("LIMITS_TABLE")?,
            schedule_table: required("SCHEDULE_TABLE")?,
            events_queue: required("EVENTS_QUEUE_URL")?,
            deliveries_queue: required("DELIVERIES_QUEUE_URL")?,
            slow_deliveries_queue: required("SLOW_DELIVERIES_QUEUE_URL")?,
            dead_letters_arn: required("EVENTS_DLQ_ARN")?,
            data_kms_key: required("DATA_KMS_KEY")?,
            shed_after: (!shed_after.is_zero()).then_some(shed_after),
        })
    }
}

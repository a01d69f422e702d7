//! The configuration of the scheduler: its environment variables.

use std::time::Duration;

use runtime::config::{InvalidVariable, parsed, required};

/// The configuration of the scheduler.
pub struct Config {
    /// The name of the table `Control`: tenants and endpoints.
    pub control_table: String,
    /// The name of the table `Events`: heads, payloads and attempts.
    pub events_table: String,
    /// The name of the table `Limits`: counters.
    pub limits_table: String,
    /// The name of the table `Schedule`: rows that are due later.
    pub schedule_table: String,
    /// The URL of the queue `deliveries`.
    pub deliveries_queue: String,
    /// The URL of the queue `deliveries-slow`.
    pub slow_deliveries_queue: String,
    /// The URL of the queue `drains`.
    pub drains_queue: String,
    /// The KMS key that encrypts the data keys of the tenants.
    pub data_kms_key: String,
    /// The pause of an erasure before all data is searched once more.
    pub erasure_pause: Duration,
}

impl Config {
    /// Reads the environment variables.
    ///
    /// # Errors
    /// [`InvalidVariable`] with the name of the variable that is missing or not valid.
    pub fn from_env() -> Result<Self, InvalidVariable> {
        Ok(Self {
            control_table: required("CONTROL_TABLE")?,
            events_table: required("EVENTS_TABLE")?,
            limits_table: required("LIMITS_TABLE")?,
            schedule_table: required("SCHEDULE_TABLE")?,
            deliveries_queue: required("DELIVERIES_QUEUE_URL")?,
            slow_deliveries_queue: required("SLOW_DELIVERIES_QUEUE_URL")?,
            drains_queue: required("DRAINS_QUEUE_URL")?,
            data_kms_key: required("DATA_KMS_KEY")?,
            erasure_pause: Duration::from_secs(parsed("ERASURE_PAUSE_SECONDS")?),
        })
    }
}

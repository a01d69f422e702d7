//! The configuration of drain: its environment variables.

use runtime::config::{InvalidVariable, required};

/// The configuration of drain.
pub struct Config {
    /// The name of the table `Control`: endpoints.
    pub control_table: String,
    /// The name of the table `Events`: heads.
    pub events_table: String,
    /// The name of the table `Schedule`: parked deliveries.
    pub schedule_table: String,
    /// The URL of the queue `deliveries`.
    pub deliveries_queue: String,
    /// The URL of the queue `deliveries-slow`.
    pub slow_deliveries_queue: String,
    /// The KMS key of the data keys. Drain reads heads, which are not encrypted, and may not use it.
    pub data_kms_key: String,
}

impl Config {
    /// Reads the environment variables.
    ///
    /// # Errors
    /// [`InvalidVariable`] with the name of the variable that is missing.
    pub fn from_env() -> Result<Self, InvalidVariable> {
        Ok(Self {
            control_table: required("CONTROL_TABLE")?,
            events_table: required("EVENTS_TABLE")?,
            schedule_table: required("SCHEDULE_TABLE")?,
            deliveries_queue: required("DELIVERIES_QUEUE_URL")?,
            slow_deliveries_queue: required("SLOW_DELIVERIES_QUEUE_URL")?,
            data_kms_key: required("DATA_KMS_KEY")?,
        })
    }
}

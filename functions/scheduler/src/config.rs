//! The configuration of the scheduler: its environment variables.

use std::time::Duration;

use runtime::config::{InvalidVariable, parsed, required};

/// The configuration of the scheduler.
pub struct Config {
    /// The table of tenants and endpoints.
    pub control_table: String,
    /// The table of heads, payloads and attempts.
    pub events_table: String,
    /// The table of counters.
    pub limits_table: String,
    /// The table of rows that are due later.
    pub schedule_table: String,
    /// The URL of the queue `deliveries`.
    pub deliveries_queue: String,
    /// The key of KMS that wraps the tenants' data keys.
    pub data_kms_key: String,
    /// How long after an erasure everything is looked through once more.
    pub erasure_pause: Duration,
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
            deliveries_queue: required("DELIVERIES_QUEUE_URL")?,
            data_kms_key: required("DATA_KMS_KEY")?,
            erasure_pause: Duration::from_secs(parsed("ERASURE_PAUSE_SECONDS")?),
        })
    }
}

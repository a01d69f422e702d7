//! The configuration of ingest: its environment variables.

use std::time::Duration;

use domain::tenant::api_key::Peppers;
use runtime::config::{InvalidVariable, parsed, peppers, required};

/// The configuration of ingest.
pub struct Config {
    /// The table of tenants and API keys.
    pub control_table: String,
    /// The table of tokens and counters.
    pub limits_table: String,
    /// The table of claims.
    pub claims_table: String,
    /// The URL of the queue `events`.
    pub events_queue: String,
    /// The peppers under which API keys are hashed.
    pub peppers: Peppers,
    /// How long the oldest event may wait before further ones are refused; `None` refuses none for that.
    pub shed_after: Option<Duration>,
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// [`InvalidVariable`] names the variable that is absent or wrong.
    pub fn from_env() -> Result<Self, InvalidVariable> {
        let shed_after = Duration::from_secs(parsed("SHED_AFTER_SECONDS")?);
        Ok(Self {
            control_table: required("CONTROL_TABLE")?,
            limits_table: required("LIMITS_TABLE")?,
            claims_table: required("CLAIMS_TABLE")?,
            events_queue: required("EVENTS_QUEUE_URL")?,
            peppers: peppers("KEY_PEPPER")?,
            shed_after: (!shed_after.is_zero()).then_some(shed_after),
        })
    }
}

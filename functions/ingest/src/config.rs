//! The configuration of ingest: its environment variables.

use std::time::Duration;

use domain::tenant::api_key::Peppers;
use runtime::config::{InvalidVariable, Secrets, parsed, required};

/// The variables with the ARNs of the secrets that the function reads when it starts.
pub const SECRETS: [&str; 1] = ["KEY_PEPPER_ARN"];

/// The configuration of ingest.
pub struct Config {
    /// The name of the table `Control`: tenants and API keys.
    pub control_table: String,
    /// The name of the table `Limits`: tokens and counters.
    pub limits_table: String,
    /// The name of the table `Claims`.
    pub claims_table: String,
    /// The URL of the queue `events`.
    pub events_queue: String,
    /// The peppers for the hashes of API keys.
    pub peppers: Peppers,
    /// The longest time that the oldest event may wait in the queue before new events are refused; `None` for no limit.
    pub shed_after: Option<Duration>,
}

impl Config {
    /// Reads the environment variables. `secrets` are the values of [`SECRETS`].
    ///
    /// # Errors
    /// [`InvalidVariable`] with the name of the variable that is missing or not valid.
    pub fn from_env(secrets: &Secrets) -> Result<Self, InvalidVariable> {
        let shed_after = Duration::from_secs(parsed("SHED_AFTER_SECONDS")?);
        Ok(Self {
            control_table: required("CONTROL_TABLE")?,
            limits_table: required("LIMITS_TABLE")?,
            claims_table: required("CLAIMS_TABLE")?,
            events_queue: required("EVENTS_QUEUE_URL")?,
            peppers: secrets.versions("KEY_PEPPER_ARN")?,
            shed_after: (!shed_after.is_zero()).then_some(shed_after),
        })
    }
}

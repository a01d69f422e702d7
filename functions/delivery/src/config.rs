//! The configuration of delivery: its environment variables.

use domain::endpoint::url::UrlPolicy;
use domain::tenant::api_key::Peppers;
use runtime::config::{InvalidVariable, peppers, required, url_policy};

/// The configuration of delivery.
pub struct Config {
    /// The table of tenants and endpoints.
    pub control_table: String,
    /// The table of heads, payloads and attempts.
    pub events_table: String,
    /// The table of endpoints' rates and counters.
    pub limits_table: String,
    /// The table of rows that are due later.
    pub schedule_table: String,
    /// The URL of the queue `deliveries`.
    pub deliveries_queue: String,
    /// The ARN of the dead-letter queue of `deliveries`.
    pub dead_letters_arn: String,
    /// The key of KMS that wraps the tenants' data keys.
    pub data_kms_key: String,
    /// The secrets from which our signing keys are derived.
    pub signing_secrets: Peppers,
    /// Which URLs may be endpoints.
    pub url_policy: UrlPolicy,
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
            dead_letters_arn: required("DELIVERIES_DLQ_ARN")?,
            data_kms_key: required("DATA_KMS_KEY")?,
            signing_secrets: peppers("SIGNING_SECRET")?,
            url_policy: url_policy(),
        })
    }
}

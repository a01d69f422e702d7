//! The configuration of delivery: its environment variables.

use domain::endpoint::own_hosts::OwnHosts;
use domain::endpoint::url::UrlPolicy;
use domain::tenant::api_key::Peppers;
use domain::tenant::capacity::Capacity;
use runtime::config::{InvalidVariable, Secrets, own_hosts, parsed, required, url_policy};

/// The variables with the ARNs of the secrets that the function reads when it starts.
pub const SECRETS: [&str; 1] = ["SIGNING_SECRET_ARN"];

/// The configuration of delivery.
pub struct Config {
    /// The name of the table `Control`: tenants and endpoints.
    pub control_table: String,
    /// The name of the table `Events`: heads, payloads and attempts.
    pub events_table: String,
    /// The name of the table `Limits`: rates of the endpoints, and counters.
    pub limits_table: String,
    /// The name of the table `Schedule`: rows that are due later.
    pub schedule_table: String,
    /// The URL of the queue `deliveries`.
    pub deliveries_queue: String,
    /// The URL of the queue `deliveries-slow`.
    pub slow_deliveries_queue: String,
    /// The ARN of the queue `deliveries-slow`. A message from it is on the slow lane.
    pub slow_deliveries_arn: String,
    /// The ARNs of the dead-letter queues.
    pub dead_letters_arns: Vec<String>,
    /// The KMS key that encrypts the data keys of the tenants.
    pub data_kms_key: String,
    /// The secrets from which the signing keys of the service are derived.
    pub signing_secrets: Peppers,
    /// The URLs that endpoints may have.
    pub url_policy: UrlPolicy,
    /// The instances that deliver at the same time on each lane.
    pub capacity: Capacity,
    /// The hosts of this API, to which no webhook is sent.
    pub own_hosts: OwnHosts,
}

impl Config {
    /// Reads the environment variables. `secrets` are the values of [`SECRETS`].
    ///
    /// # Errors
    /// [`InvalidVariable`] with the name of the variable that is missing or not valid.
    pub fn from_env(secrets: &Secrets) -> Result<Self, InvalidVariable> {
        Ok(Self {
            control_table: required("CONTROL_TABLE")?,
            events_table: required("EVENTS_TABLE")?,
            limits_table: required("LIMITS_TABLE")?,
            schedule_table: required("SCHEDULE_TABLE")?,
            deliveries_queue: required("DELIVERIES_QUEUE_URL")?,
            slow_deliveries_queue: required("SLOW_DELIVERIES_QUEUE_URL")?,
            slow_deliveries_arn: required("SLOW_DELIVERIES_QUEUE_ARN")?,
            dead_letters_arns: vec![required("DELIVERIES_DLQ_ARN")?],
            data_kms_key: required("DATA_KMS_KEY")?,
            signing_secrets: secrets.versions("SIGNING_SECRET_ARN")?,
            url_policy: url_policy(),
            capacity: Capacity::of(parsed("MAX_INSTANCES")?),
            own_hosts: own_hosts()?,
        })
    }
}

//! The configuration of the function, read from environment variables.

use domain::endpoint::own_hosts::OwnHosts;
use domain::endpoint::url::UrlPolicy;
use domain::tenant::api_key::Peppers;
use runtime::config::{self, InvalidVariable, Secrets, own_hosts, parsed, required, url_policy};

use crate::access::{Environment, Signup};

/// The variables with the ARNs of the secrets that the function reads when it starts.
pub const SECRETS: [&str; 3] = ["KEY_PEPPER_ARN", "SIGNING_SECRET_ARN", "ADMIN_TOKEN_ARN"];

/// The configuration of the function.
pub struct Config {
    /// The name of the table of tenants, API keys and endpoints.
    pub control_table: String,
    /// The name of the table of event heads, payloads and attempts.
    pub events_table: String,
    /// The name of the table of rate-limit tokens and counters.
    pub limits_table: String,
    /// The name of the table of scheduled messages and jobs.
    pub schedule_table: String,
    /// The URL of the queue `events`.
    pub events_queue: String,
    /// The URL of the dead-letter queue of `events`.
    pub events_dead_letters: String,
    /// The URL of the queue `deliveries`.
    pub deliveries_queue: String,
    /// The URL of the dead-letter queue of `deliveries` and `deliveries-slow`.
    pub deliveries_dead_letters: String,
    /// The URL of the queue `deliveries-slow`.
    pub slow_deliveries_queue: String,
    /// The KMS key that encrypts the data keys of the tenants.
    pub data_kms_key: String,
    /// The peppers under which API keys are hashed.
    pub peppers: Peppers,
    /// The secrets from which the Ed25519 signing keys are derived.
    pub signing_secrets: Peppers,
    /// The value of the admin token.
    pub admin_token: String,
    /// The rule for who may create tenants.
    pub signup: Signup,
    /// The place where the stack runs.
    pub environment: Environment,
    /// The URLs that may be endpoints.
    pub url_policy: UrlPolicy,
    /// The hosts of this API, which no endpoint may have.
    pub own_hosts: OwnHosts,
    /// The URL of the API, if API Gateway does not know it. Only the local stack sets it.
    pub public_url: Option<String>,
    /// The number of leases after which an event is quarantined.
    pub max_leases: u32,
}

impl Config {
    /// Reads the environment variables. `secrets` are the values of [`SECRETS`].
    ///
    /// # Errors
    /// [`InvalidVariable`] names the variable that is missing or not valid.
    pub fn from_env(secrets: &Secrets) -> Result<Self, InvalidVariable> {
        let is_local = config::is("ENVIRONMENT", "local");
        Ok(Self {
            control_table: required("CONTROL_TABLE")?,
            events_table: required("EVENTS_TABLE")?,
            limits_table: required("LIMITS_TABLE")?,
            schedule_table: required("SCHEDULE_TABLE")?,
            events_queue: required("EVENTS_QUEUE_URL")?,
            events_dead_letters: required("EVENTS_DLQ_URL")?,
            deliveries_queue: required("DELIVERIES_QUEUE_URL")?,
            deliveries_dead_letters: required("DELIVERIES_DLQ_URL")?,
            slow_deliveries_queue: required("SLOW_DELIVERIES_QUEUE_URL")?,
            data_kms_key: required("DATA_KMS_KEY")?,
            peppers: secrets.versions("KEY_PEPPER_ARN")?,
            signing_secrets: secrets.versions("SIGNING_SECRET_ARN")?,
            admin_token: secrets.text("ADMIN_TOKEN_ARN")?,
            signup: if config::is("SIGNUP", "open") { Signup::Open } else { Signup::Admin },
            environment: if is_local { Environment::Local } else { Environment::Aws },
            url_policy: url_policy(),
            own_hosts: own_hosts()?,
            public_url: required("PUBLIC_URL").ok(),
            max_leases: parsed("QUARANTINE_AFTER_LEASES")?,
        })
    }
}

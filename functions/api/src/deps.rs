//! What the handlers share, made once per process.

use domain::delivery::signature::SigningSecrets;
use domain::endpoint::url::UrlPolicy;
use domain::tenant::api_key::Peppers;
use runtime::config;
use runtime::config::{MissingVariable, required};
use store::adapters::aws::Clients;
use store::adapters::control::ControlTable;
use store::adapters::events::EventsTable;
use store::adapters::limits::LimitsTable;
use store::adapters::queues::Queue;
use store::adapters::schedule::ScheduleTable;
use store::adapters::system_clock::SystemClock;
use store::adapters::vault::KmsVault;
use store::authentication::Authenticator;
use store::limiter::Limiter;
use webhooks::client::WebhookClient;

use crate::access::{Admin, Environment, Signup};

/// What api touches; its IAM policy says the same.
pub(crate) struct Api {
    pub(crate) authenticator: Authenticator<ControlTable>,
    pub(crate) limiter: Limiter<LimitsTable>,
    pub(crate) control: ControlTable,
    pub(crate) events: EventsTable,
    pub(crate) limits: LimitsTable,
    pub(crate) schedule: ScheduleTable,
    pub(crate) queues: Queues,
    pub(crate) vault: KmsVault,
    pub(crate) webhooks: WebhookClient,
    pub(crate) signing: SigningSecrets,
    pub(crate) clock: SystemClock,
    pub(crate) admin: Admin,
    pub(crate) signup: Signup,
    pub(crate) environment: Environment,
    pub(crate) url_policy: UrlPolicy,
    /// How often an event is leased before it is quarantined.
    pub(crate) most_leases: u32,
}

/// The queues whose depths are shown.
pub(crate) struct Queues {
    pub(crate) events: Queue,
    pub(crate) events_dead_letters: Queue,
    pub(crate) deliveries: Queue,
    pub(crate) deliveries_dead_letters: Queue,
}

impl Api {
    /// Everything, by the environment.
    pub(crate) fn from_env(clients: &Clients) -> Result<Self, lambda_http::Error> {
        let control = ControlTable::new(clients, required("CONTROL_TABLE")?);
        let vault = KmsVault::new(clients, required("CONTROL_TABLE")?, required("DATA_KMS_KEY")?);
        let queue = |name| Ok::<_, MissingVariable>(Queue::new(clients, required(name)?));
        Ok(Api {
            authenticator: Authenticator::new(control.clone(), Peppers::parse(&required("KEY_PEPPER")?)?),
            limiter: Limiter::new(LimitsTable::new(clients, required("LIMITS_TABLE")?)),
            control,
            events: EventsTable::new(clients, required("EVENTS_TABLE")?, vault.clone()),
            limits: LimitsTable::new(clients, required("LIMITS_TABLE")?),
            schedule: ScheduleTable::new(clients, required("SCHEDULE_TABLE")?),
            vault,
            webhooks: WebhookClient::new()?,
            signing: SigningSecrets::new(Peppers::parse(&required("SIGNING_SECRET")?)?),
            queues: Queues {
                events: queue("EVENTS_QUEUE_URL")?,
                events_dead_letters: queue("EVENTS_DLQ_URL")?,
                deliveries: queue("DELIVERIES_QUEUE_URL")?,
                deliveries_dead_letters: queue("DELIVERIES_DLQ_URL")?,
            },
            clock: SystemClock,
            admin: Admin::new(&required("ADMIN_TOKEN")?),
            signup: if config::is("SIGNUP", "open") { Signup::Open } else { Signup::Admin },
            environment: if config::is("ENVIRONMENT", "local") {
                Environment::Local
            } else {
                Environment::Aws
            },
            url_policy: config::url_policy(),
            most_leases: required("QUARANTINE_AFTER_LEASES")?.parse()?,
        })
    }
}

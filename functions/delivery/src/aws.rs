//! The ports for real, by the environment.

use domain::delivery::signature::SigningSecrets;
use domain::tenant::api_key::Peppers;
use runtime::config::{self, required, url_policy};
use runtime::telemetry;
use store::adapters::aws;
use store::adapters::aws::Patience;
use store::adapters::control::ControlTable;
use store::adapters::events::EventsTable;
use store::adapters::limits::LimitsTable;
use store::adapters::queues::Queue;
use store::adapters::schedule::ScheduleTable;
use store::adapters::system_clock::SystemClock;
use store::adapters::vault::KmsVault;
use webhooks::client::WebhookClient;

use crate::handler::{Delivery, Ports};

/// The ports for real.
pub struct Aws;

impl Ports for Aws {
    type Control = ControlTable;
    type Events = EventsTable;
    type Limits = LimitsTable;
    type Schedule = ScheduleTable;
    type Queue = Queue;
    type Vault = KmsVault;
    type Webhooks = WebhookClient;
    type Clock = SystemClock;
}

impl Delivery<Aws> {
    /// Everything, by the environment.
    ///
    /// # Errors
    /// Where a variable is absent, or the build is wrong.
    pub async fn from_env() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let clients = aws::clients(Patience::Background, config::aws_patience()?.get()).await?;
        let vault = KmsVault::new(&clients, required("CONTROL_TABLE")?, required("DATA_KMS_KEY")?);
        Ok(Self {
            control: ControlTable::new(&clients, required("CONTROL_TABLE")?),
            events: EventsTable::new(&clients, required("EVENTS_TABLE")?, vault.clone()),
            limits: LimitsTable::new(&clients, required("LIMITS_TABLE")?),
            schedule: ScheduleTable::new(&clients, required("SCHEDULE_TABLE")?),
            deliveries: Queue::new(&clients, required("DELIVERIES_QUEUE_URL")?),
            vault,
            webhooks: WebhookClient::new()?,
            clock: SystemClock,
            signing: SigningSecrets::new(Peppers::parse(&required("SIGNING_SECRET")?)?),
            url_policy: url_policy(),
            dead_letters_arn: required("DELIVERIES_DLQ_ARN")?,
            log: Box::new(telemetry::write_line),
        })
    }
}

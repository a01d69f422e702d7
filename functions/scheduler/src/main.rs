//! Moves due rows of `Schedule` along, every minute: retries whose time has come, what is parked before endpoints,
//! events that will expire, of which their owners are told, and jobs.

use std::time::Duration;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use triggers::adapters::aws::{self, Patience};
use triggers::adapters::control::ControlTable;
use triggers::adapters::events::EventsTable;
use triggers::adapters::limits::LimitsTable;
use triggers::adapters::queues::Queue;
use triggers::adapters::schedule::ScheduleTable;
use triggers::adapters::system_clock::SystemClock;
use triggers::adapters::vault::KmsVault;
use triggers::config::required;
use triggers::telemetry;

use scheduler::handler::Scheduler;

/// The function's timeout in the template.
const TIMEOUT: Duration = Duration::from_secs(55);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let clients = aws::clients(Patience::Background).await?;
    let vault = KmsVault::new(&clients, required("CONTROL_TABLE")?, required("DATA_KMS_KEY")?);
    let scheduler = Scheduler {
        control: ControlTable::new(&clients, required("CONTROL_TABLE")?),
        events: EventsTable::new(&clients, required("EVENTS_TABLE")?, vault),
        limits: LimitsTable::new(&clients, required("LIMITS_TABLE")?),
        schedule: ScheduleTable::new(&clients, required("SCHEDULE_TABLE")?),
        deliveries: Queue::new(&clients, required("DELIVERIES_QUEUE_URL")?),
        clock: SystemClock,
        erasure_pause: Duration::from_secs(required("ERASURE_PAUSE_SECONDS")?.parse()?),
        log: Box::new(telemetry::write_line),
    };
    let scheduler = &scheduler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        scheduler.handle(SystemClock.deadline(event.context.deadline, TIMEOUT)).await;
        Ok::<_, lambda_runtime::Error>(())
    }))
    .await
}

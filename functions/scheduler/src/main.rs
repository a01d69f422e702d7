//! Moves due rows of `Schedule` along, every minute: retries whose time has come, what is parked before endpoints,
//! events that will expire, of which their owners are told, and jobs.

use std::time::Duration;

use lambda_runtime::{LambdaEvent, service_fn};
use runtime::config::{self, required};
use runtime::telemetry;
use serde_json::Value;
use store::adapters::aws;
use store::adapters::aws::Patience;
use store::adapters::control::ControlTable;
use store::adapters::events::EventsTable;
use store::adapters::limits::LimitsTable;
use store::adapters::queues::Queue;
use store::adapters::schedule::ScheduleTable;
use store::adapters::system_clock::SystemClock;
use store::adapters::vault::KmsVault;

use scheduler::handler::Scheduler;

/// The function's timeout in the template.
const TIMEOUT: Duration = Duration::from_secs(55);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let clients = aws::clients(Patience::Background, config::aws_patience()?.get()).await?;
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

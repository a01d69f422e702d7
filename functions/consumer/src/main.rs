//! Stores events: from the queue `events` and its dead letters, each once, with a message for each endpoint.

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{LambdaEvent, service_fn};
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

use consumer::expirations::Expirations;
use consumer::handler::Consumer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let clients = aws::clients(Patience::Background).await?;
    let vault = KmsVault::new(&clients, required("CONTROL_TABLE")?, required("DATA_KMS_KEY")?);
    let consumer = Consumer {
        control: ControlTable::new(&clients, required("CONTROL_TABLE")?),
        events: EventsTable::new(&clients, required("EVENTS_TABLE")?, vault),
        limits: LimitsTable::new(&clients, required("LIMITS_TABLE")?),
        expirations: Expirations::new(ScheduleTable::new(&clients, required("SCHEDULE_TABLE")?)),
        source: Queue::new(&clients, required("EVENTS_QUEUE_URL")?),
        deliveries: Queue::new(&clients, required("DELIVERIES_QUEUE_URL")?),
        clock: SystemClock,
        dead_letters_arn: required("EVENTS_DLQ_ARN")?,
        log: Box::new(telemetry::write_line),
    };
    let consumer = &consumer;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        Ok::<_, lambda_runtime::Error>(consumer.handle(event.payload).await)
    }))
    .await
}

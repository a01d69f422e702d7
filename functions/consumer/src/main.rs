//! Stores events: from the queue `events` and its dead letters, each once, with a message for each endpoint.

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{LambdaEvent, service_fn};
use runtime::config::{self, required};
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

use consumer::expirations::Expirations;
use consumer::handler::Consumer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let clients = aws::clients(Patience::Background, config::aws_patience()?.get()).await?;
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

//! Delivers events: from the queue `deliveries` and its dead letters: sign, POST, judge, record, schedule.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{LambdaEvent, service_fn};
use triggers::adapters::aws::{self, Patience};
use triggers::adapters::control::ControlTable;
use triggers::adapters::events::EventsTable;
use triggers::adapters::limits::LimitsTable;
use triggers::adapters::queues::Queue;
use triggers::adapters::schedule::ScheduleTable;
use triggers::adapters::system_clock::SystemClock;
use triggers::adapters::webhooks::WebhookClient;
use triggers::config::{required, url_policy};
use triggers::telemetry;

use delivery::handler::Delivery;

/// The function's timeout in the template.
const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let clients = aws::clients(Patience::Background).await?;
    let delivery = Delivery {
        control: ControlTable::new(&clients, required("CONTROL_TABLE")?),
        events: EventsTable::new(&clients, required("EVENTS_TABLE")?),
        limits: LimitsTable::new(&clients, required("LIMITS_TABLE")?),
        schedule: ScheduleTable::new(&clients, required("SCHEDULE_TABLE")?),
        deliveries: Queue::new(&clients, required("DELIVERIES_QUEUE_URL")?),
        webhooks: WebhookClient::new()?,
        clock: SystemClock,
        url_policy: url_policy(),
        dead_letters_arn: required("DELIVERIES_DLQ_ARN")?,
        log: Box::new(telemetry::write_line),
    };
    let delivery = &delivery;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        Ok::<_, lambda_runtime::Error>(
            delivery.handle(event.payload, SystemClock.deadline(event.context.deadline, TIMEOUT)).await,
        )
    }))
    .await
}

//! Delivers events: from the queue `deliveries` and its dead letters: sign, POST, judge, record, schedule.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{LambdaEvent, service_fn};
use runtime::telemetry;
use store::adapters::system_clock::SystemClock;

use delivery::handler::Delivery;

/// The function's timeout in the template.
const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let delivery = &Delivery::from_env().await?;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        let until = SystemClock.deadline(event.context.deadline, TIMEOUT);
        Ok::<_, lambda_runtime::Error>(delivery.handle(event.payload, until).await)
    }))
    .await
}

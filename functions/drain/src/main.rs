//! Handles the messages of the queue `drains`.

use std::time::Duration;

use aws::clients::Patience;
use aws::ports::Aws;
use aws::system_clock::SystemClock;
use aws_lambda_events::event::sqs::SqsEvent;
use drain::config::Config;
use drain::handler::Drain;
use lambda_runtime::{LambdaEvent, service_fn};
use runtime::{config, telemetry};

/// The timeout of the function in the template.
const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let config = Config::from_env()?;
    let aws = Aws::connect(Patience::Background, config::aws_patience()?).await?;
    aws.warm(&config.control_table, &config.deliveries_queue).await;
    let drain = &Drain::new(&aws, &config, telemetry::stdout());
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        drain.handle(event.payload, SystemClock.deadline(event.context.deadline, TIMEOUT)).await;
        Ok::<_, lambda_runtime::Error>(())
    }))
    .await
}

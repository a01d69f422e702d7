//! Handles the due rows of `Schedule`, every minute.

use std::time::Duration;

use aws::clients::Patience;
use aws::ports::Aws;
use aws::system_clock::SystemClock;
use lambda_runtime::{LambdaEvent, service_fn};
use runtime::{config, telemetry};
use scheduler::config::Config;
use scheduler::handler::Scheduler;
use serde_json::Value;

/// The timeout of the function in the template.
const TIMEOUT: Duration = Duration::from_secs(55);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let config = Config::from_env()?;
    let aws = Aws::connect(Patience::Background, config::aws_patience()?).await?;
    aws.warm(&config.control_table, &config.deliveries_queue).await;
    let scheduler = &Scheduler::new(&aws, &config, telemetry::stdout());
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        scheduler.handle(SystemClock.deadline(event.context.deadline, TIMEOUT)).await;
        Ok::<_, lambda_runtime::Error>(())
    }))
    .await
}

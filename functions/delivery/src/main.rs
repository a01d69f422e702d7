//! Makes the delivery attempts of the queues `deliveries` and `deliveries-slow` and of their dead-letter queue.

use std::time::Duration;

use aws::clients::Patience;
use aws::ports::Aws;
use aws::system_clock::SystemClock;
use aws_lambda_events::event::sqs::SqsEvent;
use delivery::config::{Config, SECRETS};
use delivery::handler::Delivery;
use lambda_runtime::{LambdaEvent, service_fn};
use runtime::config::Secrets;
use runtime::{config, telemetry};
use webhooks::client::WebhookClient;

/// The timeout of the function in the template.
const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let aws = Aws::connect(Patience::Background, config::aws_patience()?).await?;
    let secrets = Secrets::new(aws.secrets(config::named(&SECRETS)?).await?);
    let config = Config::from_env(&secrets)?;
    aws.warm(&config.control_table, &config.deliveries_queue).await;
    let aws = aws.with_webhooks(WebhookClient::new()?);
    let delivery = &Delivery::new(&aws, config, telemetry::stdout());
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        let until = SystemClock.deadline(event.context.deadline, TIMEOUT);
        Ok::<_, lambda_runtime::Error>(delivery.handle(event.payload, until).await)
    }))
    .await
}

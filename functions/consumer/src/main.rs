//! Stores the events of the queue `events` and of its dead-letter queue.

use aws::clients::Patience;
use aws::ports::Aws;
use aws_lambda_events::event::sqs::SqsEvent;
use consumer::config::Config;
use consumer::handler::Consumer;
use lambda_runtime::{LambdaEvent, service_fn};
use runtime::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let config = Config::from_env()?;
    let aws = Aws::connect(Patience::Background, config::aws_patience()?).await?;
    aws.warm(&config.control_table, &config.deliveries_queue).await;
    let consumer = &Consumer::new(&aws, config, telemetry::stdout());
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        Ok::<_, lambda_runtime::Error>(consumer.handle(event.payload).await)
    }))
    .await
}

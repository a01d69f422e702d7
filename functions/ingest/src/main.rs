//! Accepts events over HTTP.

use aws::clients::Patience;
use aws::ports::Aws;
use ingest::config::{Config, SECRETS};
use ingest::handler::Ingest;
use lambda_http::{Request, service_fn};
use runtime::config::Secrets;
use runtime::{config, gateway, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let aws = Aws::connect(Patience::Interactive, config::aws_patience()?).await?;
    let secrets = Secrets::new(aws.secrets(config::named(&SECRETS)?).await?);
    let config = Config::from_env(&secrets)?;
    aws.warm(&config.control_table, &config.events_queue).await;
    let ingest = &Ingest::new(&aws, config, telemetry::stdout());
    gateway::run(service_fn(move |request: Request| async move {
        Ok::<_, lambda_http::Error>(ingest.handle_request(request).await)
    }))
    .await
}

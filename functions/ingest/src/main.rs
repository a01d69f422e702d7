//! Accepts events over HTTP.

use aws::clients::Patience;
use aws::ports::Aws;
use ingest::config::Config;
use ingest::handler::Ingest;
use lambda_http::{Request, service_fn};
use runtime::{config, gateway, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let config = Config::from_env()?;
    let factor = config::aws_patience()?;
    let aws = Aws::start(Patience::Interactive, factor, &config.control_table, &config.events_queue).await?;
    let ingest = &Ingest::new(&aws, config, telemetry::stdout());
    gateway::run(service_fn(move |request: Request| async move {
        Ok::<_, lambda_http::Error>(ingest.handle_request(request).await)
    }))
    .await
}

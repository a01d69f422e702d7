//! Answers all HTTP requests except the posting of events.

use std::sync::Arc;

use api::config::{Config, SECRETS};
use api::deps::Api;
use api::router;
use aws::clients::Patience;
use aws::ports::Aws;
use lambda_http::{Request, service_fn};
use runtime::config::Secrets;
use runtime::{config, gateway, telemetry};
use webhooks::client::WebhookClient;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let aws = Aws::connect(Patience::Background, config::aws_patience()?).await?;
    let secrets = Secrets::new(aws.secrets(config::named(&SECRETS)?).await?);
    let config = Config::from_env(&secrets)?;
    aws.warm(&config.control_table, &config.deliveries_queue).await;
    let aws = aws.with_webhooks(WebhookClient::new()?);
    let api = &Arc::new(Api::new(&aws, config));
    let router = &router::router(Arc::clone(api));
    gateway::run(service_fn(move |request: Request| async move {
        Ok::<_, lambda_http::Error>(router::answer_gateway(api, router.clone(), request).await)
    }))
    .await
}

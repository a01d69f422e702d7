//! Answers all HTTP requests except the posting of events.

use std::sync::Arc;

use api::config::Config;
use api::deps::Api;
use api::router;
use aws::clients::Patience;
use aws::ports::Aws;
use lambda_http::{Request, RequestExt, service_fn};
use runtime::{config, gateway, telemetry};
use webhooks::client::WebhookClient;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let config = Config::from_env()?;
    let aws = Aws::connect(Patience::Background, config::aws_patience()?).await?;
    let aws = aws.with_webhooks(WebhookClient::new()?);
    let api = &Arc::new(Api::new(&aws, config));
    let router = &router::router(Arc::clone(api));
    gateway::run(service_fn(move |mut request: Request| async move {
        if let Some(address) = gateway::source_address(&request) {
            request.extensions_mut().insert(address);
        }
        let path = request.raw_http_path().to_owned();
        let request_id = request.lambda_context().request_id;
        let answer = router::answer(api, router.clone(), request, &path, &request_id).await;
        Ok::<_, lambda_http::Error>(answer)
    }))
    .await
}

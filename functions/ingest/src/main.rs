//! Accepts events over HTTP.

use aws::clients::Patience;
use aws::ports::Aws;
use ingest::config::Config;
use ingest::handler::Ingest;
use lambda_http::{Body, Request, RequestExt, service_fn};
use runtime::{config, gateway, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let config = Config::from_env()?;
    let aws = Aws::connect(Patience::Interactive, config::aws_patience()?).await?;
    let ingest = &Ingest::new(&aws, config, telemetry::stdout());
    gateway::run(service_fn(move |request: Request| async move {
        let request_id = request.lambda_context().request_id;
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let target = format!("{}{query}", request.raw_http_path());
        let answer =
            Box::pin(ingest.handle(&target, request.headers(), request.body().as_ref(), &request_id));
        Ok::<_, lambda_http::Error>(answer.await.map(Body::from))
    }))
    .await
}

//! Accepts events over HTTP: authenticate, limit, validate, claim, enqueue, 202.

use domain::tenant::api_key::Peppers;
use lambda_http::{Body, Request, RequestExt, service_fn};
use runtime::config::required;
use runtime::{config, telemetry};
use store::adapters::aws;
use store::adapters::aws::Patience;
use store::adapters::claims::ClaimsTable;
use store::adapters::control::ControlTable;
use store::adapters::limits::LimitsTable;
use store::adapters::queues::Queue;
use store::adapters::system_clock::SystemClock;
use store::authentication::Authenticator;
use store::limiter::Limiter;

use ingest::backpressure::Backpressure;
use ingest::handler::Ingest;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let clients = aws::clients(Patience::Interactive, config::aws_patience()?.get()).await?;
    let control = ControlTable::new(&clients, required("CONTROL_TABLE")?);
    let limits = LimitsTable::new(&clients, required("LIMITS_TABLE")?);
    let ingest = Ingest {
        authenticator: Authenticator::new(control, Peppers::parse(&required("KEY_PEPPER")?)?),
        limiter: Limiter::new(limits.clone()),
        claims: ClaimsTable::new(&clients, required("CLAIMS_TABLE")?),
        queue: Queue::new(&clients, required("EVENTS_QUEUE_URL")?),
        backpressure: Backpressure::new(limits, config::shed_after()?),
        clock: SystemClock,
        log: Box::new(telemetry::write_line),
    };
    let ingest = &ingest;
    lambda_http::run(service_fn(move |request: Request| async move {
        let request_id = request.lambda_context().request_id;
        let (path, headers) = (request.raw_http_path(), request.headers());
        let handled = Box::pin(ingest.handle(path, headers, request.body().as_ref(), &request_id));
        let answer = handled.await;
        Ok::<_, lambda_http::Error>(answer.map(Body::from))
    }))
    .await
}

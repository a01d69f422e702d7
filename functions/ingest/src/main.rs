//! Accepts events over HTTP: authenticate, limit, validate, claim, enqueue, 202.

use lambda_http::{Body, Request, RequestExt, service_fn};
use triggers::adapters::aws::{self, Patience};
use triggers::adapters::claims::ClaimsTable;
use triggers::adapters::control::ControlTable;
use triggers::adapters::limits::LimitsTable;
use triggers::adapters::queues::Queue;
use triggers::adapters::system_clock::SystemClock;
use triggers::api_key::Peppers;
use triggers::authentication::Authenticator;
use triggers::config::{self, required};
use triggers::limiter::Limiter;
use triggers::telemetry;

use ingest::backpressure::Backpressure;
use ingest::handler::Ingest;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let clients = aws::clients(Patience::Interactive).await?;
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

//! Everything over HTTP but the posting of events: keys, endpoints, inbox, log, replays, settings and end of a tenant, health, metrics.

mod access;
mod body;
mod counting;
mod cursor;
mod deps;
mod export;
mod failure;
mod history;
mod leasing;
mod router;
mod routes;

use std::sync::Arc;

use lambda_http::{Request, service_fn};
use triggers::adapters::aws::{self, Patience};
use triggers::telemetry;

use crate::deps::Api;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let api = Arc::new(Api::from_env(&aws::clients(Patience::Background).await?)?);
    let router = &router::router(Arc::clone(&api));
    lambda_http::run(service_fn(|request: Request| router::answer(&api, router.clone(), request))).await
}

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

use runtime::config;
use std::sync::Arc;

use lambda_http::{Request, service_fn};
use runtime::telemetry;
use store::adapters::aws;
use store::adapters::aws::Patience;

use crate::deps::Api;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let api =
        Arc::new(Api::from_env(&aws::clients(Patience::Background, config::aws_patience()?.get()).await?)?);
    let router = &router::router(Arc::clone(&api));
    lambda_http::run(service_fn(|request: Request| router::answer(&api, router.clone(), request))).await
}

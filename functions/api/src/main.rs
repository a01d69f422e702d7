//! Everything over HTTP but the posting of events: keys, webhook configuration, inbox, health, metrics.

mod access;
mod body;
mod cursor;
mod failure;
mod router;
mod routes;

use std::sync::Arc;

use lambda_http::{Request, service_fn};
use triggers::adapters::aws::{self, Clients, Patience};
use triggers::adapters::control::ControlTable;
use triggers::adapters::events::EventsTable;
use triggers::adapters::limits::LimitsTable;
use triggers::adapters::queues::Queue;
use triggers::adapters::system_clock::SystemClock;
use triggers::api_key::Peppers;
use triggers::authentication::Authenticator;
use triggers::config::{self, MissingVariable, required};
use triggers::limiter::Limiter;
use triggers::telemetry;

use crate::access::{Admin, Environment, Signup};
use crate::router::{Api, Queues};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let api = Arc::new(api(&aws::clients(Patience::Background).await?)?);
    let router = &router::router(Arc::clone(&api));
    lambda_http::run(service_fn(|request: Request| router::answer(&api, router.clone(), request))).await
}

fn api(clients: &Clients) -> Result<Api, lambda_http::Error> {
    let control = ControlTable::new(clients, required("CONTROL_TABLE")?);
    let queue = |name| Ok::<_, MissingVariable>(Queue::new(clients, required(name)?));
    Ok(Api {
        authenticator: Authenticator::new(control.clone(), Peppers::parse(&required("KEY_PEPPER")?)?),
        limiter: Limiter::new(LimitsTable::new(clients, required("LIMITS_TABLE")?)),
        control,
        events: EventsTable::new(clients, required("EVENTS_TABLE")?),
        limits: LimitsTable::new(clients, required("LIMITS_TABLE")?),
        queues: Queues {
            events: queue("EVENTS_QUEUE_URL")?,
            events_dead_letters: queue("EVENTS_DLQ_URL")?,
            deliveries: queue("DELIVERIES_QUEUE_URL")?,
            deliveries_dead_letters: queue("DELIVERIES_DLQ_URL")?,
        },
        clock: SystemClock,
        admin: Admin::new(&required("ADMIN_TOKEN")?),
        signup: if config::is("SIGNUP", "open") { Signup::Open } else { Signup::Admin },
        environment: if config::is("ENVIRONMENT", "local") { Environment::Local } else { Environment::Aws },
        url_policy: config::url_policy(),
    })
}

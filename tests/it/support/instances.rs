//! Instances of ingest within this process, over the real tables: many of them at once, as Lambda has them.

use domain::tenant::api_key::Pepper;
use http::{HeaderMap, HeaderValue};
use ingest::backpressure::Backpressure;
use ingest::handler::Ingest;
use runtime::answer::Answer;
use store::adapters::aws;
use store::adapters::claims::ClaimsTable;
use store::adapters::control::ControlTable;
use store::adapters::limits::LimitsTable;
use store::authentication::Authenticator;
use store::limiter::Limiter;
use store::ports::{Clock, EventQueue};

use super::client::Tenant;
use super::runtime::environment;

/// An instance of its own keys, tokens, queue and clock.
pub(crate) type Instance<Q, T> = Ingest<ControlTable, LimitsTable, ClaimsTable, Q, T>;

/// An instance whose tables are the stack's.
pub(crate) fn instance<Q: EventQueue, T: Clock>(
    clients: &aws::Clients,
    queue: Q,
    clock: T,
) -> Instance<Q, T> {
    let variables = environment("ingest", &[]);
    let variable = |name: &str| variables[name].clone();
    let control = ControlTable::new(clients, variable("CONTROL_TABLE"));
    let limits = LimitsTable::new(clients, variable("LIMITS_TABLE"));
    Ingest {
        authenticator: Authenticator::new(control, Pepper::new(&variable("KEY_PEPPER"))),
        limiter: Limiter::new(limits.clone()),
        claims: ClaimsTable::new(clients, variable("CLAIMS_TABLE")),
        queue,
        backpressure: Backpressure::new(limits, None),
        clock,
        log: Box::new(|_| ()),
    }
}

/// The headers of a post of JSON by this tenant.
pub(crate) fn headers(tenant: &Tenant) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("x-api-key", HeaderValue::from_str(&tenant.key).expect("a key is a header"));
    headers
}

/// Posts one event to an instance.
pub(crate) async fn post<Q: EventQueue, T: Clock>(
    instance: &Instance<Q, T>,
    headers: &HeaderMap,
    body: &str,
) -> Answer {
    instance.handle("/api/events", headers, body.as_bytes(), "request").await
}

//! Raw events of API Gateway, in both versions.

use std::sync::Arc;

use ::ingest::handler::Ingest;
use api::deps::Api;
use api::router;
use lambda_http::lambda_runtime::{Context, LambdaEvent, Service};
use lambda_http::{Error, IntoResponse, Request, service_fn};
use runtime::gateway;
use serde_json::Value;

use super::super::configs;
use super::world::{FIXED, log, with_key, world};

/// Sends the event to ingest.
pub(crate) fn ingest(input: &[u8]) {
    let Some(event) = read(input) else { return };
    let ingest = &Ingest::new(&world(), configs::ingest(), log());
    check(
        event,
        service_fn(|request: Request| async move { Ok::<_, Error>(ingest.handle_request(request).await) }),
    );
}

/// Sends the event to api.
pub(crate) fn api(input: &[u8]) {
    let Some(event) = read(input) else { return };
    let api = &Arc::new(Api::new(&world(), configs::api()));
    let router = &router::router(Arc::clone(api));
    check(
        event,
        service_fn(|request: Request| async move {
            Ok::<_, Error>(router::answer_gateway(api, router.clone(), request).await)
        }),
    );
}

/// Reads the event as the runtime of Lambda does, which answers for an event that is no JSON.
fn read(input: &[u8]) -> Option<gateway::Event> {
    serde_json::from_str(&with_key(input)?).ok()
}

/// Answers the event, and checks that the answer has a status and that it is no failure of the service.
fn check<'a, S, R>(event: gateway::Event, handler: S)
where
    S: Service<Request, Response = R, Error = Error>,
    S::Future: Send + 'a,
    R: IntoResponse + 'a,
{
    let mut service = gateway::service(handler);
    let answer = FIXED.runtime.block_on(service.call(LambdaEvent::new(event, Context::default())));
    let answer = serde_json::to_value(answer.expect("an answer")).expect("JSON");
    let status = answer.get("statusCode").and_then(Value::as_u64);
    assert!(status.is_some_and(|status| (200..500).contains(&status)), "{answer}");
}

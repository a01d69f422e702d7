//! The routes, and the steps around every request: rate limit, problem document, headers and log line.

use std::sync::Arc;

use axum::body::{Bytes, HttpBody};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, delete, get, post};
use axum::{BoxError, Router};
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::KeyRecord;
use domain::tenant::audit::AuditRecord;
use domain::tenant::rate_limit::RateLimitStatus;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use lambda_http::RequestExt;
use runtime::request::refuse_own_webhook;
use runtime::{answer, gateway};
use store::clock::Clock;
use store::ports::Ports;
use store::reads::measured;
use tower::ServiceExt;

use crate::audit::{self, Admitted};
use crate::deps::Api;
use crate::failure::Failure;
use crate::routes::{
    attempts, console, endpoints, events, explain, health, inbox, keys, metrics, openapi, operator, privacy,
    queue, reference, replays, stats, tenant, webhook,
};
use crate::{query, route};

/// Makes the router of all routes.
pub fn router<P: Ports>(api: Arc<Api<P>>) -> Router {
    Router::new()
        .merge(tenant_routes(&api))
        .merge(endpoint_routes(&api))
        .merge(event_routes(&api))
        .merge(inbox_routes(&api))
        .merge(operator_routes(&api))
        .route("/health", get(health::live))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready::<P>))
        .route("/metrics", get(metrics::metrics::<P>))
        .route("/openapi.json", get(openapi::document::<P>))
        .route("/console", get(console::page))
        .route("/console/{file}", get(console::file))
        .route("/docs", get(reference::page))
        .route("/docs/{file}", get(reference::file))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn(route::keep))
        .fallback(async || Failure(Problem::not_found()))
        .with_state(api)
}

fn tenant_routes<P: Ports>(api: &Arc<Api<P>>) -> Router<Arc<Api<P>>> {
    let checked = |methods| checked(api, methods);
    Router::new()
        .route("/api/keys/generate", checked(post(keys::generate::<P>)))
        .route("/api/keys", checked(get(keys::list::<P>).post(keys::create::<P>)))
        .route("/api/keys/rotate", checked(post(keys::rotate::<P>)))
        .route("/api/keys/{id}", checked(delete(keys::delete::<P>)))
        .route(
            "/api/tenant",
            checked(get(tenant::read::<P>).patch(tenant::change::<P>).delete(privacy::erase::<P>)),
        )
        .route("/api/export", checked(get(privacy::export::<P>)))
        .route("/api/erasures/{id}", checked(get(privacy::receipt::<P>)))
        .route("/api/audit", checked(get(crate::routes::audit::list::<P>)))
        .route("/api/stats", checked(get(stats::stats::<P>)))
}

fn endpoint_routes<P: Ports>(api: &Arc<Api<P>>) -> Router<Arc<Api<P>>> {
    let checked = |methods| checked(api, methods);
    Router::new()
        .route("/api/webhook/config", checked(post(webhook::configure::<P>)))
        .route("/api/endpoints", checked(get(endpoints::list::<P>).post(endpoints::create::<P>)))
        .route(
            "/api/endpoints/{id}",
            checked(get(endpoints::read::<P>).patch(endpoints::change::<P>).delete(endpoints::delete::<P>)),
        )
        .route("/api/endpoints/{id}/enable", checked(post(endpoints::enable::<P>)))
        .route("/api/endpoints/{id}/rotate-secret", checked(post(endpoints::rotate::<P>)))
        .route("/api/endpoints/{id}/test", checked(post(attempts::test::<P>)))
        .route("/api/endpoints/{id}/attempts", checked(get(attempts::list::<P>)))
        .route("/api/endpoints/{id}/sample", checked(get(attempts::sample::<P>)))
        .route("/api/explain", checked(post(explain::explain::<P>)))
        .route("/.well-known/webhook-keys", checked(get(attempts::public_keys::<P>)))
}

/// Makes the routes of the log. The function `ingest` answers `POST /api/events` and `POST /api/events/batch`; requests
/// with other methods come here.
fn event_routes<P: Ports>(api: &Arc<Api<P>>) -> Router<Arc<Api<P>>> {
    let checked = |methods| checked(api, methods);
    Router::new()
        .route("/api/events", checked(get(events::list::<P>).fallback(allow_get_and_post)))
        .route("/api/events/batch", any(allow_post))
        .route("/api/events/{id}", checked(get(events::read::<P>).delete(events::delete::<P>)))
        .route("/api/events/{id}/replay", checked(post(events::replay::<P>)))
        .route("/api/replays", checked(get(replays::list::<P>).post(replays::create::<P>)))
        .route("/api/replays/{id}", checked(get(replays::read::<P>).delete(replays::cancel::<P>)))
}

fn inbox_routes<P: Ports>(api: &Arc<Api<P>>) -> Router<Arc<Api<P>>> {
    let checked = |methods| checked(api, methods);
    Router::new()
        .route("/api/inbox", checked(get(inbox::list::<P>)))
        .route("/api/inbox/lease", checked(post(queue::lease::<P>)))
        .route("/api/inbox/ack", checked(post(queue::acknowledge::<P>)))
        .route("/api/inbox/release", checked(post(queue::release::<P>)))
        .route("/api/inbox/extend", checked(post(queue::extend::<P>)))
        .route("/api/ack/{id}", checked(post(inbox::acknowledge::<P>)))
}

fn operator_routes<P: Ports>(api: &Arc<Api<P>>) -> Router<Arc<Api<P>>> {
    let checked = |methods| checked(api, methods);
    Router::new()
        .route("/api/admin/tenants", checked(get(operator::list::<P>)))
        .route("/api/admin/tenants/{id}", checked(get(operator::read::<P>)))
        .route("/api/admin/tenants/{id}/keys", checked(post(operator::create_key::<P>)))
        .route("/api/admin/tenants/{id}/suspend", checked(post(operator::suspend::<P>)))
        .route("/api/admin/tenants/{id}/resume", checked(post(operator::resume::<P>)))
}

/// Records the changes, then checks the query, of requests with the methods of a route. Other methods get a 405, whatever
/// their query is.
fn checked<P: Ports>(api: &Arc<Api<P>>, methods: MethodRouter<Arc<Api<P>>>) -> MethodRouter<Arc<Api<P>>> {
    let recorded = from_fn_with_state(Arc::clone(api), audit::record::<P>);
    methods.route_layer(from_fn(query::check)).route_layer(recorded)
}

async fn allow_post() -> impl IntoResponse {
    ([(ALLOW, "POST")], method_not_allowed().await)
}

async fn allow_get_and_post() -> impl IntoResponse {
    ([(ALLOW, "GET, HEAD, POST")], method_not_allowed().await)
}

async fn method_not_allowed() -> Failure {
    let detail = "the path does not allow this method; use a method that the header Allow lists";
    Failure(Problem::new(Kind::MethodNotAllowed, detail))
}

/// Answers one request of API Gateway.
pub async fn answer_gateway<P: Ports>(
    api: &Api<P>,
    router: Router,
    mut request: lambda_http::Request,
) -> Response {
    if let Some(address) = gateway::source_address(&request) {
        request.extensions_mut().insert(address);
    }
    let path = request.raw_http_path().to_owned();
    let request_id = request.lambda_context().request_id;
    answer(api, router, request, &path, &request_id).await
}

/// Answers one request: takes a rate-limit token, calls the handler, writes the problem document of an error, and logs
/// one line. `path` is the path as the client sent it.
pub async fn answer<P, B>(
    api: &Api<P>,
    router: Router,
    request: Request<B>,
    path: &str,
    request_id: &str,
) -> Response
where
    P: Ports,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let method = request.method().clone();
    let started_at = api.clock.now();

    // 1. Refuse our own webhook, take a token, record a change, and call the handler.
    let (admission, mut response) = match route::with_path(request, path) {
        None => (Admission::default(), Failure(Problem::not_found()).into_response()),
        Some(request) => handle(api, router, request, request_id).await,
    };
    let route = route::template(&method, &response);
    let change = audit::take(&mut response);
    let change = change.as_ref();

    // 2. Write the problem document and the headers of every response.
    let mut response = write_problem(response, request_id);
    add_headers(response.headers_mut(), &admission, request_id);

    // 3. Record the outcome of a change.
    let status = response.status().as_u16();
    audit::end(api, change, status).await;

    // 4. Log one line.
    let milliseconds = api.clock.now().millis_since(started_at);
    let (tenant, key) = caller(change, &admission).unzip();
    let action = change.map(|record| record.action.as_str());
    let subject = change.and_then(|record| record.subject.as_deref());
    tracing::info!(route, tenant, key, action, subject, status, milliseconds, request_id, "answered");
    response
}

/// Returns the tenant, and the id of the API key. The operator changes a tenant without a key of its own.
fn caller<'a>(change: Option<&'a AuditRecord>, admission: &'a Admission) -> Option<(&'a str, &'a str)> {
    let bearer = admission.bearer.as_ref().map(|key| (key.tenant.as_str(), key.id.as_str()));
    change.map(|record| (record.tenant.as_str(), record.author.as_str())).or(bearer)
}

/// Adds the headers that every response has.
fn add_headers(headers: &mut HeaderMap, admission: &Admission, request_id: &str) {
    answer::protect(headers);
    let rate_limit_headers = admission.rate_limit.iter().flat_map(RateLimitStatus::headers);
    for (name, value) in rate_limit_headers.chain([("x-request-id", request_id.to_owned())]) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}

/// Admits a request, calls its handler, and takes the tokens for its reads.
async fn handle<P, B>(
    api: &Api<P>,
    router: Router,
    mut request: Request<B>,
    request_id: &str,
) -> (Admission, Response)
where
    P: Ports,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut admission = Admission::default();
    let admitted =
        admit(api, request.method(), request.uri().path(), request.headers(), &mut admission).await;
    if let Err(problem) = admitted {
        return (admission, Failure(problem).into_response());
    }
    let admitted = Admitted { bearer: admission.bearer.clone(), request_id: request_id.to_owned() };
    request.extensions_mut().insert(admitted);
    let (Ok(response), half_units) = measured(router.oneshot(request)).await;
    if let Some(bearer) = &admission.bearer {
        // The answer is not changed: a request that costs more than the minute has left lets the next ones be refused.
        let charged = api.limiter.charge_reads(bearer, half_units, api.clock.now()).await;
        admission.rate_limit = charged.or(admission.rate_limit);
    }
    (admission, response)
}

/// What is known of the caller of a request.
#[derive(Default)]
struct Admission {
    /// The record of its API key, if that is valid.
    bearer: Option<KeyRecord>,
    rate_limit: Option<RateLimitStatus>,
}

/// Refuses a webhook of this API, and takes a rate-limit token for any other request. A request without a valid key takes no
/// token; its handler refuses it if the route needs a key.
///
/// # Errors
/// 403 for a webhook, 429 if no token is left in this minute, 503 if the key cannot be read.
async fn admit<P: Ports>(
    api: &Api<P>,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    admission: &mut Admission,
) -> Result<(), Problem> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        refuse_own_webhook(headers)?;
    }
    if !path.starts_with("/api/") {
        return Ok(()); // health, metrics, documents and public keys have no tenant
    }
    let now = api.clock.now();
    let bearer = match api.authenticator.bearer(headers, now).await {
        Ok((_, bearer)) => bearer,
        Err(problem) if problem.kind == Kind::Unavailable => return Err(problem),
        Err(_) => return Ok(()),
    };
    let (is_allowed, rate_limit) = api.limiter.take_request(&bearer, now).await;
    admission.bearer = Some(bearer);
    admission.rate_limit = Some(rate_limit);
    if is_allowed { Ok(()) } else { Err(rate_limit.to_problem("requests", &mut rand::rng())) }
}

/// Returns the problem document for a response with a problem, and any other response as it is.
fn write_problem(response: Response, request_id: &str) -> Response {
    let problem = match response.extensions().get::<Failure>() {
        Some(Failure(problem)) => problem.clone(),
        // axum itself answers 400 in plain text to a path that it cannot decode
        None if response.status() == StatusCode::BAD_REQUEST && !is_json(&response) => Problem::not_found(),
        None => return response,
    };
    if let Some(cause) = &problem.cause {
        tracing::error!(cause, "an AWS service that the request needs did not answer");
    }
    let mut document = answer::problem(&problem, request_id).into_response();
    if let Some(allow) = response.headers().get(ALLOW) {
        document.headers_mut().insert(ALLOW, allow.clone());
    }
    document
}

fn is_json(response: &Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.starts_with("application/json"))
}

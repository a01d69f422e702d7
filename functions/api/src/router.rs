//! Which route is answered where.

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post};
use domain::problem::{Kind, Problem};
use domain::tenant::rate_limit::RateLimitStatus;
use http::StatusCode;
use http::header::{ALLOW, CONTENT_TYPE};
use lambda_http::{Request, RequestExt};
use runtime::answer;
use store::ports::Clock;
use tower::ServiceExt;

use crate::deps::Api;
use crate::failure::Failure;
use crate::routes::{
    attempts, endpoints, events, explain, health, inbox, keys, metrics, openapi, privacy, queue, replays,
    stats, tenant, webhook,
};

/// All routes. Posting events is another function's: here `/api/events` knows only the log, and `/api/events/batch` nothing.
pub(crate) fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/api/keys/generate", post(keys::generate))
        .route("/api/keys", get(keys::list).post(keys::create))
        .route("/api/keys/rotate", post(keys::rotate))
        .route("/api/keys/{id}", delete(keys::delete))
        .route("/api/tenant", get(tenant::read).patch(tenant::change).delete(privacy::erase))
        .route("/api/webhook/config", post(webhook::configure))
        .route("/api/endpoints", get(endpoints::list).post(endpoints::create))
        .route("/api/endpoints/{id}", get(endpoints::read).patch(endpoints::change).delete(endpoints::delete))
        .route("/api/endpoints/{id}/enable", post(endpoints::enable))
        .route("/api/endpoints/{id}/rotate-secret", post(endpoints::rotate))
        .route("/api/endpoints/{id}/test", post(attempts::test))
        .route("/api/endpoints/{id}/attempts", get(attempts::list))
        .route("/api/endpoints/{id}/sample", get(attempts::sample))
        .route("/api/explain", post(explain::explain))
        .route("/.well-known/webhook-keys", get(attempts::public_keys))
        .route("/api/events", get(events::list).fallback(posting_too))
        .route("/api/events/batch", any(posting_only))
        .route("/api/events/{id}", get(events::read).delete(events::delete))
        .route("/api/events/{id}/replay", post(events::replay))
        .route("/api/replays", post(replays::create))
        .route("/api/replays/{id}", get(replays::read).delete(replays::cancel))
        .route("/api/export", get(privacy::export))
        .route("/api/erasures/{id}", get(privacy::receipt))
        .route("/api/inbox", get(inbox::list))
        .route("/api/inbox/lease", post(queue::lease))
        .route("/api/inbox/ack", post(queue::acknowledge))
        .route("/api/inbox/release", post(queue::release))
        .route("/api/inbox/extend", post(queue::extend))
        .route("/api/ack/{id}", post(inbox::acknowledge))
        .route("/api/stats", get(stats::stats))
        .route("/health", get(health::live))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::document))
        .method_not_allowed_fallback(wrong_method)
        .fallback(async || Failure(Problem::not_found()))
        .with_state(api)
}

async fn posting_only() -> impl IntoResponse {
    ([(ALLOW, "POST")], wrong_method().await)
}

async fn posting_too() -> impl IntoResponse {
    ([(ALLOW, "GET, HEAD, POST")], wrong_method().await)
}

async fn wrong_method() -> Failure {
    Failure(Problem::new(Kind::MethodNotAllowed, "the path knows other methods"))
}

/// Answers one request: meters it, routes it, writes out its problem if there is one, and logs one line.
pub(crate) async fn answer(
    api: &Api,
    router: Router,
    request: Request,
) -> Result<Response, lambda_http::Error> {
    let request_id = request.lambda_context().request_id;
    let (path, method) = (request.raw_http_path().to_owned(), request.method().to_string());
    let began = api.clock.now();
    let mut standing = None;
    let response = match (meter(api, &path, &request, &mut standing).await, at_raw_path(request)) {
        (Err(problem), _) => Failure(problem).into_response(),
        (Ok(()), Some(request)) => router.oneshot(request).await?,
        (Ok(()), None) => Failure(Problem::not_found()).into_response(),
    };
    let mut response = written(response, &request_id);
    let headers = response.headers_mut();
    headers.insert("x-request-id", request_id.parse()?);
    for (name, value) in standing.iter().flat_map(RateLimitStatus::headers) {
        headers.insert(name, value.parse()?);
    }
    let milliseconds = api.clock.now().millis_since(began);
    tracing::info!(method, path, status = response.status().as_u16(), milliseconds, request_id, "answered");
    Ok(response)
}

/// Takes a token for a request that bears a good key. What bears none is its handler's to refuse.
///
/// # Errors
/// 429 where there is none left in this minute; 503 where the key cannot be looked up.
async fn meter(
    api: &Api,
    path: &str,
    request: &Request,
    standing: &mut Option<RateLimitStatus>,
) -> Result<(), Problem> {
    if !path.starts_with("/api/") {
        return Ok(()); // health and metrics touch nothing of a tenant's
    }
    let now = api.clock.now();
    match api.authenticator.bearer(request.headers(), now).await {
        Err(problem) if problem.kind == Kind::Unavailable => Err(problem),
        Err(_) => Ok(()),
        Ok((_, bearer)) => {
            let (allowed, stands) = api.limiter.take_request(&bearer, now).await;
            *standing = Some(stands);
            if allowed { Ok(()) } else { Err(stands.refusal("requests")) }
        }
    }
}

/// The response with its problem written out, if it carries one.
fn written(response: Response, request_id: &str) -> Response {
    let problem = match response.extensions().get::<Failure>() {
        Some(Failure(problem)) => problem.clone(),
        None if response.status() == StatusCode::BAD_REQUEST && !is_json(&response) => Problem::not_found(), // axum's own
        None => return response,
    };
    if let Some(cause) = &problem.cause {
        tracing::error!(cause, "a service that the API needs did not answer");
    }
    let mut written = answer::problem(&problem, request_id).into_response();
    if let Some(allow) = response.headers().get(ALLOW) {
        written.headers_mut().insert(ALLOW, allow.clone());
    }
    written
}

fn is_json(response: &Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.starts_with("application/json"))
}

/// The request at the path that the client sent, without a slash at its end: `lambda_http` puts the stage's name in
/// front of it. `None` where no route has such characters: a gateway may decode them, and a `?` or `#` of the path must not
/// end it here.
fn at_raw_path(request: Request) -> Option<Request> {
    let path = format!("/{}", request.raw_http_path().trim_matches('/'));
    if path.contains(['?', '#']) {
        return None;
    }
    let target = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let (mut parts, body) = request.into_parts();
    parts.uri = target.parse().ok()?;
    Some(Request::from_parts(parts, body))
}

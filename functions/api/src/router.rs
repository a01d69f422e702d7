//! Which route is answered where.

use std::sync::Arc;

use axum::body::{Bytes, HttpBody};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post};
use axum::{BoxError, Router};
use domain::problem::{Kind, Problem};
use domain::tenant::rate_limit::RateLimitStatus;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use runtime::answer;
use store::clock::Clock;
use store::ports::Ports;
use tower::ServiceExt;

use crate::deps::Api;
use crate::failure::Failure;
use crate::routes::{
    attempts, endpoints, events, explain, health, inbox, keys, metrics, openapi, privacy, queue, replays,
    stats, tenant, webhook,
};

/// All routes. Posting events is another function's: here `/api/events` knows only the log, and `/api/events/batch` nothing.
pub fn router<P: Ports>(api: Arc<Api<P>>) -> Router {
    Router::new()
        .route("/api/keys/generate", post(keys::generate::<P>))
        .route("/api/keys", get(keys::list::<P>).post(keys::create::<P>))
        .route("/api/keys/rotate", post(keys::rotate::<P>))
        .route("/api/keys/{id}", delete(keys::delete::<P>))
        .route("/api/tenant", get(tenant::read::<P>).patch(tenant::change::<P>).delete(privacy::erase::<P>))
        .route("/api/webhook/config", post(webhook::configure::<P>))
        .route("/api/endpoints", get(endpoints::list::<P>).post(endpoints::create::<P>))
        .route(
            "/api/endpoints/{id}",
            get(endpoints::read::<P>).patch(endpoints::change::<P>).delete(endpoints::delete::<P>),
        )
        .route("/api/endpoints/{id}/enable", post(endpoints::enable::<P>))
        .route("/api/endpoints/{id}/rotate-secret", post(endpoints::rotate::<P>))
        .route("/api/endpoints/{id}/test", post(attempts::test::<P>))
        .route("/api/endpoints/{id}/attempts", get(attempts::list::<P>))
        .route("/api/endpoints/{id}/sample", get(attempts::sample::<P>))
        .route("/api/explain", post(explain::explain::<P>))
        .route("/.well-known/webhook-keys", get(attempts::public_keys::<P>))
        .route("/api/events", get(events::list::<P>).fallback(posting_too))
        .route("/api/events/batch", any(posting_only))
        .route("/api/events/{id}", get(events::read::<P>).delete(events::delete::<P>))
        .route("/api/events/{id}/replay", post(events::replay::<P>))
        .route("/api/replays", post(replays::create::<P>))
        .route("/api/replays/{id}", get(replays::read::<P>).delete(replays::cancel::<P>))
        .route("/api/export", get(privacy::export::<P>))
        .route("/api/erasures/{id}", get(privacy::receipt::<P>))
        .route("/api/inbox", get(inbox::list::<P>))
        .route("/api/inbox/lease", post(queue::lease::<P>))
        .route("/api/inbox/ack", post(queue::acknowledge::<P>))
        .route("/api/inbox/release", post(queue::release::<P>))
        .route("/api/inbox/extend", post(queue::extend::<P>))
        .route("/api/ack/{id}", post(inbox::acknowledge::<P>))
        .route("/api/stats", get(stats::stats::<P>))
        .route("/health", get(health::live))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready::<P>))
        .route("/metrics", get(metrics::metrics::<P>))
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

/// Answers one request: meters it, routes it, writes out its problem if there is one, and logs one line. `path` is the path as the
/// client sent it: `lambda_http` puts the name of the stage in front of it.
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
    let method = request.method().to_string();
    let began = api.clock.now();
    let metered = meter(api, path, request.headers()).await;
    let (status, response) = match (metered, at_raw_path(request, path)) {
        (Err(refused), _) => (refused.status, Failure(refused.problem).into_response()),
        (Ok(status), Some(request)) => {
            let Ok(response) = router.oneshot(request).await;
            (status, response)
        }
        (Ok(status), None) => (status, Failure(Problem::not_found()).into_response()),
    };
    let mut response = written(response, request_id);
    let headers = response.headers_mut();
    let further = status.iter().flat_map(RateLimitStatus::headers);
    for (name, value) in further.chain([("x-request-id", request_id.to_owned())]) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    let milliseconds = api.clock.now().millis_since(began);
    tracing::info!(method, path, status = response.status().as_u16(), milliseconds, request_id, "answered");
    response
}

/// Why a request is not answered, and the rate limit of its caller.
struct Refused {
    status: Option<RateLimitStatus>,
    problem: Problem,
}

/// Takes a token for a request with a valid API key; returns the rate limit of its caller. A request without one is left to its
/// handler.
///
/// # Errors
/// 429 where no token is left in this minute; 503 where the key cannot be looked up.
async fn meter<P: Ports>(
    api: &Api<P>,
    path: &str,
    headers: &HeaderMap,
) -> Result<Option<RateLimitStatus>, Refused> {
    if !path.starts_with("/api/") {
        return Ok(None); // health and metrics belong to no tenant
    }
    let now = api.clock.now();
    match api.authenticator.bearer(headers, now).await {
        Err(problem) if problem.kind == Kind::Unavailable => Err(Refused { status: None, problem }),
        Err(_) => Ok(None),
        Ok((_, bearer)) => {
            let (is_allowed, status) = api.limiter.take_request(&bearer, now).await;
            if is_allowed {
                return Ok(Some(status));
            }
            Err(Refused { status: Some(status), problem: status.to_problem("requests") })
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

/// Returns the request at the path that the client sent, without a slash at its end. `None` where no route has such characters: a
/// gateway may decode them, and a `?` or `#` in the path must not end it here.
fn at_raw_path<B>(request: Request<B>, path: &str) -> Option<Request<B>> {
    let path = format!("/{}", path.trim_matches('/'));
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

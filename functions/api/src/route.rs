//! The route of a request. The rate limit, the router and the log line use the same path, so none can be reached unmetered.

use axum::extract::MatchedPath;
use axum::middleware::Next;
use axum::response::Response;
use http::{Method, Request};

/// Whether the path ended with a slash when the client sent it.
#[derive(Clone, Copy)]
pub(crate) struct EndedWithSlash(pub(crate) bool);

/// Returns the request with the path that the client sent, without a slash at its end. `lambda_http` adds the name of the
/// stage to the path of `request`, so `path` is used instead. Returns `None` for a path that no route can have:
///
/// - with an empty segment, which a router could skip and a check of the beginning not;
/// - with an encoded slash, which would become two segments where it is decoded;
/// - with `?` or `#`, which an API gateway may have decoded, and which must not end the path here.
pub(crate) fn with_path<B>(request: Request<B>, path: &str) -> Option<Request<B>> {
    let shorter = path.strip_suffix('/').filter(|path| !path.is_empty());
    let ended_with_slash = EndedWithSlash(shorter.is_some());
    let path = shorter.unwrap_or(path);
    let has_encoded_slash = path.to_ascii_lowercase().contains("%2f");
    if !path.starts_with('/') || path.contains(['?', '#']) || path.contains("//") || has_encoded_slash {
        return None;
    }
    let target = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let (mut parts, body) = request.into_parts();
    parts.uri = target.parse().ok()?;
    parts.extensions.insert(ended_with_slash);
    Some(Request::from_parts(parts, body))
}

/// Keeps the route that the router chose for [`template`].
pub(crate) async fn keep(request: Request<axum::body::Body>, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

/// Returns the method and the route of a response for the log, such as `GET /api/events/{id}`. It has nothing of the path
/// that was sent: a client may paste a key into it, or make it long.
pub(crate) fn template(method: &Method, response: &Response) -> String {
    let is_known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ]
    .contains(method);
    let method = if is_known { method.as_str() } else { "other" };
    let route = response.extensions().get::<MatchedPath>().map_or("(no route)", MatchedPath::as_str);
    format!("{method} {route}")
}

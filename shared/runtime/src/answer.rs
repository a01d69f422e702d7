//! HTTP answers of ingest and of the API, independent of any framework.

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::Value;

use domain::problem::Problem;

/// An HTTP answer with a text body.
pub type Answer = Response<String>;

/// The headers of every answer, unless it sets its own: no cache keeps the answer, no browser guesses another content type,
/// and a browser that got it by TLS asks by TLS for a year. The gateway responses of `template.yaml` have the same.
pub const PROTECTION: [(&str, &str); 3] = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("strict-transport-security", "max-age=31536000"),
];

/// Adds [`PROTECTION`] to the headers of an answer.
pub fn protect(headers: &mut HeaderMap) {
    for (name, value) in PROTECTION {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// Makes a JSON answer.
#[must_use]
pub fn json(status: StatusCode, body: &Value) -> Answer {
    typed(status, "application/json", body.to_string())
}

/// Makes an answer with this content type.
#[must_use]
pub fn typed(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// Makes a 204 without a body.
#[must_use]
pub fn no_content() -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// Makes an error answer: `application/problem+json`, with `Retry-After` if a retry can succeed.
#[must_use]
pub fn problem(problem: &Problem, request_id: &str) -> Answer {
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = typed(status, "application/problem+json", problem.to_json(request_id).to_string());
    if let Some(seconds) = problem.retry_after {
        retry_after(&mut answer, seconds);
    }
    answer
}

/// Sets `Retry-After`.
pub fn retry_after(answer: &mut Answer, seconds: u32) {
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
}

/// Sets a header. A value that is not allowed in a header is left out; our own texts never have one.
pub fn add_header(answer: &mut Answer, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// Marks the answer as a repeat of the answer to an earlier request with the same `Idempotency-Key`.
pub fn mark_replayed(answer: &mut Answer) {
    add_header(answer, "idempotency-replayed", "true");
}

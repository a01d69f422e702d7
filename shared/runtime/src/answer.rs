//! An HTTP answer: what both HTTP functions give back, whatever framework carries it.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::Value;

use domain::problem::Problem;

/// An answer with its body as text.
pub type Answer = Response<String>;

/// A JSON answer.
#[must_use]
pub fn json(status: StatusCode, body: &Value) -> Answer {
    typed(status, "application/json", body.to_string())
}

/// An answer of another content type.
#[must_use]
pub fn typed(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// An answer that says no more than that it is done.
#[must_use]
pub fn no_content() -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// An error as `application/problem+json`, with `Retry-After` where waiting helps.
#[must_use]
pub fn problem(problem: &Problem, request_id: &str) -> Answer {
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = typed(status, "application/problem+json", problem.to_json(request_id).to_string());
    if let Some(seconds) = problem.retry_after {
        retry_after(&mut answer, seconds);
    }
    answer
}

/// Says when another try is worth it.
pub fn retry_after(answer: &mut Answer, seconds: u32) {
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
}

/// Adds a header whose value is our own text.
pub fn add_header(answer: &mut Answer, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// Tells that an earlier request of the same `Idempotency-Key` is answered again.
pub fn mark_replayed(answer: &mut Answer) {
    add_header(answer, "idempotency-replayed", "true");
}

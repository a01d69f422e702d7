//! The `OpenAPI` document, compiled into the function.

use http::StatusCode;
use runtime::answer;
use runtime::answer::Answer;

/// Answers `GET /openapi.json`. No API key is needed.
pub(crate) async fn document() -> Answer {
    let document = include_str!("../../../../infra/openapi.json");
    answer::typed(StatusCode::OK, "application/json", document.to_owned())
}

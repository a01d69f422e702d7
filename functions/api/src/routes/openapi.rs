//! The API's own description, as it was when this function was built.

use http::StatusCode;
use runtime::answer;
use runtime::answer::Answer;

/// `GET /openapi.json`: for everybody, since it tells nothing that the source does not.
pub(crate) async fn document() -> Answer {
    let document = include_str!("../../../../infra/openapi.json");
    answer::typed(StatusCode::OK, "application/json", document.to_owned())
}

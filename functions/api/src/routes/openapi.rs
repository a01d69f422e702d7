//! The `OpenAPI` document, compiled into the function.

use std::sync::LazyLock;

use axum::response::Response;
use http::HeaderMap;

use crate::document::{BRIEF, Document};

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    Document::new("application/json", BRIEF, include_str!("../../../../infra/openapi.json"))
});

/// Answers `GET /openapi.json`. No API key is needed.
pub(crate) async fn document(headers: HeaderMap) -> Response {
    DOCUMENT.answer(&headers)
}

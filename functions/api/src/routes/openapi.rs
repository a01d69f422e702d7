//! The `OpenAPI` document, compiled into the function.

use std::sync::LazyLock;

use axum::response::Response;
use http::HeaderMap;

use crate::document::Document;

static DOCUMENT: LazyLock<Document> =
    LazyLock::new(|| Document::new("application/json", include_str!("../../../../infra/openapi.json")));

/// Answers `GET /openapi.json`. No API key is needed.
pub(crate) async fn document(headers: HeaderMap) -> Response {
    DOCUMENT.answer(&headers)
}

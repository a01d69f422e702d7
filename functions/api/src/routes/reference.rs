//! The API reference: a page that shows the `OpenAPI` document, compiled into the function. `functions/api/reference` has its
//! sources.

use std::sync::LazyLock;

use axum::Extension;
use axum::extract::Path;
use axum::response::Response;
use http::HeaderMap;

use crate::document::{CHECKED, Document};
use crate::page::{CSS, JAVASCRIPT, Page, SVG};
use crate::route::EndedWithSlash;

static REFERENCE: LazyLock<Page> = LazyLock::new(|| {
    let gzip = |content_type, compressed| Document::of_gzip(content_type, CHECKED, compressed);
    let icon = include_str!("../../reference/dist/docs/icon.svg");
    Page::new(
        "../docs",
        include_str!("../../reference/dist/index.html"),
        [
            ("app.js", gzip(JAVASCRIPT, include_bytes!("../../reference/dist/docs/app.js.gz"))),
            ("app.css", gzip(CSS, include_bytes!("../../reference/dist/docs/app.css.gz"))),
            ("icon.svg", Document::new(SVG, CHECKED, icon)),
        ],
    )
});

/// Answers `GET /docs`. No API key is needed to read.
pub(crate) async fn page(Extension(ended): Extension<EndedWithSlash>, headers: HeaderMap) -> Response {
    REFERENCE.answer(ended, &headers)
}

/// Answers `GET /docs/{file}`.
pub(crate) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    REFERENCE.answer_file(&name, &headers)
}

//! The console: a page for people over this API, compiled into the function. `functions/api/console` has its sources.

use std::sync::LazyLock;

use axum::Extension;
use axum::extract::Path;
use axum::response::Response;
use http::HeaderMap;

use crate::document::{CHECKED, Document};
use crate::page::{CSS, JAVASCRIPT, Page, SVG};
use crate::route::EndedWithSlash;

static CONSOLE: LazyLock<Page> = LazyLock::new(|| {
    let file = |content_type, text| Document::new(content_type, CHECKED, text);
    Page::new(
        "../console",
        include_str!("../../console/dist/index.html"),
        [
            ("app.js", file(JAVASCRIPT, include_str!("../../console/dist/console/app.js"))),
            ("app.css", file(CSS, include_str!("../../console/dist/console/app.css"))),
            ("icon.svg", file(SVG, include_str!("../../console/dist/console/icon.svg"))),
        ],
    )
});

/// Answers `GET /console`. No API key is needed: the page asks for one.
pub(crate) async fn page(Extension(ended): Extension<EndedWithSlash>, headers: HeaderMap) -> Response {
    CONSOLE.answer(ended, &headers)
}

/// Answers `GET /console/{file}`.
pub(crate) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    CONSOLE.answer_file(&name, &headers)
}

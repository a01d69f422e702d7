//! The console: a page for people over this API, compiled into the function. `functions/api/console` has its sources.

use std::sync::LazyLock;

use axum::Extension;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use domain::problem::Problem;
use http::header::{CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::document::{CHECKED, Document};
use crate::failure::Failure;
use crate::route::EndedWithSlash;

static PAGE: LazyLock<Document> = LazyLock::new(|| {
    Document::new("text/html; charset=utf-8", CHECKED, include_str!("../../console/dist/index.html"))
});

/// The files of the page, by name.
static FILES: LazyLock<[(&str, Document); 3]> = LazyLock::new(|| {
    let file = |content_type, text| Document::new(content_type, CHECKED, text);
    [
        ("app.js", file("text/javascript; charset=utf-8", include_str!("../../console/dist/console/app.js"))),
        ("app.css", file("text/css; charset=utf-8", include_str!("../../console/dist/console/app.css"))),
        ("icon.svg", file("image/svg+xml", include_str!("../../console/dist/console/icon.svg"))),
    ]
});

/// What the page may do: load its own files and call its own origin. A script that gets into it in any other way does not
/// run, and the page can send nothing elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers `GET /console`. No API key is needed: the page asks for one.
pub(crate) async fn page(
    Extension(EndedWithSlash(ended_with_slash)): Extension<EndedWithSlash>,
    headers: HeaderMap,
) -> Response {
    if ended_with_slash {
        // The page names its files relative to its own URL, so that it works below any stage. It has one URL therefore.
        return (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "../console")]).into_response();
    }
    protected(PAGE.answer(&headers))
}

/// Answers `GET /console/{file}`.
pub(crate) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match FILES.iter().find(|(file, _)| *file == name) {
        Some((_, document)) => protected(document.answer(&headers)),
        None => Failure(Problem::not_found()).into_response(),
    }
}

fn protected(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

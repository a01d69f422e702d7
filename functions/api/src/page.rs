//! A page for a browser that is compiled into the function: one document at a URL, and its files below it.

use axum::response::{IntoResponse, Response};
use domain::problem::Problem;
use http::header::{CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::document::{CHECKED, Document};
use crate::failure::Failure;
use crate::route::EndedWithSlash;

pub(crate) const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
pub(crate) const CSS: &str = "text/css; charset=utf-8";
pub(crate) const SVG: &str = "image/svg+xml";

/// What a page may do: load its own files and call its own origin. A script that gets into it in any other way does not run,
/// and the page can send nothing elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A page.
pub(crate) struct Page {
    /// Where a path with a slash at its end leads: the page, relative to that path.
    location: &'static str,
    document: Document,
    /// The files of the page, by name.
    files: [(&'static str, Document); 3],
}

impl Page {
    /// Makes a page of its HTML and its files.
    pub(crate) fn new(
        location: &'static str,
        html: &'static str,
        files: [(&'static str, Document); 3],
    ) -> Self {
        Self { location, document: Document::new("text/html; charset=utf-8", CHECKED, html), files }
    }

    /// Answers a `GET` of the page.
    pub(crate) fn answer(
        &self,
        EndedWithSlash(ended_with_slash): EndedWithSlash,
        headers: &HeaderMap,
    ) -> Response {
        if ended_with_slash {
            // The page names its files relative to its own URL, so that it works below any stage. It has one URL therefore.
            return (StatusCode::PERMANENT_REDIRECT, [(LOCATION, self.location)]).into_response();
        }
        protected(self.document.answer(headers))
    }

    /// Answers a `GET` of a file of the page.
    pub(crate) fn answer_file(&self, name: &str, headers: &HeaderMap) -> Response {
        match self.files.iter().find(|(file, _)| *file == name) {
            Some((_, document)) => protected(document.answer(headers)),
            None => Failure(Problem::not_found()).into_response(),
        }
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

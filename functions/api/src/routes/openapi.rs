//! The `OpenAPI` document, compiled into the function.

use std::sync::{Arc, LazyLock};

use axum::extract::{Request, State};
use axum::response::Response;
use runtime::gateway;
use serde_json::Value;
use store::cache::Cache;
use store::ports::Ports;

use crate::deps::ApiState;
use crate::document::{BRIEF, Document};

const TEXT: &str = include_str!("../../../../infra/openapi.json");

/// The URL in the text: it is relative to that of the document.
const RELATIVE_URL: &str = ".";

/// The place of the URL in the text.
const SERVERS: &str = r#""servers": [{"url": "#;

/// The number of base URLs whose documents are kept: of the stage, and of custom domains.
const MAX_BASE_URLS: usize = 8;

static DOCUMENTS: LazyLock<Cache<String, Arc<Document>>> = LazyLock::new(|| Cache::new(MAX_BASE_URLS));

/// Answers `GET /openapi.json`. No API key is needed. The document names the URL of the API, because not every tool resolves a
/// relative one.
pub(crate) async fn document<P: Ports>(State(api): ApiState<P>, request: Request) -> Response {
    let url = api.public_url.clone().or_else(|| gateway::base_url(&request));
    let url = url.unwrap_or_else(|| RELATIVE_URL.to_owned());
    let document = DOCUMENTS.get(&url).unwrap_or_else(|| {
        let document = Arc::new(Document::new("application/json", BRIEF, with_url(&url)));
        DOCUMENTS.insert(url, Arc::clone(&document));
        document
    });
    document.answer(request.headers())
}

/// Returns the document with this URL of the API.
fn with_url(url: &str) -> String {
    let server = |url: &str| format!("{SERVERS}{}", Value::from(url));
    TEXT.replacen(&server(RELATIVE_URL), &server(url), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_the_api_takes_the_place_of_the_relative_one_and_cannot_break_the_document() {
        for url in ["https://api.example.com/v1", "https://\"quoted\""] {
            let document: Value = serde_json::from_str(&with_url(url)).unwrap();
            assert_eq!(document["servers"][0]["url"], url);
        }
    }
}

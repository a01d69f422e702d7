//! The `OpenAPI` document, compiled into the function.

use std::sync::{Arc, LazyLock};

use axum::Extension;
use axum::response::Response;
use http::HeaderMap;
use store::cache::Cache;

use crate::document::{BRIEF, Document};

const TEXT: &str = include_str!("../../../../infra/openapi.json");

/// The URL in the text: it is relative to that of the document.
const RELATIVE_URL: &str = r#""servers": [{"url": ".""#;

/// The number of base URLs whose documents are kept: of the stage, and of custom domains.
const MAX_BASE_URLS: usize = 8;

static RELATIVE: LazyLock<Document> = LazyLock::new(|| Document::new("application/json", BRIEF, TEXT));

static DOCUMENTS: LazyLock<Cache<String, Arc<Document>>> = LazyLock::new(|| Cache::new(MAX_BASE_URLS));

/// The URL of the API as the client called it.
#[derive(Clone)]
pub(crate) struct BaseUrl(pub(crate) String);

/// Answers `GET /openapi.json`. No API key is needed. The document names the URL of the API, because not every tool resolves a
/// relative one.
pub(crate) async fn document(headers: HeaderMap, base: Option<Extension<BaseUrl>>) -> Response {
    let Some(Extension(BaseUrl(url))) = base else { return RELATIVE.answer(&headers) };
    let document = DOCUMENTS.get(&url).unwrap_or_else(|| {
        let document = Arc::new(Document::new("application/json", BRIEF, with_url(&url)));
        DOCUMENTS.insert(url, Arc::clone(&document));
        document
    });
    document.answer(&headers)
}

/// Returns the document with this URL of the API.
fn with_url(url: &str) -> String {
    let url = serde_json::Value::from(url);
    TEXT.replacen(RELATIVE_URL, &format!(r#""servers": [{{"url": {url}"#), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_the_api_takes_the_place_of_the_relative_one_and_cannot_break_the_document() {
        for url in ["https://api.example.com/v1", "https://\"quoted\""] {
            let document: serde_json::Value = serde_json::from_str(&with_url(url)).unwrap();
            assert_eq!(document["servers"][0]["url"], url);
        }
    }
}

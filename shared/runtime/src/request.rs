//! Reads the headers of an HTTP request.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use domain::event::claim::DedupId;
use domain::event::json::pointer::shortened;
use domain::problem::{Kind, Problem};

/// Checks that the body is JSON without a content encoding.
///
/// # Errors
/// 415 for any other content type, or for a content encoding.
pub fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    if media_type(headers) != "application/json" {
        return Err(unsupported_type(headers, "`application/json`"));
    }
    require_plain(headers)
}

/// Checks that the body has no content encoding.
///
/// # Errors
/// 415 for a content encoding.
pub fn require_plain(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get(CONTENT_ENCODING).is_some_and(|value| value != "identity") {
        let detail = "Content-Encoding is not supported; send the body without it";
        return Err(Problem::new(Kind::UnsupportedMediaType, detail));
    }
    Ok(())
}

/// Returns the media type of the body in lower case, without parameters; empty if the request names none.
#[must_use]
pub fn media_type(headers: &HeaderMap) -> String {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().to_ascii_lowercase()
}

/// Returns the header `Idempotency-Key`: the client's own name for the request
/// (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>).
///
/// # Errors
/// 422 for a key of another form.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<DedupId>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let Some(key) = value.to_str().ok().and_then(DedupId::parse) else {
        let detail = "the header Idempotency-Key must have 1 to 255 printable ASCII characters; correct it or leave it out";
        return Err(Problem::new(Kind::Invalid, detail));
    };
    Ok(Some(key))
}

/// Makes the 415 for the content type of a request. `allowed` says what to send.
#[must_use]
pub fn unsupported_type(headers: &HeaderMap, allowed: &str) -> Problem {
    let found = media_type(headers);
    let detail = if found.is_empty() {
        format!("Content-Type is missing; send {allowed}")
    } else {
        format!("Unsupported Content-Type `{}`; send {allowed}", shortened(&found))
    };
    Problem::new(Kind::UnsupportedMediaType, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_without_an_encoding_is_accepted() {
        let check = |content_type: Option<&str>, encoding: Option<&str>| {
            let mut headers = HeaderMap::new();
            content_type.map(|value| headers.insert(CONTENT_TYPE, value.parse().unwrap()));
            encoding.map(|value| headers.insert(CONTENT_ENCODING, value.parse().unwrap()));
            require_json(&headers).is_ok()
        };
        assert!(check(Some("application/json"), None));
        assert!(check(Some("Application/JSON; charset=utf-8"), Some("identity")));
        for other in [None, Some("text/plain"), Some("application/jsonx"), Some("application/xml")] {
            assert!(!check(other, None), "{other:?}");
        }
        assert!(!check(Some("application/json"), Some("gzip")));
    }
}

//! What both HTTP functions read of a request's headers.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use domain::event::claim::DedupId;
use domain::problem::{Kind, Problem};

/// Asks for a plain JSON body.
///
/// # Errors
/// 415 for another content type, or for any content encoding.
pub fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    if media_type(headers) != "application/json" {
        return Err(unsupported("send the body with Content-Type: application/json"));
    }
    require_plain(headers)
}

/// Asks for a body that is not encoded.
///
/// # Errors
/// 415 for any content encoding.
pub fn require_plain(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get(CONTENT_ENCODING).is_some_and(|value| value != "identity") {
        return Err(unsupported("send the body without a Content-Encoding"));
    }
    Ok(())
}

/// The media type of the body, in lower case and without parameters; empty where none is given.
#[must_use]
pub fn media_type(headers: &HeaderMap) -> String {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The header `Idempotency-Key`: the client's own name for the request
/// (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>).
///
/// # Errors
/// 422 where it breaks the rule of names.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<DedupId>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().and_then(DedupId::parse);
    let detail = "the header Idempotency-Key must be 1 to 255 printable ASCII characters";
    key.map(Some).ok_or_else(|| Problem::new(Kind::Invalid, detail))
}

/// The refusal of a body's type.
#[must_use]
pub fn unsupported(detail: &str) -> Problem {
    Problem::new(Kind::UnsupportedMediaType, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_json_passes() {
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

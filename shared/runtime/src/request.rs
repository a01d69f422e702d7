//! Reads the headers of an HTTP request.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use domain::delivery::webhook_request::MARKS;
use domain::event::claim_name::DedupId;
use domain::event::json::pointer::shortened;
use domain::problem::{Kind, Problem};

/// The address of the client, as API Gateway saw it. It is an extension of a request: a header that the client sends must not
/// decide it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SourceAddress(pub IpAddr);

/// Checks that the body is JSON, by its content type. A body without a content type counts as JSON.
///
/// # Errors
/// 415 for any other content type.
pub fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    if is_json(&media_type(headers)) {
        return Ok(());
    }
    Err(unsupported_type(headers, "`application/json`"))
}

/// Checks that the request is no webhook of this API, by the headers that each of them has. A webhook that comes back must
/// start nothing: its effect could be the next webhook.
///
/// # Errors
/// 403 for a webhook.
pub fn refuse_own_webhook(headers: &HeaderMap) -> Result<(), Problem> {
    if !MARKS.iter().all(|name| headers.contains_key(*name)) {
        return Ok(());
    }
    let names = MARKS.join(", ");
    let detail = format!(
        "the request is a webhook of this API: it has the headers {names}; set the URL of the endpoint to your own receiver, which sends requests without these headers"
    );
    Err(Problem::new(Kind::OwnWebhook, detail))
}

/// Checks that the request has no query parameter, for a route that knows none.
///
/// # Errors
/// 422 that names the first parameter.
pub fn require_no_query(query: &str) -> Result<(), Problem> {
    let Some(first) = query.split('&').find(|pair| !pair.is_empty()) else { return Ok(()) };
    Err(no_query_allowed(first.split('=').next().unwrap_or_default()))
}

/// Makes the 422 for a query parameter of a request that has none.
#[must_use]
pub fn no_query_allowed(name: &str) -> Problem {
    let name = shortened(name);
    let detail = format!("`{name}` is not a query parameter of this request, which has none; remove it");
    Problem::new(Kind::Invalid, detail).in_query(name)
}

/// Returns whether a media type is that of JSON: `application/json`, a type that is based on it (RFC 6839), or none.
#[must_use]
pub fn is_json(media_type: &str) -> bool {
    matches!(media_type, "" | "application/json")
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
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
    let detail = format!("Unsupported Content-Type `{}`; send {allowed}", shortened(&media_type(headers)));
    Problem::new(Kind::UnsupportedMediaType, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_marks_together_make_a_webhook_of_this_api() {
        let mut headers = HeaderMap::new();
        for name in MARKS {
            assert!(refuse_own_webhook(&headers).is_ok()); // Standard Webhooks of another sender have two of the three
            headers.insert(name, "1".parse().unwrap());
        }
        assert_eq!(refuse_own_webhook(&headers).unwrap_err().kind, Kind::OwnWebhook);
    }

    #[test]
    fn json_has_many_content_types() {
        let check = |content_type: Option<&str>| {
            let mut headers = HeaderMap::new();
            content_type.map(|value| headers.insert(CONTENT_TYPE, value.parse().unwrap()));
            require_json(&headers).is_ok()
        };
        for json in [
            None,
            Some(""),
            Some("application/json"),
            Some("Application/JSON; charset=utf-8"),
            Some("application/json;charset=\"UTF-8\""),
            Some("application/vnd.api+json"),
            Some("application/Problem+JSON; x=y"),
        ] {
            assert!(check(json), "{json:?}");
        }
        for other in ["text/plain", "application/jsonx", "application/xml", "image/svg+json", "json"] {
            assert!(!check(Some(other)), "{other}");
        }
    }
}

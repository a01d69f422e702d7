//! The HTTP requests that are sent to receivers. The version of HTTP is 1.1, and the connection sets the length of the body.

use domain::delivery::webhook_request::{USER_AGENT, WebhookRequest};
use domain::endpoint::handshake::{Question, REQUEST_ORIGIN, REQUEST_RATE};
use domain::endpoint::url::EndpointUrl;
use http::request::Builder;
use http::{Error, Method, Request};
use http_body_util::Full;
use hyper::body::Bytes;

/// Makes the POST of a webhook.
///
/// # Errors
/// If the URL or a header cannot be sent. The checks of both allow no such text.
pub(super) fn of_webhook(request: &WebhookRequest) -> Result<Request<Full<Bytes>>, Error> {
    let mut http = begin(Method::POST, &request.url);
    for (name, value) in &request.headers {
        http = http.header(name, value);
    }
    http.body(Full::new(Bytes::from(request.body.clone())))
}

/// Makes the `OPTIONS` of an ownership handshake.
///
/// # Errors
/// As [`of_webhook`].
pub(super) fn of_handshake(url: &EndpointUrl, question: &Question) -> Result<Request<Full<Bytes>>, Error> {
    begin(Method::OPTIONS, url)
        .header("user-agent", USER_AGENT)
        .header(REQUEST_ORIGIN, &question.origin)
        .header(REQUEST_RATE, question.rate_per_minute)
        .body(Full::default())
}

fn begin(method: Method, url: &EndpointUrl) -> Builder {
    Request::builder().method(method).uri(url.path_and_query()).header("host", url.authority())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::endpoint::url::UrlPolicy;

    #[test]
    fn every_character_that_a_url_can_have_can_be_sent() {
        for c in ('!'..='~').filter(|c| !matches!(c, '#' | '\\')) {
            let text = format!("https://example.com/{c}a{c}?{c}b{c}");
            let url = EndpointUrl::parse(&text, UrlPolicy::Strict).unwrap();
            let request = WebhookRequest {
                url,
                headers: vec![("webhook-id".to_owned(), "evt_1".into())],
                body: Vec::new(),
            };
            assert!(of_webhook(&request).is_ok(), "{text}");
        }
    }
}

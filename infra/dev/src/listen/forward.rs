//! Forwards a webhook to another program.

use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::{HeaderMap, Request as HttpRequest, StatusCode, Uri};

use crate::http::agent_without_redirects;
use crate::receiver::{Answer, Request};

/// How long the target may take. It is less than the 15 s that `delivery` waits for `listen`.
const TIMEOUT: Duration = Duration::from_secs(14);

/// Headers of the connection to `listen`. The connection to the target has its own.
const CONNECTION_HEADERS: [&str; 4] = ["host", "connection", "content-length", "transfer-encoding"];

/// Headers of the target's answer that `delivery` reads.
const ANSWER_HEADERS: [&str; 2] = ["content-type", "retry-after"];

/// The URL that webhooks are forwarded to.
#[derive(Clone, Debug)]
pub struct Target {
    url: String,
    agent: Agent,
}

/// What forwarding a webhook resulted in.
#[derive(Debug)]
pub(super) struct Forwarded {
    /// The URL.
    pub(super) url: String,
    /// The status that the target answered with, or why there is none.
    pub(super) result: Result<u16, String>,
    /// How long it took.
    pub(super) duration: Duration,
}

impl Target {
    /// Reads a URL. Returns `None` if it is not an `http://` URL with a host.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        uri.host().filter(|host| !host.is_empty() && uri.scheme_str() == Some("http"))?;
        Some(Self { url: url.to_owned(), agent: agent_without_redirects(TIMEOUT) })
    }

    /// Sends the headers and the body of a webhook to the target. Returns the target's answer, or 502 if there is none.
    pub(super) fn forward(&self, request: &Request) -> (Forwarded, Answer) {
        let started_at = Instant::now();
        let answer = self.send(request).map_err(|error| match error {
            ureq::Error::Timeout(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
            other => other.to_string(),
        });
        let result = answer.as_ref().map(|answer| answer.status.as_u16()).map_err(Clone::clone);
        let answer = answer.unwrap_or_else(|reason| Answer::new(StatusCode::BAD_GATEWAY, &reason));
        (Forwarded { url: self.url.clone(), result, duration: started_at.elapsed() }, answer)
    }

    fn send(&self, request: &Request) -> Result<Answer, ureq::Error> {
        let mut forwarded = HttpRequest::post(&self.url).body(request.body.as_slice())?;
        *forwarded.headers_mut() = request.headers.clone();
        for name in CONNECTION_HEADERS {
            forwarded.headers_mut().remove(name);
        }
        let mut answer = self.agent.run(forwarded)?;
        let body = answer.body_mut().read_to_vec()?;
        let mut headers = HeaderMap::new();
        for name in ANSWER_HEADERS {
            headers.extend(answer.headers().get(name).map(|value| (name.parse().ok(), value.clone())));
        }
        Ok(Answer { status: answer.status(), headers, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_http_url() {
        for url in ["http://localhost:3000/hook", "http://127.0.0.1", "http://[::1]:80/a?b"] {
            assert!(Target::parse(url).is_some(), "{url}");
        }
        for url in ["", "localhost:3000", "/hook", "https://example.com", "ftp://a", "http://", "http://a b"]
        {
            assert!(Target::parse(url).is_none(), "{url}");
        }
    }
}

//! An HTTP client for this machine. It returns every status as a normal response.

use std::time::Duration;

use ureq::Agent;
use ureq::http::Request;

use crate::error::Error;

/// Returns an agent that follows no redirect. Each request takes at most `timeout`.
pub(crate) fn agent_without_redirects(timeout: Duration) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(timeout))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None);
    config.build().into()
}

/// Sends requests, each within one timeout.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
}

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    /// The body as text.
    pub(crate) text: String,
}

impl Client {
    /// Creates a client. Each request takes at most `timeout`.
    pub(crate) fn new(timeout: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(timeout))
            .proxy(None)
            .build();
        Self { agent: config.into() }
    }

    /// Sends one request.
    pub(crate) fn call(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Result<Response, Error> {
        let failed = |reason: String| Error::Http { call: format!("{method} {url}"), reason };
        let mut builder = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let request = builder.body(body.into()).map_err(|error| failed(error.to_string()))?;
        let mut response = self.agent.run(request).map_err(|error| failed(error.to_string()))?;
        let text = response.body_mut().read_to_string().map_err(|error| failed(error.to_string()))?;
        Ok(Response { status: response.status().as_u16(), text })
    }
}

impl Response {
    /// Returns the response if its status is 2xx, else an error with its status and the `detail` of its problem. Without
    /// a problem, the error has the body.
    pub(crate) fn expect_success(self, call: &str) -> Result<Self, Error> {
        if self.is_success() {
            return Ok(self);
        }
        let problem = self.json();
        let text = problem["detail"].as_str().unwrap_or(&self.text);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let reason = format!("{} {text}", self.status);
        Err(Error::Http { call: call.to_owned(), reason })
    }

    /// Whether the status is 2xx.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the body as JSON. Returns `null` if the body is not JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

//! Plain HTTP calls on this machine, every status a normal answer.

use std::time::Duration;

use ureq::Agent;
use ureq::http::Request;

use crate::error::Error;

/// Makes calls, each within one deadline.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The body as text.
    pub(crate) text: String,
}

impl Client {
    /// A client whose calls take at most `deadline`.
    pub(crate) fn new(deadline: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(deadline))
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
    ) -> Result<Answer, Error> {
        let failed = |reason: String| Error::Http { call: format!("{method} {url}"), reason };
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).map_err(|error| failed(error.to_string()))?;
        let mut response = self.agent.run(request).map_err(|error| failed(error.to_string()))?;
        let text = response.body_mut().read_to_string().map_err(|error| failed(error.to_string()))?;
        Ok(Answer { status: response.status().as_u16(), text })
    }
}

impl Answer {
    /// The answer itself if its status is a 2xx, otherwise an error that quotes it.
    pub(crate) fn expect_success(self, call: &str) -> Result<Self, Error> {
        if self.is_success() {
            return Ok(self);
        }
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let reason = format!("{} {text}", self.status);
        Err(Error::Http { call: call.to_owned(), reason })
    }

    /// Whether the status is a 2xx.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON; `null` if it is none.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

//! The API of Triggers as its users call it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::error::Error;
use crate::http::{Answer, Client};

/// A caller with the key of one organisation.
#[derive(Debug)]
pub(crate) struct Caller {
    url: String,
    /// The API key.
    pub(crate) key: String,
    client: Client,
}

impl Caller {
    /// Signs up a new organisation at the stack whose base URL is `url`.
    pub(crate) fn sign_up(url: &str, organization: &str) -> Result<Self, Error> {
        let client = Client::new(Duration::from_secs(10));
        let mut caller = Self { url: url.to_owned(), key: String::new(), client };
        let body = json!({"organization_name": organization, "tier": "pro"});
        let answer = caller.post("/api/keys/generate", body.to_string())?;
        answer["api_key"].as_str().unwrap_or_default().clone_into(&mut caller.key);
        Ok(caller)
    }

    /// Posts JSON; the answer of a success as JSON.
    pub(crate) fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Result<Value, Error> {
        Ok(self.call("POST", path, body.into())?.json())
    }

    /// Gets JSON.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Error> {
        Ok(self.call("GET", path, Vec::new())?.json())
    }

    fn call(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Answer, Error> {
        let url = format!("{}{path}", self.url);
        let headers = [("content-type", "application/json"), ("x-api-key", self.key.as_str())];
        self.client.call(method, &url, &headers, body)?.expect_success(&format!("{method} {url}"))
    }
}

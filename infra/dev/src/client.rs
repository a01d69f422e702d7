//! A client of the Triggers API.

use std::time::Duration;

use serde_json::{Value, json};

use crate::error::Error;
use crate::http::{Client, Response};

/// A client with the API key of one tenant.
#[derive(Debug)]
pub(crate) struct ApiClient {
    url: String,
    /// The API key.
    pub(crate) key: String,
    client: Client,
}

/// How long an answer may take: API Gateway waits 29 s for a function.
const TIMEOUT: Duration = Duration::from_secs(30);

impl ApiClient {
    /// Returns a client with an API key.
    pub(crate) fn with_key(url: &str, key: &str) -> Self {
        Self { url: url.to_owned(), key: key.to_owned(), client: Client::new(TIMEOUT) }
    }

    /// Creates a tenant at the stack with the base URL `url`, and returns a client with its API key.
    ///
    /// Its tier is the largest, so that no measurement meets a rate limit.
    pub(crate) fn sign_up(url: &str, organization: &str) -> Result<Self, Error> {
        let mut api = Self::with_key(url, "");
        let body = json!({"organization_name": organization, "tier": "enterprise"});
        let response = api.post("/api/keys/generate", body.to_string())?;
        response["api_key"].as_str().unwrap_or_default().clone_into(&mut api.key);
        Ok(api)
    }

    /// Whether the API key is valid.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.get("/api/keys").is_ok()
    }

    /// Posts JSON and returns the JSON of a 2xx response.
    pub(crate) fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Result<Value, Error> {
        Ok(self.call("POST", path, body.into())?.json())
    }

    /// Gets the JSON of a 2xx response.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Error> {
        Ok(self.call("GET", path, Vec::new())?.json())
    }

    /// Deletes what the path names.
    pub(crate) fn delete(&self, path: &str) -> Result<(), Error> {
        self.call("DELETE", path, Vec::new()).map(drop)
    }

    fn call(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Response, Error> {
        let url = format!("{}{path}", self.url);
        let headers = [("content-type", "application/json"), ("x-api-key", self.key.as_str())];
        self.client.call(method, &url, &headers, body)?.expect_success(&format!("{method} {url}"))
    }
}

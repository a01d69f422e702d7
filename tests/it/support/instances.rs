//! Instances of ingest within this process, asked without a server: many of them at once, as Lambda has them.

use http::{HeaderMap, HeaderValue};
use ingest::handler::Ingest;
use runtime::answer::Answer;
use store::ports::Ports;

use super::client::Tenant;

/// The headers of a post of JSON by this tenant.
pub(crate) fn headers(tenant: &Tenant) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("x-api-key", HeaderValue::from_str(&tenant.key).expect("a key is a header"));
    headers
}

/// Posts one event to an instance.
pub(crate) async fn post<P: Ports>(instance: &Ingest<P>, headers: &HeaderMap, body: &str) -> Answer {
    instance.handle("/api/events", headers, body.as_bytes(), "request").await
}

//! Calls AWS services in the emulator over plain HTTP, to deploy the template.
//!
//! The emulator reads the service and the caller from the header `Authorization`. The access key
//! `test` has all permissions, and the emulator does not check its signatures.

use std::time::Duration;

use serde_json::{Value, json};

use crate::error::Error;
use crate::http::{Client, Response};

/// The longest time of a call. An invocation lasts as long as the function, at most its timeout of a minute; the emulator of
/// a busy machine needs more.
const CALL_TIMEOUT: Duration = Duration::from_mins(2);

/// The AWS region of the local stack.
pub(crate) const REGION: &str = "us-east-1";

/// A client of the emulator.
#[derive(Debug)]
pub(crate) struct Aws {
    endpoint: String,
    client: Client,
}

impl Aws {
    /// Creates a client of the emulator at `endpoint`, for example `http://127.0.0.1:4566`.
    pub(crate) fn at(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), client: Client::new(CALL_TIMEOUT) }
    }

    /// Creates an S3 bucket (without `key`), or puts an object into it. Returns its URL.
    pub(crate) fn put(&self, bucket: &str, key: Option<&str>, body: &[u8]) -> Result<String, Error> {
        let path = key.map_or_else(|| format!("/{bucket}"), |key| format!("/{bucket}/{key}"));
        let response = self.call("s3", "PUT", &path, "application/octet-stream", body)?;
        response.expect_success(&format!("PUT {path}"))?;
        Ok(format!("{}{path}", self.endpoint))
    }

    /// Calls an action of `CloudFormation` or IAM (AWS Query protocol). Returns XML.
    pub(crate) fn query(&self, service: &str, parameters: &[(&str, &str)]) -> Result<String, Error> {
        let encode_pair = |(name, value): &(&str, &str)| format!("{name}={}", percent_encode(value));
        let form: Vec<String> = parameters.iter().map(encode_pair).collect();
        let content_type = "application/x-www-form-urlencoded";
        let response = self.call(service, "POST", "/", content_type, form.join("&").as_bytes())?;
        if response.is_success() {
            return Ok(response.text);
        }
        Err(Error::Deploy(find_xml_texts(&response.text, "Message").pop().unwrap_or(response.text)))
    }

    /// Calls the REST API of Lambda. Returns JSON.
    pub(crate) fn lambda(&self, method: &str, path: &str, body: &Value) -> Result<Value, Error> {
        let body_text = if body.is_null() { String::new() } else { body.to_string() };
        let full_path = format!("/2015-03-31/{path}");
        let response = self.call("lambda", method, &full_path, "application/json", body_text.as_bytes())?;
        Ok(response.expect_success(&format!("{method} {full_path}"))?.json())
    }

    /// Returns the text of a secret of Secrets Manager.
    pub(crate) fn secret(&self, arn: &str) -> Result<String, Error> {
        let content_type = "application/x-amz-json-1.1";
        let headers = [("x-amz-target", "secretsmanager.GetSecretValue"), ("content-type", content_type)];
        let body = json!({"SecretId": arn}).to_string();
        let response = self.send("secretsmanager", "POST", "/", &headers, body.as_bytes())?;
        let secret = response.expect_success("GetSecretValue")?.json();
        Ok(secret["SecretString"].as_str().unwrap_or_default().to_owned())
    }

    fn call(
        &self,
        service: &str,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Response, Error> {
        self.send(service, method, path, &[("content-type", content_type)], body)
    }

    fn send(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response, Error> {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=test/20250101/{REGION}/{service}/aws4_request, \
             SignedHeaders=host, Signature=0"
        );
        let headers = [headers, &[("authorization", authorization.as_str())]].concat();
        self.client.call(method, &format!("{}{path}", self.endpoint), &headers, body)
    }
}

fn percent_encode(text: &str) -> String {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if is_unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Decodes percent-encoded text. An invalid escape stays as it is.
pub(crate) fn percent_decode(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes: Vec<u8> = parts.next().unwrap_or_default().into();
    for part in parts {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(&part.as_bytes()[2..]);
            }
            None => bytes.extend([b"%", part.as_bytes()].concat()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the texts of all elements called `name`, in order. This is enough for the flat lists in
/// AWS responses.
pub(crate) fn find_xml_texts(xml: &str, name: &str) -> Vec<String> {
    let open = format!("<{name}>");
    let close = format!("</{name}>");
    xml.split(&open).skip(1).filter_map(|rest| rest.split(&close).next()).map(unescape).collect()
}

fn unescape(text: &str) -> String {
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#x27;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_texts_are_returned_in_order_and_unescaped() {
        let xml =
            "<r><member><Id>A</Id><Why>a &lt; b &amp;amp; c</Why></member><member><Id>B</Id></member></r>";
        assert_eq!(find_xml_texts(xml, "Id"), ["A", "B"]);
        assert_eq!(find_xml_texts(xml, "Why"), ["a < b &amp; c"]);
    }

    #[test]
    fn percent_encoding_keeps_every_byte() {
        assert_eq!(percent_encode("a b&ü"), "a%20b%26%C3%BC");
        assert_eq!(percent_decode("a%20b%26%C3%BC"), "a b&ü");
        assert_eq!(percent_decode("100%, %zz%2"), "100%, %zz%2");
    }
}

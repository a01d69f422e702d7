//! The few AWS calls a deployment takes, spoken to the emulator as plain HTTP.
//!
//! The emulator reads from the `Authorization` header which service is meant, and who calls. `test` may do everything, and of it no
//! signature is checked.

use std::time::Duration;

use serde_json::Value;

use crate::error::Error;
use crate::http::{Answer, Client};

/// The region everything lives in.
pub(crate) const REGION: &str = "us-east-1";

/// An emulator that can be called.
#[derive(Debug)]
pub(crate) struct Aws {
    endpoint: String,
    client: Client,
}

impl Aws {
    /// Calls the emulator at `endpoint`, for example `http://127.0.0.1:4566`.
    pub(crate) fn at(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), client: Client::new(Duration::from_secs(30)) }
    }

    /// S3: creates a bucket (no `key`) or puts an object into it.
    pub(crate) fn put(&self, bucket: &str, key: Option<&str>, body: &[u8]) -> Result<String, Error> {
        let path = key.map_or_else(|| format!("/{bucket}"), |key| format!("/{bucket}/{key}"));
        let answer = self.call("s3", "PUT", &path, "application/octet-stream", body)?;
        answer.expect_success(&format!("PUT {path}"))?;
        Ok(format!("{}{path}", self.endpoint))
    }

    /// `CloudFormation` or IAM: one action of the query protocol; answers XML.
    pub(crate) fn query(&self, service: &str, parameters: &[(&str, &str)]) -> Result<String, Error> {
        let pair = |(name, value): &(&str, &str)| format!("{name}={}", percent_encoded(value));
        let form: Vec<String> = parameters.iter().map(pair).collect();
        let kind = "application/x-www-form-urlencoded";
        let answer = self.call(service, "POST", "/", kind, form.join("&").as_bytes())?;
        if answer.is_success() {
            return Ok(answer.text);
        }
        Err(Error::Deploy(xml_texts(&answer.text, "Message").pop().unwrap_or(answer.text)))
    }

    /// Lambda: one call of its REST API; answers JSON.
    pub(crate) fn lambda(&self, method: &str, path: &str, body: &Value) -> Result<Value, Error> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = format!("/2015-03-31/{path}");
        let answer = self.call("lambda", method, &path, "application/json", body.as_bytes())?;
        Ok(answer.expect_success(&format!("{method} {path}"))?.json())
    }

    fn call(
        &self,
        service: &str,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Result<Answer, Error> {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=test/20250101/{REGION}/{service}/aws4_request, \
             SignedHeaders=host, Signature=0"
        );
        let headers = [("authorization", authorization.as_str()), ("content-type", kind)];
        self.client.call(method, &format!("{}{path}", self.endpoint), &headers, body)
    }
}

fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// What was percent-encoded; an escape that is none stays as it is.
pub(crate) fn percent_decoded(text: &str) -> String {
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

/// The texts of all elements called `name`, in order; enough for the flat lists of AWS answers.
pub(crate) fn xml_texts(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).filter_map(|rest| rest.split(&close).next()).map(unescaped).collect()
}

fn unescaped(text: &str) -> String {
    let marks =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#x27;", "'"), ("&amp;", "&")];
    marks.iter().fold(text.to_owned(), |text, (mark, plain)| text.replace(mark, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_elements_come_in_order_and_unescaped() {
        let xml =
            "<r><member><Id>A</Id><Why>a &lt; b &amp;amp; c</Why></member><member><Id>B</Id></member></r>";
        assert_eq!(xml_texts(xml, "Id"), ["A", "B"]);
        assert_eq!(xml_texts(xml, "Why"), ["a < b &amp; c"]);
    }

    #[test]
    fn a_form_value_keeps_every_byte() {
        assert_eq!(percent_encoded("a b&ü"), "a%20b%26%C3%BC");
        assert_eq!(percent_decoded("a%20b%26%C3%BC"), "a b&ü");
        assert_eq!(percent_decoded("100%, %zz%2"), "100%, %zz%2");
    }
}

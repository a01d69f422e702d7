//! The owner's own headers on an endpoint's requests. They are checked when the owner sets them.

use std::fmt;

use thiserror::Error;

/// The largest number of headers of an endpoint.
const MAX_HEADERS: usize = 20;

/// The largest size of all names and values together, in bytes.
const MAX_BYTES: usize = 4096;

/// Names that belong to the connection, to HTTP, or to proxies, and names that make a receiver read another method, path or
/// client.
const RESERVED: [&str; 29] = [
    "accept-encoding",
    "alt-used",
    "cdn-loop",
    "connection",
    "date",
    "early-data",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "user-agent",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// Prefixes of the names that this API sets, and of further names of those kinds: of the body (`content-length`), of
/// conditional requests, of browsers and of proxies.
const RESERVED_PREFIXES: [&str; 9] =
    ["webhook-", "x-event-", "access-control-", "cf-", "content-", "if-", "proxy-", "sec-", "x-forwarded-"];

/// Headers by lower-case name, in the owner's order.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Headers(Vec<(String, String)>);

/// The reason why a header is refused.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidHeader {
    /// The name is not a token (RFC 9110 section 5.6.2), or too long.
    #[error(
        "the name of a header must have 1 to 64 characters: A-Z, a-z, 0-9 and ! # $ % & ' * + - . ^ _ ` | ~; correct the name"
    )]
    Name,
    /// The name is reserved.
    #[error(
        "this header is reserved for the protocol, for proxies or for browsers and cannot be set; use another name"
    )]
    Reserved,
    /// The value has characters that can end a header line, or that servers read differently.
    #[error(
        "the value of a header must have printable ASCII characters only, and no space at its ends; correct the value"
    )]
    Value,
    /// The same name is set twice.
    #[error("this header is given twice; header names ignore upper and lower case; give it once")]
    Twice,
    /// There are too many headers, or too many bytes.
    #[error(
        "too many headers (maximum is {MAX_HEADERS}, and {MAX_BYTES} bytes for all names and values); remove some"
    )]
    TooMany,
}

impl Headers {
    /// Checks headers.
    ///
    /// # Errors
    /// The name of the first header that breaks a rule, and the rule.
    pub fn parse(
        headers: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, (String, InvalidHeader)> {
        let mut kept: Vec<(String, String)> = Vec::new();
        let mut bytes = 0;
        for (name, value) in headers {
            bytes += name.len() + value.len();
            check(&kept, &name, &value, bytes).map_err(|invalid| (name.clone(), invalid))?;
            kept.push((name.to_ascii_lowercase(), value));
        }
        Ok(Self(kept))
    }

    /// Takes headers that our own code wrote, without a check: an earlier version allowed more names.
    pub(crate) fn from_stored(headers: Vec<(String, String)>) -> Self {
        Self(headers)
    }

    /// Returns the name and the value of each header.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn check(kept: &[(String, String)], name: &str, value: &str, bytes: usize) -> Result<(), InvalidHeader> {
    let lower = name.to_ascii_lowercase();
    let is_token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    if !(1..=64).contains(&name.len()) || !name.bytes().all(is_token) {
        return Err(InvalidHeader::Name);
    }
    if RESERVED.contains(&lower.as_str()) || RESERVED_PREFIXES.iter().any(|start| lower.starts_with(start)) {
        return Err(InvalidHeader::Reserved);
    }
    if !value.bytes().all(|c| matches!(c, b' '..=b'~')) || value.trim() != value {
        return Err(InvalidHeader::Value);
    }
    if kept.iter().any(|(other, _)| *other == lower) {
        return Err(InvalidHeader::Twice);
    }
    if kept.len() >= MAX_HEADERS || bytes > MAX_BYTES {
        return Err(InvalidHeader::TooMany);
    }
    Ok(())
}

impl fmt::Debug for Headers {
    /// Leaves out the values, because they are often credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(headers: &[(&str, &str)]) -> Result<Headers, InvalidHeader> {
        let owned = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Headers::parse(owned).map_err(|(_, invalid)| invalid)
    }

    #[test]
    fn ordinary_headers_pass_and_keep_their_order() {
        let headers = parse(&[("X-Token", "a b"), ("Authorization", "Bearer x"), ("cookie", "")]).unwrap();
        let all: Vec<_> = headers.iter().collect();
        assert_eq!(all, [("x-token", "a b"), ("authorization", "Bearer x"), ("cookie", "")]);
        assert!(!format!("{headers:?}").contains("Bearer"));
    }

    #[test]
    fn each_rule_refuses_its_cases() {
        for name in ["", "a b", "a:", "a\r\nb", "é", &"a".repeat(65)] {
            assert_eq!(parse(&[(name, "x")]), Err(InvalidHeader::Name), "{name}");
        }
        for name in [
            "Host",
            "content-length",
            "Transfer-Encoding",
            "webhook-signature",
            "X-Event-Type",
            "Range",
            "If-Range",
            "Sec-Fetch-Site",
            "Proxy-Authorization",
            "X-Forwarded-For",
            "Forwarded",
            "HTTP2-Settings",
            "Upgrade",
            "X-HTTP-Method-Override",
            "X-Original-URL",
        ] {
            assert_eq!(parse(&[(name, "x")]), Err(InvalidHeader::Reserved), "{name}");
        }
        for value in ["a\r\nb: c", "a\0", "\t", " a", "a ", "é"] {
            assert_eq!(parse(&[("a", value)]), Err(InvalidHeader::Value), "{value:?}");
        }
        assert_eq!(parse(&[("a", "1"), ("A", "2")]), Err(InvalidHeader::Twice));
        let names: Vec<String> = (0..21).map(|n| format!("h{n}")).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
        assert_eq!(parse(&many), Err(InvalidHeader::TooMany));
        assert!(parse(&many[..20]).is_ok());
        assert_eq!(parse(&[("a", &"x".repeat(4096))]), Err(InvalidHeader::TooMany));
        assert!(parse(&[("a", &"x".repeat(4095))]).is_ok());
    }
}

//! Which URLs may be endpoints: the form of a URL, checked when it is configured and again at send time. Where its name
//! leads is checked at every connection ([`crate::address`]).

use thiserror::Error;
use url::{Host, Url};

/// Which URLs may be endpoints. Decided by the stack's parameter `LoopbackEndpoints`, never through the API.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UrlPolicy {
    /// Public `https` only.
    Strict,
    /// Also `http://127.0.0.1:PORT` and `http://localhost:PORT`, in these two spellings: for the local stack.
    LoopbackAllowed,
}

/// Where an endpoint's requests go: a URL that passed every rule of [`UrlPolicy`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointUrl(Url);

/// Why a URL cannot be an endpoint.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum RefusedUrl {
    /// No absolute URL.
    #[error("it is not an absolute URL")]
    Unreadable,
    /// More than 2,048 characters.
    #[error("it is longer than 2048 characters")]
    TooLong,
    /// Characters that parsers drop or replace, each in its own way.
    #[error("it must not contain white space, control characters or backslashes")]
    Characters,
    /// Another scheme.
    #[error("it must begin with https://")]
    Scheme,
    /// Credentials or a fragment.
    #[error("it must not carry a user, a password or a fragment")]
    Extras,
    /// Another port.
    #[error("its port must be 443 or 8443")]
    Port,
    /// An IP address, in whatever spelling.
    #[error("its host must be a name, not an IP address")]
    IpLiteral,
    /// No name of DNS.
    #[error("its host must be a domain name of at least two labels")]
    Name,
    /// A name that is not public.
    #[error("its host must be a public domain name")]
    InternalName,
}

/// The last labels of names that never lead to the public internet: RFC 6761, RFC 6762, RFC 8375 (`arpa`), RFC 7686, RFC 9476,
/// ICANN's `internal` and the names it withholds since private networks use them, and others that these commonly use.
const INTERNAL_SUFFIXES: [&str; 21] = [
    "alt",
    "arpa",
    "consul",
    "corp",
    "domain",
    "example",
    "home",
    "internal",
    "intra",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "mail",
    "onion",
    "private",
    "router",
    "test",
    "workgroup",
];

/// The longest label and the longest name of DNS (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;
const MAX_NAME: usize = 253;

impl EndpointUrl {
    /// Checks a URL's form. Where its name leads is checked again at every connection ([`crate::address`]).
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn parse(text: &str, policy: UrlPolicy) -> Result<Self, RefusedUrl> {
        if text.len() > 2048 {
            return Err(RefusedUrl::TooLong);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(RefusedUrl::Characters);
        }
        let url = Url::parse(text).map_err(|_| RefusedUrl::Unreadable)?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(RefusedUrl::Extras);
        }
        if policy == UrlPolicy::LoopbackAllowed && names_loopback(text, &url) {
            return Ok(Self(url));
        }
        if url.scheme() != "https" {
            return Err(RefusedUrl::Scheme);
        }
        let Some(Host::Domain(name)) = url.host() else {
            return Err(RefusedUrl::IpLiteral);
        };
        if !matches!(url.port_or_known_default(), Some(443 | 8443)) {
            return Err(RefusedUrl::Port);
        }
        check_name(name)?;
        Ok(Self(url))
    }

    /// The URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it passed by [`UrlPolicy::LoopbackAllowed`] only.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// The name or loopback address to connect to.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }

    /// The `Host` header: name, and the port where it is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.0.port() {
            Some(port) => format!("{}:{port}", self.host()),
            None => self.host().to_owned(),
        }
    }

    /// Path and query, the target of the request.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.0[url::Position::BeforePath..url::Position::AfterQuery]
    }
}

/// Checks the name of a host, which may end in the dot of the root.
fn check_name(name: &str) -> Result<(), RefusedUrl> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let labels: Vec<&str> = name.split('.').collect();
    let last = labels.last().copied().unwrap_or_default();
    let is_label = |label: &&str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
    };
    let ends_like_an_address = last.bytes().all(|c| c.is_ascii_digit()) || last.starts_with("0x");
    if labels.len() < 2 || name.len() > MAX_NAME || !labels.iter().all(is_label) || ends_like_an_address {
        return Err(RefusedUrl::Name);
    }
    if INTERNAL_SUFFIXES.contains(&last) {
        return Err(RefusedUrl::InternalName);
    }
    Ok(())
}

/// The two spellings are compared as text, since a parser folds `0x7f.1` and many others into 127.0.0.1.
fn names_loopback(text: &str, url: &Url) -> bool {
    ["http://127.0.0.1", "http://localhost"].iter().any(|start| {
        text.strip_prefix(start).is_some_and(|rest| rest.starts_with(':')) && url.port().is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_https_urls_pass() {
        for url in ["https://example.com", "https://a.example.com:8443/x?y=1", "https://xn--bcher-kva.de/"] {
            assert!(EndpointUrl::parse(url, UrlPolicy::Strict).is_ok(), "{url}");
        }
    }

    #[test]
    fn each_rule_refuses_what_it_is_for() {
        let check = |url: &str, refused| {
            assert_eq!(EndpointUrl::parse(url, UrlPolicy::Strict), Err(refused), "{url}");
        };
        check("example.com/hook", RefusedUrl::Unreadable);
        check(&format!("https://example.com/{}", "x".repeat(2048)), RefusedUrl::TooLong);
        check("http://example.com", RefusedUrl::Scheme);
        check("ftp://example.com", RefusedUrl::Scheme);
        check("http://127.0.0.1:8000/", RefusedUrl::Scheme);
        check("https://user@example.com", RefusedUrl::Extras);
        check("https://:pw@example.com", RefusedUrl::Extras);
        check("https://example.com/#part", RefusedUrl::Extras);
        check("https://example.com:22/", RefusedUrl::Port);
        for literal in ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "1"]
        {
            check(&format!("https://{literal}/"), RefusedUrl::IpLiteral);
        }
        for name in ["a.local", "metadata.google.internal", "x.localhost.", "1.0.10.in-addr.arpa"] {
            check(&format!("https://{name}/"), RefusedUrl::InternalName);
        }
        let long = format!("{}.com", "a".repeat(64));
        for name in ["localhost", "printer", "a..com", ".com", "a.com..", "com.", &long] {
            check(&format!("https://{name}/"), RefusedUrl::Name);
        }
        for text in [
            "https://a.com /",
            "https://a.com/\\n",
            "https://a.com\\@b.com/",
            " https://a.com",
            "ht\\ttps://a.com",
        ] {
            check(&text.replace("\\n", "\n").replace("\\t", "\t"), RefusedUrl::Characters);
        }
    }

    #[test]
    fn the_local_stack_allows_two_spellings_of_loopback_and_no_other() {
        for url in ["http://127.0.0.1:9000/hook", "http://localhost:9000/"] {
            let parsed = EndpointUrl::parse(url, UrlPolicy::LoopbackAllowed).unwrap();
            assert!(parsed.is_loopback());
            assert_eq!(parsed.port(), 9000);
        }
        for url in [
            "http://127.0.0.1/",
            "http://127.1:9000/",
            "http://0x7f.1:9000/",
            "http://[::1]:9000/",
            "http://127.0.0.1.evil.com:9000/",
            "http://localhost.evil.com:9000/",
            "http://127.0.0.1:9000@evil.com/",
            "http://LOCALHOST:9000/",
            "http://127.0.0.2:9000/",
            "http://10.0.0.1:9000/",
            "http://127.0.0.1:80/",
        ] {
            assert!(EndpointUrl::parse(url, UrlPolicy::LoopbackAllowed).is_err(), "{url}");
        }
    }

    #[test]
    fn the_request_target_and_host_keep_what_was_configured() {
        let url = EndpointUrl::parse("https://example.com:8443/a/b?c=d%20e", UrlPolicy::Strict).unwrap();
        assert_eq!((url.path_and_query(), url.authority()), ("/a/b?c=d%20e", "example.com:8443".to_owned()));
        let url = EndpointUrl::parse("https://example.com", UrlPolicy::Strict).unwrap();
        assert_eq!((url.path_and_query(), url.authority()), ("/", "example.com".to_owned()));
    }
}

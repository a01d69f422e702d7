//! The URLs that an endpoint may have. The form is checked when the owner sets the URL, and again at every attempt.
//! [`crate::endpoint::address::name`] checks the host name, and [`crate::endpoint::address`] the address of every
//! connection.
//!
//! A URL is checked as text and as parsed. Parsers drop tabs, decode hosts and fold full-width digits, so a URL is
//! accepted only if its text has the host that is looked up.

use thiserror::Error;
use url::{Host, Url};

use crate::endpoint::address::name;
use crate::endpoint::address::name::RefusedName;

/// The URLs that the stack allows. The stack parameter `LoopbackEndpoints` sets the policy; the API cannot change it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UrlPolicy {
    /// Only public `https` URLs.
    Strict,
    /// Also `http://127.0.0.1:PORT` and `http://localhost:PORT`, in exactly these two forms. It is for the local
    /// stack.
    LoopbackAllowed,
}

/// The URL of an endpoint, after every check of [`UrlPolicy`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointUrl {
    /// The URL as its owner wrote it.
    text: String,
    url: Url,
    is_loopback: bool,
}

/// The reason why a URL is refused.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum RefusedUrl {
    /// The URL has more than 2,048 bytes.
    #[error("it is longer than {MAX_BYTES} bytes; shorten it")]
    TooLong,
    /// The URL has characters that some parsers drop.
    #[error("it must not contain spaces, control characters or backslashes; percent-encode them")]
    Characters,
    /// The text is not an absolute URL.
    #[error("it is not an absolute URL; send one such as https://example.com/hook")]
    Unreadable,
    /// The URL has a user, a password or a fragment.
    #[error("it must not have a user, a password or a fragment (#...); remove them")]
    Extras,
    /// The URL is `https` on this machine, where the local stack also allows `http`.
    #[error(
        "no certificate for https on this machine is accepted; use http://127.0.0.1:PORT, which the local stack allows"
    )]
    LoopbackTls,
    /// The scheme is not `https`.
    #[error("it must begin with https://; use the https address of the receiver")]
    Scheme,
    /// The host is an IP address, in any form.
    #[error("its host must be a domain name, not an IP address; use the name of the receiver")]
    IpLiteral,
    /// The host is missing, or is not written as it is looked up.
    #[error(
        "its host must be a domain name of letters, digits and hyphens, without percent-encoding, without a dot at its end, and without full-width or circled characters; correct it"
    )]
    Host,
    /// The host is not a public domain name.
    #[error("its host must be a public domain name, not one of an internal network; use a public name")]
    InternalName,
    /// The port is not 443 or 8443.
    #[error("its port must be 443 or 8443; use one of them")]
    Port,
}

/// The largest size of a URL, in bytes.
const MAX_BYTES: usize = 2048;

/// A URL as text and as parsed.
struct Candidate<'a> {
    text: &'a str,
    url: Option<&'a Url>,
}

/// A rule: the error if a URL breaks it, and the check that returns true for a broken rule.
type Rule = (RefusedUrl, fn(&Candidate) -> bool);

/// The rules for every URL.
const OF_ALL: [Rule; 5] = [
    (RefusedUrl::TooLong, |it| it.text.len() > MAX_BYTES),
    (RefusedUrl::Characters, |it| it.text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\')),
    (RefusedUrl::Unreadable, |it| it.url.is_none()),
    (RefusedUrl::Extras, |it| it.authority().contains('@')),
    (RefusedUrl::Extras, |it| it.text.contains('#')),
];

/// The rules for public URLs, which are checked after those.
const OF_PUBLIC: [Rule; 8] = [
    (RefusedUrl::Scheme, |it| it.url.is_none_or(|url| url.scheme() != "https")),
    (RefusedUrl::Unreadable, |it| it.authority().is_empty()), // `https:/host` and `https:///host`
    (RefusedUrl::IpLiteral, |it| it.name().is_none()),
    (RefusedUrl::IpLiteral, |it| it.refused_name() == Some(RefusedName::Number)),
    (RefusedUrl::Host, |it| it.refused_name() == Some(RefusedName::Form)),
    (RefusedUrl::Host, |it| !it.is_plainly_spelt()),
    (RefusedUrl::InternalName, |it| it.refused_name() == Some(RefusedName::Internal)),
    (RefusedUrl::Port, |it| !matches!(it.written_port(), None | Some("443" | "8443"))),
];

impl Candidate<'_> {
    /// Returns the error of the first rule that the URL breaks.
    fn check(&self, rules: &[Rule]) -> Result<(), RefusedUrl> {
        match rules.iter().find(|(_, breaks)| breaks(self)) {
            Some((refused, _)) => Err(*refused),
            None => Ok(()),
        }
    }

    /// Returns the host and the port as written: the text between the scheme and the path.
    fn authority(&self) -> &str {
        let rest = self.text.split_once("://").map_or("", |(_, rest)| rest);
        rest.split(['/', '?', '#']).next().unwrap_or_default()
    }

    fn written_host(&self) -> &str {
        self.authority().split(':').next().unwrap_or_default()
    }

    fn written_port(&self) -> Option<&str> {
        self.authority().split_once(':').map(|(_, port)| port)
    }

    /// Returns the parsed host name; `None` for an IP address.
    fn name(&self) -> Option<&str> {
        match self.url?.host()? {
            Host::Domain(name) => Some(name),
            Host::Ipv4(_) | Host::Ipv6(_) => None,
        }
    }

    fn refused_name(&self) -> Option<RefusedName> {
        name::check(self.name()?).err()
    }

    /// Returns whether the host is written as it is looked up. Each label must be the same as parsed; only a label
    /// that is not ASCII may become an `xn--` label. Full-width digits, circled letters and `%61` are refused.
    fn is_plainly_spelt(&self) -> bool {
        let written: Vec<&str> = self.written_host().split('.').collect();
        let parsed: Vec<&str> = self.name().unwrap_or_default().split('.').collect();
        let is_same = |(written, parsed): (&&str, &&str)| {
            written.eq_ignore_ascii_case(parsed) || (!written.is_ascii() && parsed.starts_with("xn--"))
        };
        written.len() == parsed.len() && written.iter().zip(&parsed).all(is_same)
    }

    /// Returns whether the URL is one of the two loopback forms. It compares the text, because a parser turns
    /// `0x7f.1` and other forms into 127.0.0.1.
    fn names_loopback(&self) -> bool {
        let has_port = self.url.is_some_and(|url| url.port().is_some());
        let authority = self.text.strip_prefix("http://").map_or("", |_| self.authority());
        has_port && ["127.0.0.1:", "localhost:"].iter().any(|start| authority.starts_with(start))
    }

    /// Returns whether the URL is `https` on this machine.
    fn is_loopback_over_tls(&self) -> bool {
        self.url.is_some_and(|url| {
            url.scheme() == "https" && matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"))
        })
    }
}

impl EndpointUrl {
    /// Checks the form of a URL. The addresses of its name are checked at every connection
    /// ([`crate::endpoint::address`]).
    ///
    /// # Errors
    /// [`RefusedUrl`] for the first broken rule.
    pub fn parse(text: &str, policy: UrlPolicy) -> Result<Self, RefusedUrl> {
        let parsed = Url::parse(text);
        let candidate = Candidate { text, url: parsed.as_ref().ok() };
        candidate.check(&OF_ALL)?;
        let allows_loopback = policy == UrlPolicy::LoopbackAllowed;
        let is_loopback = allows_loopback && candidate.names_loopback();
        if allows_loopback && candidate.is_loopback_over_tls() {
            return Err(RefusedUrl::LoopbackTls);
        }
        if !is_loopback {
            candidate.check(&OF_PUBLIC)?;
        }
        let url = parsed.map_err(|_| RefusedUrl::Unreadable)?;
        Ok(Self { text: text.to_owned(), url, is_loopback })
    }

    /// Makes a URL without these checks, to test the checks that come after them. Returns `None` for text that cannot
    /// be parsed.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn unchecked(text: &str) -> Option<Self> {
        Some(Self { text: text.to_owned(), url: Url::parse(text).ok()?, is_loopback: false })
    }

    /// Returns the URL as its owner wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the URL is one of the two loopback forms of [`UrlPolicy::LoopbackAllowed`].
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// Returns the host to connect to: a domain name, or loopback.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Returns the port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(443)
    }

    /// Returns the value of the `Host` header: the host, and the port if it is not the default of the scheme.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host()),
            None => self.host().to_owned(),
        }
    }

    /// Returns the path and the query: the target of the request.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.url[url::Position::BeforePath..url::Position::AfterQuery]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_https_urls_are_accepted() {
        for url in [
            "https://example.com",
            "https://a.example.com:8443/x?y=1",
            "https://bücher.de/",
            "HTTPS://Example.COM:443",
        ] {
            assert!(EndpointUrl::parse(url, UrlPolicy::Strict).is_ok(), "{url}");
        }
    }

    fn check(url: &str, refused: RefusedUrl) {
        assert_eq!(EndpointUrl::parse(url, UrlPolicy::Strict), Err(refused), "{url}");
    }

    #[test]
    fn each_rule_refuses_its_cases() {
        check("example.com/hook", RefusedUrl::Unreadable);
        check(&format!("https://example.com/{}", "x".repeat(2048)), RefusedUrl::TooLong);
        for text in [
            "https://exa\tmple.com",
            " https://example.com",
            "https://example.com\\@a",
            "https://a.com/\u{a0}",
        ] {
            check(text, RefusedUrl::Characters);
        }
        for text in ["https:/example.com", "https:example.com", "https:///example.com", "https://"] {
            check(text, RefusedUrl::Unreadable);
        }
        check("http://example.com", RefusedUrl::Scheme);
        check("ftp://example.com", RefusedUrl::Scheme);
        check("http://127.0.0.1:8000/", RefusedUrl::Scheme);
        check("https://user@example.com", RefusedUrl::Extras);
        check("https://:pw@example.com", RefusedUrl::Extras);
        check("https://example.com/#part", RefusedUrl::Extras);
        check("https://@example.com", RefusedUrl::Extras);
    }

    #[test]
    fn each_rule_about_host_and_port_refuses_its_cases() {
        for port in ["", "0", "22", "80", "0443", "65535"] {
            check(&format!("https://example.com:{port}/"), RefusedUrl::Port);
        }
        for host in
            ["ex%61mple.com", "ｅxample.com", "example。com", "exam\u{ad}ple.com", "example.com.", "a..com"]
        {
            check(&format!("https://{host}/"), RefusedUrl::Host);
        }
        for literal in ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "1"]
        {
            check(&format!("https://{literal}/"), RefusedUrl::IpLiteral);
        }
        for name in [
            "localhost",
            "printer",
            "a.local",
            "metadata.google.internal",
            "x.localhost",
            "1.0.10.in-addr.arpa",
        ] {
            check(&format!("https://{name}/"), RefusedUrl::InternalName);
        }
    }

    #[test]
    fn the_local_stack_allows_two_forms_of_loopback_and_no_other() {
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
    fn the_local_stack_says_why_https_on_this_machine_is_refused() {
        for host in ["localhost", "localhost:9000", "127.0.0.1:9000", "[::1]:9000"] {
            let refused = EndpointUrl::parse(&format!("https://{host}/hook"), UrlPolicy::LoopbackAllowed);
            assert_eq!(refused, Err(RefusedUrl::LoopbackTls), "{host}");
        }
        let reason = RefusedUrl::LoopbackTls.to_string();
        assert!(reason.contains("certificate") && reason.contains("use http://127.0.0.1:PORT"), "{reason}");
    }

    #[test]
    fn the_request_target_and_the_host_are_as_configured() {
        let url = EndpointUrl::parse("https://example.com:8443/a/b?c=d%20e", UrlPolicy::Strict).unwrap();
        assert_eq!((url.path_and_query(), url.authority()), ("/a/b?c=d%20e", "example.com:8443".to_owned()));
        let bare = EndpointUrl::parse("https://example.com", UrlPolicy::Strict).unwrap();
        assert_eq!((bare.path_and_query(), bare.authority()), ("/", "example.com".to_owned()));
    }
}

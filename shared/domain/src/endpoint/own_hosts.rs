//! The hosts of this API itself. No endpoint may have one of them: its webhooks would be requests to this API.

use url::Url;

use crate::endpoint::url::{EndpointUrl, UrlPolicy};

/// The hosts of this API, each with its port.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OwnHosts(Vec<(String, u16)>);

impl OwnHosts {
    /// Reads hosts that are separated by commas. Each has the form of the header `Host`: a host without a port has port
    /// 443. Returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hosts = text.split(',').map(str::trim).filter(|host| !host.is_empty());
        hosts.map(read).collect::<Option<_>>().map(Self)
    }

    /// Returns the name of the first host.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.first().map(|(name, _)| name.as_str())
    }

    /// Reads the URL of an endpoint for a request; `None` if the policy does not allow it, or if it leads to one of these
    /// hosts.
    #[must_use]
    pub fn url_elsewhere(&self, text: &str, policy: UrlPolicy) -> Option<EndpointUrl> {
        EndpointUrl::parse(text, policy).ok().filter(|url| !self.has(url))
    }

    /// Returns whether a URL leads to one of these hosts.
    #[must_use]
    pub fn has(&self, url: &EndpointUrl) -> bool {
        self.0.iter().any(|(host, port)| host == url.host() && *port == url.port())
    }
}

/// Reads one host as a URL does, so that both have the same spelling.
fn read(host: &str) -> Option<(String, u16)> {
    if host.contains(['/', '?', '#', '@', '\\']) {
        return None;
    }
    let url = Url::parse(&format!("https://{host}/")).ok()?;
    Some((url.host_str()?.trim_end_matches('.').to_owned(), url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(hosts: &str, url: &str) -> bool {
        let url = EndpointUrl::parse(url, UrlPolicy::LoopbackAllowed).unwrap();
        OwnHosts::parse(hosts).unwrap().has(&url)
    }

    #[test]
    fn host_and_port_are_compared_however_they_are_spelt() {
        let hosts = " api.example.com, Hooks.Example.com:8443,127.0.0.1:9000,";
        for own in [
            "https://api.example.com/x",
            "https://API.example.com:443",
            "https://hooks.example.com:8443/",
            "http://127.0.0.1:9000/v1",
        ] {
            assert!(has(hosts, own), "{own}");
        }
        for other in [
            "https://api.example.com:8443",
            "https://hooks.example.com",
            "https://a.api.example.com",
            "http://127.0.0.1:9001/",
        ] {
            assert!(!has(hosts, other), "{other}");
        }
        assert!(has("api.example.com.:443", "https://api.example.com"));
        assert!(!has("", "https://api.example.com"));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in ["https://api.example.com", "a b", "api.example.com:x", "a@b.example", "a.example/x"] {
            assert_eq!(OwnHosts::parse(text), None, "{text}");
        }
    }
}

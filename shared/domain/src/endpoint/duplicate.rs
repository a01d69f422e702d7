//! Two endpoints of a tenant with the same URL and overlapping patterns: the receiver would get some events twice.

use url::Url;

use crate::endpoint::Endpoint;

/// Returns an endpoint that sends some events to the same URL as this one.
#[must_use]
pub fn duplicate_of<'a>(endpoint: &Endpoint, others: &'a [Endpoint]) -> Option<&'a Endpoint> {
    others.iter().find(|other| {
        other.id != endpoint.id && has_same_url(other, endpoint) && has_common_types(other, endpoint)
    })
}

/// Returns whether two URLs lead to the same place. The case of the host and the default port do not matter.
fn has_same_url(a: &Endpoint, b: &Endpoint) -> bool {
    a.url == b.url || Url::parse(&a.url).is_ok_and(|url| Url::parse(&b.url) == Ok(url))
}

fn has_common_types(a: &Endpoint, b: &Endpoint) -> bool {
    a.event_types.iter().any(|pattern| b.event_types.iter().any(|other| pattern.overlaps(other)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::pattern::Pattern;
    use crate::testing::endpoint;

    fn with(number: u8, url: &str, patterns: &[&str]) -> Endpoint {
        let event_types = patterns.iter().map(|pattern| Pattern::parse(pattern).unwrap()).collect();
        Endpoint { url: url.to_owned(), event_types, ..endpoint(number) }
    }

    #[test]
    fn the_same_url_with_common_types_is_a_duplicate() {
        let others = [with(1, "https://example.com/hook", &["order.*"])];
        for (url, patterns, is_duplicate) in [
            ("https://example.com/hook", &["*"][..], true),
            ("https://EXAMPLE.com:443/hook", &["invoice.*", "order.paid"], true),
            ("https://example.com/hook", &["invoice.*"], false),
            ("https://example.com/hook?a=1", &["*"], false),
            ("https://example.com/other", &["*"], false),
        ] {
            let candidate = with(2, url, patterns);
            assert_eq!(duplicate_of(&candidate, &others).is_some(), is_duplicate, "{url} {patterns:?}");
        }
    }

    #[test]
    fn an_endpoint_is_no_duplicate_of_itself() {
        let endpoint = with(1, "https://example.com/hook", &["*"]);
        assert_eq!(duplicate_of(&endpoint, std::slice::from_ref(&endpoint)), None);
    }
}

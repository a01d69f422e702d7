//! Checks a host name before it is looked up. Only names in the form of the public internet are allowed. No form of a
//! number is, so neither a URL parser nor a resolver can take a name for an address.

use thiserror::Error;

/// The reason why a name is not looked up.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum RefusedName {
    /// A label is empty or too long, or has other characters than letters, digits, hyphens and underscores.
    #[error("the host is not a domain name of letters, digits, hyphens and underscores; correct it")]
    Form,
    /// The last label starts with a digit, so that a parser could read the name as an IPv4 address.
    #[error("the host ends in a number, like an IP address; use a domain name")]
    Number,
    /// The name exists only inside a network.
    #[error("the host is not a public domain name; use a public name")]
    Internal,
}

/// A rule: the error if a name breaks it, and the check that returns true for a broken rule.
type Rule = (RefusedName, fn(&[&str]) -> bool);

/// The rules in the order of the checks. The labels are in lower case and in their ASCII form.
const RULES: [Rule; 5] = [
    (RefusedName::Form, |labels| !labels.iter().all(|label| is_label(label))),
    (RefusedName::Number, |labels| {
        labels.last().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()))
    }),
    (RefusedName::Internal, |labels| labels.len() < 2),
    (RefusedName::Internal, |labels| !labels.last().is_some_and(|last| is_top_level(last))),
    (RefusedName::Internal, |labels| INTERNAL.iter().any(|suffix| ends_in(labels, suffix))),
];

/// The longest name, without a dot at the end, and the longest label of the DNS (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Suffixes that do not belong to the public internet: special-use names (RFC 6761, 6762, 7686, 8375, 9476), ICANN's
/// `.internal`, the reserved `.corp`, `.home` and `.mail`, names that private networks, routers, clusters and their tools
/// use (`kubernetes.default.svc`), names of other name systems (`.eth`), and the interface endpoints of AWS, whose public
/// names resolve to private addresses. None of them is a top-level domain of the internet.
///
/// Other names of AWS are allowed: its functions, gateways and load balancers receive webhooks, and a webhook carries
/// no AWS credentials.
const INTERNAL: [&str; 49] = [
    "alt",
    "arpa",
    "belkin",
    "bit",
    "cluster",
    "consul",
    "corp",
    "dhcp",
    "dlink",
    "dmz",
    "docker",
    "domain",
    "eth",
    "example",
    "gateway",
    "home",
    "i2p",
    "incus",
    "intern",
    "internal",
    "intra",
    "intranet",
    "invalid",
    "ip",
    "k8s",
    "kube",
    "lan",
    "loc",
    "local",
    "localdomain",
    "localhost",
    "localnet",
    "lxd",
    "mail",
    "minikube",
    "nomad",
    "onion",
    "pod",
    "priv",
    "private",
    "router",
    "server",
    "svc",
    "swarm",
    "test",
    "vagrant",
    "vpce.amazonaws.com",
    "wlan",
    "workgroup",
];

/// Checks a name before it is looked up.
///
/// # Errors
/// [`RefusedName`] for the first broken rule.
///
/// ```
/// use domain::endpoint::address::name::{RefusedName, check};
/// assert_eq!(check("hooks.example.com"), Ok(()));
/// assert_eq!(check("metadata.google.internal"), Err(RefusedName::Internal));
/// assert_eq!(check("0x7f.1"), Err(RefusedName::Number));
/// ```
pub fn check(name: &str) -> Result<(), RefusedName> {
    if name.len() > MAX_NAME {
        return Err(RefusedName::Form);
    }
    let labels: Vec<&str> = name.split('.').collect();
    match RULES.iter().find(|(_, breaks)| breaks(&labels)) {
        Some((refused, _)) => Err(*refused),
        None => Ok(()),
    }
}

fn is_label(label: &str) -> bool {
    let known = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_');
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(known)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Returns whether the label can be a top-level domain: letters only, or the ASCII form of another script.
fn is_top_level(label: &str) -> bool {
    label.starts_with("xn--") || label.bytes().all(|c| c.is_ascii_lowercase())
}

fn ends_in(labels: &[&str], suffix: &str) -> bool {
    let suffix: Vec<&str> = suffix.split('.').collect();
    labels.ends_with(&suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_names_are_accepted() {
        for name in [
            "example.com",
            "a.b.c.d.e.example.co.uk",
            "xn--bcher-kva.de",
            "xn--e1afmkfd.xn--p1ai",
            "r3---sn.video.net",
            "my_app.example.org",
            "1password.com",
            "1.2.3.4.com",
            "abc.lambda-url.eu-central-1.on.aws",
            "abc.execute-api.us-east-1.amazonaws.com",
            "localhost.com",
            "internal.example.com",
        ] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn each_rule_refuses_its_cases() {
        let all = |names: &[&str], refused| {
            for name in names {
                assert_eq!(check(name), Err(refused), "{name}");
            }
        };
        let long_label = format!("{}.com", "a".repeat(64));
        let long_name = format!("{}com", "a.".repeat(126));
        all(&["", ".", ".com", "a..com", "example.com.", "-a.com", "a-.com"], RefusedName::Form);
        all(&["a b.com", "A.com", "ü.com", "a%2ecom", "[::1]", "a:1", "a\0.com"], RefusedName::Form);
        all(&[&long_label, &long_name], RefusedName::Form);
        all(&["1", "127.0.0.1", "0x7f.1", "017700000001", "0x7f000001", "a.0x1"], RefusedName::Number);
        all(&["com", "localhost", "instance-data", "router", "a.b-c", "a.b_c"], RefusedName::Internal);
        for suffix in INTERNAL {
            all(&[&format!("a.{suffix}"), &format!("a.b.{suffix}")], RefusedName::Internal);
        }
    }
}

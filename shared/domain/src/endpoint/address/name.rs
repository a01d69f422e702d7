//! May we look it up? Only names of the public internet's form pass, and no form of a number does: neither the parser of
//! URLs nor a resolver gets the chance to take a name for an address.

use thiserror::Error;

/// Why a name is not looked up.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum RefusedName {
    /// Empty or overlong labels, or other characters than letters, digits, hyphens and underscores.
    #[error("the host is not a domain name of letters, digits, hyphens and underscores; correct it")]
    Form,
    /// It ends like an IPv4 address, in one of that address's many spellings.
    #[error("the host ends in a number, like an IP address; use a domain name")]
    Number,
    /// It is known inside a network only.
    #[error("the host is not a public domain name; use a public name")]
    Internal,
}

/// One rule: what is said when it is broken, and whether these labels break it.
type Rule = (RefusedName, fn(&[&str]) -> bool);

/// The rules, in their order. Names are lower case and in their ASCII form already.
const RULES: [Rule; 5] = [
    (RefusedName::Form, |labels| !labels.iter().all(|label| is_label(label))),
    (RefusedName::Number, |labels| {
        labels.last().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()))
    }),
    (RefusedName::Internal, |labels| labels.len() < 2),
    (RefusedName::Internal, |labels| !labels.last().is_some_and(|last| is_top_level(last))),
    (RefusedName::Internal, |labels| INTERNAL.iter().any(|suffix| ends_in(labels, suffix))),
];

/// The longest name and the longest label that DNS knows (RFC 1035 section 2.3.4), the name without its last dot.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Suffixes that never lead to the public internet: special-use names (RFC 6761, 6762, 7686, 8375, 9476), ICANN's
/// `.internal` and the three that it never gives out (`.corp`, `.home`, `.mail`), what private networks and their tools
/// commonly use, and the interface endpoints of AWS, whose public names lead into private networks.
///
/// AWS's other names stay allowed: functions, gateways and load balancers there receive webhooks, and a request of ours
/// carries no credentials.
const INTERNAL: [&str; 23] = [
    "alt",
    "arpa",
    "consul",
    "corp",
    "docker",
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
    "vpce.amazonaws.com",
    "workgroup",
];

/// Checks a name before anybody looks it up.
///
/// # Errors
/// The first rule that is broken.
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

/// Top-level domains are letters alone, or the ASCII form of other scripts.
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
    fn public_names_pass() {
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
    fn each_rule_refuses_what_it_is_for() {
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

//! Identities as text: a prefix that says of what, and 32 lower-case hexadecimal digits.

use std::fmt;

use rand::{Rng, RngExt};
use ring::digest::{SHA256, digest};

use crate::timestamp::Timestamp;

/// A new identity of 128 random bits.
pub fn random(prefix: &str, rng: &mut impl Rng) -> String {
    format!("{prefix}{:032x}", rng.random::<u128>())
}

/// The identity that belongs to this secret: the first 128 bits of its SHA-256.
#[must_use]
pub fn derived(prefix: &str, secret: &str) -> String {
    format!("{prefix}{}", hex(&digest(&SHA256, secret.as_bytes()).as_ref()[..16]))
}

/// A new identity that sorts by its moment: the digits of a `UUIDv7`.
pub fn by_time(prefix: &str, now: Timestamp, rng: &mut impl Rng) -> String {
    let mut random = [0; 10];
    rng.fill_bytes(&mut random);
    let uuid = uuid::Builder::from_unix_timestamp_millis(now.millis(), &random).into_uuid();
    format!("{prefix}{}", uuid.simple())
}

/// Whether the text has exactly the form of an identity with this prefix.
#[must_use]
pub fn is_canonical(prefix: &str, text: &str) -> bool {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing into a String cannot fail
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_that_is_written_is_canonical() {
        let text = random("ep_", &mut rand::rng());
        assert!(is_canonical("ep_", &text));
        for other in ["", "ep_", "ep_1", &text[3..], &text.to_uppercase(), &format!("{text}0")] {
            assert!(!is_canonical("ep_", other), "{other}");
        }
        assert!(!is_canonical("lse_", &text));
        assert!(is_canonical("era_", &derived("era_", "a secret")));
        assert_eq!(derived("era_", "a secret"), derived("era_", "a secret"));
        assert_ne!(derived("era_", "a secret"), derived("era_", "another"));
    }
}

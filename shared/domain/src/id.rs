//! Ids as text: a prefix for the kind of id, and 32 lower-case hexadecimal digits.

use std::fmt;

use rand::{Rng, RngExt};
use ring::digest::{SHA256, digest};

use crate::timestamp::Timestamp;

/// Gives a newtype over `String` the methods of a random id with this prefix.
macro_rules! random_id {
    ($name:ident, $prefix:literal) => {
        impl $name {
            /// Draws a new id.
            pub fn generate(rng: &mut impl rand::Rng) -> Self {
                Self($crate::id::random($prefix, rng))
            }

            /// Accepts exactly the form in which an id is displayed; returns `None` for any other text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                $crate::id::is_canonical($prefix, text).then(|| Self(text.to_owned()))
            }

            /// Takes an id that our own code wrote into a table or a queue, without a check.
            pub fn from_stored(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// Returns the id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

pub(crate) use random_id;

/// Draws an id of 128 random bits.
pub fn random(prefix: &str, rng: &mut impl Rng) -> String {
    format!("{prefix}{:032x}", rng.random::<u128>())
}

/// Derives an id from a secret: the first 128 bits of its SHA-256. The same secret always gives the same id.
#[must_use]
pub fn derive(prefix: &str, secret: &str) -> String {
    format!("{prefix}{}", hex(&digest(&SHA256, secret.as_bytes()).as_ref()[..16]))
}

/// Draws an id that sorts by time: the digits of a `UUIDv7` (RFC 9562) for `now`.
pub fn draw_by_time(prefix: &str, now: Timestamp, rng: &mut impl Rng) -> String {
    let mut random = [0; 10];
    rng.fill_bytes(&mut random);
    let uuid = uuid::Builder::from_unix_timestamp_millis(now.millis(), &random).into_uuid();
    format!("{prefix}{}", uuid.simple())
}

/// Returns whether the text is an id with this prefix, exactly as this module writes it.
#[must_use]
pub fn is_canonical(prefix: &str, text: &str) -> bool {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns the bytes as lower-case hexadecimal digits.
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
    fn only_the_written_form_of_an_id_is_canonical() {
        let text = random("ep_", &mut rand::rng());
        assert!(is_canonical("ep_", &text));
        for other in ["", "ep_", "ep_1", &text[3..], &text.to_uppercase(), &format!("{text}0")] {
            assert!(!is_canonical("ep_", other), "{other}");
        }
        assert!(!is_canonical("lse_", &text));
        assert!(is_canonical("era_", &derive("era_", "a secret")));
        assert_eq!(derive("era_", "a secret"), derive("era_", "a secret"));
        assert_ne!(derive("era_", "a secret"), derive("era_", "another"));
    }
}

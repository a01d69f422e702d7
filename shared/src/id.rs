//! Identities as text: a prefix that says of what, and 32 lower-case hexadecimal digits.

use rand::{Rng, RngExt};

/// A new identity of 128 random bits.
pub(crate) fn random(prefix: &str, rng: &mut impl Rng) -> String {
    format!("{prefix}{:032x}", rng.random::<u128>())
}

/// Whether the text has exactly the form of an identity with this prefix.
pub(crate) fn is_canonical(prefix: &str, text: &str) -> bool {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
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
    }
}

//! The secrets that sign requests: the current one, and after a rotation the previous ones until their overlap ends.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rand::Rng;

use crate::timestamp::Timestamp;

/// A signing secret of Standard Webhooks 1.0: `whsec_` and the base64 of 24 to 64 random bytes.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// Draws a new secret of 32 bytes.
    pub fn generate(rng: &mut impl Rng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(format!("whsec_{}", BASE64.encode(bytes)))
    }

    /// Accepts a secret of that form; returns `None` for any other text.
    #[must_use]
    pub fn parse(text: impl Into<String>) -> Option<Self> {
        let secret = Self(text.into());
        (24..=64).contains(&secret.bytes()?.len()).then_some(secret)
    }

    /// Returns whether the bytes of a secret that an owner chose follow from few of them: at most four different bytes, or
    /// bytes that count up or down. Such a secret is a placeholder, and anyone can guess it.
    #[must_use]
    pub fn is_guessable(&self) -> bool {
        let bytes = self.bytes().unwrap_or_default();
        let different: BTreeSet<u8> = bytes.iter().copied().collect();
        let steps: BTreeSet<u8> = bytes.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        different.len() <= 4 || steps.len() == 1
    }

    /// Returns the secret itself. It signs requests, and may be sent to its owner once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the bytes of the key; `None` only for text that [`Secret::parse`] refuses.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        BASE64.decode(self.0.strip_prefix("whsec_")?).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(...)")
    }
}

/// The largest number of previous secrets. One more rotation drops the oldest.
const MAX_PREVIOUS: usize = 4;

/// The secrets of an endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Secrets {
    /// The current secret.
    pub current: Secret,
    /// The previous secrets, the latest first, each with the end of its overlap.
    pub previous: Vec<(Secret, Timestamp)>,
}

impl Secrets {
    /// Makes the secrets of a new endpoint.
    #[must_use]
    pub fn new(current: Secret) -> Self {
        Self { current, previous: Vec::new() }
    }

    /// Replaces the current secret at `now`. Until `overlap_ends`, requests have the signatures of both.
    #[must_use]
    pub fn rotate(&self, next: Secret, now: Timestamp, overlap_ends: Timestamp) -> Self {
        let replaced = (self.current.clone(), overlap_ends);
        let still_used = self.previous.iter().filter(|(_, until)| now < *until).cloned();
        let previous = std::iter::once(replaced).chain(still_used).take(MAX_PREVIOUS).collect();
        Self { current: next, previous }
    }

    /// Returns the secrets that sign a request at `now`, the current one first.
    pub fn at(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        let previous = self.previous.iter().filter(move |(_, until)| now < *until).map(|(secret, _)| secret);
        std::iter::once(&self.current).chain(previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::START;

    #[test]
    fn secrets_have_the_form_of_the_specification() {
        let secret = Secret::generate(&mut rand::rng());
        assert_eq!(Secret::parse(secret.expose()), Some(secret));
        for bad in ["", "whsec_", "whsec_!!", "whsec_c2hvcnQ=", &BASE64.encode([7; 32])] {
            assert_eq!(Secret::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_placeholder_is_guessable_and_a_drawn_secret_is_not() {
        let chosen = |bytes: &[u8]| Secret::parse(format!("whsec_{}", BASE64.encode(bytes))).unwrap();
        let counted: Vec<u8> = (0..32).collect();
        for placeholder in [&[0; 24][..], &[255; 64], &b"abcd".repeat(8), &counted] {
            assert!(chosen(placeholder).is_guessable(), "{placeholder:?}");
        }
        for _ in 0..1000 {
            assert!(!Secret::generate(&mut rand::rng()).is_guessable());
        }
        assert!(!chosen(b"5f4dcc3b5aa765d61d8327deb882cf99").is_guessable(), "hexadecimal digits");
    }

    #[test]
    fn every_previous_secret_signs_until_its_overlap_ends() {
        let all: Vec<Secret> = (0..7).map(|_| Secret::generate(&mut rand::rng())).collect();
        let second = |seconds: u64| Timestamp::from_seconds(START.seconds() + seconds);
        let once = Secrets::new(all[0].clone()).rotate(all[1].clone(), START, second(60));
        let twice = once.rotate(all[2].clone(), second(10), second(70));
        assert_eq!(twice.at(second(59)).collect::<Vec<_>>(), [&all[2], &all[1], &all[0]]);
        assert_eq!(twice.at(second(60)).collect::<Vec<_>>(), [&all[2], &all[1]]);
        assert_eq!(twice.at(second(70)).collect::<Vec<_>>(), [&all[2]]);
        let later = twice.rotate(all[3].clone(), second(65), second(200));
        assert_eq!(later.previous.len(), 2, "a secret is dropped after its overlap");
        let often = (0..7).fold(once, |secrets, n| secrets.rotate(all[n].clone(), START, second(60)));
        assert_eq!(often.at(START).count(), 1 + MAX_PREVIOUS);
    }
}

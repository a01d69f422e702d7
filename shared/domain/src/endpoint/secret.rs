//! What requests are signed with: the present secret, and after each rotation the one before it for a while.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rand::Rng;

use crate::timestamp::Timestamp;

/// A signing secret of Standard Webhooks 1.0: `whsec_` and base64 of 24 to 64 random bytes.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// A new secret of 32 bytes.
    pub fn generate(rng: &mut impl Rng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(format!("whsec_{}", BASE64.encode(bytes)))
    }

    /// Accepts a secret of the specified form.
    #[must_use]
    pub fn parse(text: impl Into<String>) -> Option<Self> {
        let secret = Self(text.into());
        (24..=64).contains(&secret.bytes()?.len()).then_some(secret)
    }

    /// The secret itself: for its owner, once, and for signing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The key bytes; `None` only for text that [`Secret::parse`] would refuse.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        BASE64.decode(self.0.strip_prefix("whsec_")?).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(...)")
    }
}

/// So many secrets sign beside the present one; a further rotation ends the oldest.
const MAX_PREVIOUS: usize = 4;

/// An endpoint's secrets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Secrets {
    /// The present one.
    pub current: Secret,
    /// Those before it, the latest first, and until when each is used too.
    pub previous: Vec<(Secret, Timestamp)>,
}

impl Secrets {
    /// A first secret.
    #[must_use]
    pub fn new(current: Secret) -> Self {
        Self { current, previous: Vec::new() }
    }

    /// The secrets after a rotation at `now`: until `overlap_ends` requests carry the signatures of both.
    #[must_use]
    pub fn rotate(&self, next: Secret, now: Timestamp, overlap_ends: Timestamp) -> Self {
        let replaced = (self.current.clone(), overlap_ends);
        let still_used = self.previous.iter().filter(|(_, until)| now < *until).cloned();
        let previous = std::iter::once(replaced).chain(still_used).take(MAX_PREVIOUS).collect();
        Self { current: next, previous }
    }

    /// What a request at `now` is signed with, the present secret first.
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
    fn secrets_have_the_specified_form() {
        let secret = Secret::generate(&mut rand::rng());
        assert_eq!(Secret::parse(secret.expose()), Some(secret));
        for bad in ["", "whsec_", "whsec_!!", "whsec_c2hvcnQ=", &BASE64.encode([7; 32])] {
            assert_eq!(Secret::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_replaced_secret_signs_until_its_overlap_ends() {
        let all: Vec<Secret> = (0..7).map(|_| Secret::generate(&mut rand::rng())).collect();
        let second = |seconds: u64| Timestamp::from_seconds(START.seconds() + seconds);
        let once = Secrets::new(all[0].clone()).rotate(all[1].clone(), START, second(60));
        let twice = once.rotate(all[2].clone(), second(10), second(70));
        assert_eq!(twice.at(second(59)).collect::<Vec<_>>(), [&all[2], &all[1], &all[0]]);
        assert_eq!(twice.at(second(60)).collect::<Vec<_>>(), [&all[2], &all[1]]);
        assert_eq!(twice.at(second(70)).collect::<Vec<_>>(), [&all[2]]);
        let later = twice.rotate(all[3].clone(), second(65), second(200));
        assert_eq!(later.previous.len(), 2, "what has ended is forgotten");
        let often = (0..7).fold(once, |secrets, n| secrets.rotate(all[n].clone(), START, second(60)));
        assert_eq!(often.at(START).count(), 1 + MAX_PREVIOUS);
    }
}

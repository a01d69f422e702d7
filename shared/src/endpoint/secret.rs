//! What requests are signed with: the present secret, and after a rotation the one before it for a while.

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

/// An endpoint's secrets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Secrets {
    /// The present one.
    pub current: Secret,
    /// The one before it, and until when it is used too.
    pub previous: Option<(Secret, Timestamp)>,
}

impl Secrets {
    /// A first secret.
    #[must_use]
    pub fn new(current: Secret) -> Self {
        Self { current, previous: None }
    }

    /// The secrets after a rotation: until `overlap_ends` requests carry the signatures of both.
    #[must_use]
    pub fn rotate(&self, next: Secret, overlap_ends: Timestamp) -> Self {
        Self { current: next, previous: Some((self.current.clone(), overlap_ends)) }
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
    use crate::testing::builders::START;

    #[test]
    fn secrets_have_the_specified_form() {
        let secret = Secret::generate(&mut rand::rng());
        assert_eq!(Secret::parse(secret.expose()), Some(secret));
        for bad in ["", "whsec_", "whsec_!!", "whsec_c2hvcnQ=", &BASE64.encode([7; 32])] {
            assert_eq!(Secret::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn both_secrets_sign_until_the_overlap_ends() {
        let [old, new] = [0, 1].map(|_| Secret::generate(&mut rand::rng()));
        let end = Timestamp::from_seconds(START.seconds() + 60);
        let secrets = Secrets::new(old.clone()).rotate(new.clone(), end);
        assert_eq!(secrets.at(START).collect::<Vec<_>>(), [&new, &old]);
        assert_eq!(secrets.at(end).collect::<Vec<_>>(), [&new]);
    }
}

//! The credential: its format, its checksum, its keyed hash, and what it may do.
//!
//! `trg_live_` + 43 base62 digits (256 bits) + `_` + 6 base62 digits (CRC-32 of all before). The checksum
//! answers a mistyped key without a look-up. A key is never stored: the table holds its HMAC-SHA-256 under
//! a pepper that is not in the table, so a copy of the table opens nothing.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use rand::{Rng, RngExt};
use ring::hmac;
use thiserror::Error;

use crate::id::hex;
use crate::tenant::id::TenantId;
use crate::tenant::spread::Spread;
use crate::tenant::tier::Tier;
use crate::timestamp::Timestamp;

/// How often the use of a key is noted.
pub const NOTE_USE_EVERY: Duration = Duration::from_mins(15);

/// The most keys that a tenant may have which are good at the same time. A change of its tier writes each of them twice and the
/// tenant once, in one transaction, and no transaction writes more than 100 items.
pub const MAX_KEYS: usize = 40;

const PREFIXES: [&str; 2] = ["trg_live_", "trg_test_"];
const SECRET_DIGITS: usize = 43;
const CHECKSUM_DIGITS: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A well-formed API key. Its `Debug` form shows the last four digits only.
#[derive(Clone, Eq, PartialEq)]
pub struct ApiKey(String);

impl ApiKey {
    /// A new key.
    ///
    /// ```
    /// use domain::tenant::api_key::ApiKey;
    /// let key = ApiKey::generate(&mut rand::rng());
    /// assert_eq!(ApiKey::parse(key.expose()), Some(key));
    /// ```
    pub fn generate(rng: &mut impl Rng) -> Self {
        let mut key = PREFIXES[0].to_owned();
        for _ in 0..SECRET_DIGITS {
            key.push(char::from(BASE62[rng.random_range(0..BASE62.len())]));
        }
        let checksum = checksum(&key);
        Self(format!("{key}_{checksum}"))
    }

    /// Accepts only a key whose form and checksum are right; whether it exists is another question.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (signed, sum) = text.rsplit_once('_')?;
        let secret = PREFIXES.iter().find_map(|prefix| signed.strip_prefix(prefix))?;
        let well_formed = secret.len() == SECRET_DIGITS
            && secret.bytes().all(|digit| digit.is_ascii_alphanumeric())
            && sum == checksum(signed);
        well_formed.then(|| Self(text.to_owned()))
    }

    /// The key itself. It may be shown to its owner once, and to nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The digits by which its owner recognises a key in a list: the last four of its secret part.
    #[must_use]
    pub fn last4(&self) -> &str {
        let end = self.0.len() - CHECKSUM_DIGITS - 1;
        &self.0[end - 4..end]
    }

    /// What the table stores instead of the key.
    #[must_use]
    pub fn hash(&self, pepper: &Pepper) -> KeyHash {
        let tag = hmac::sign(&pepper.key, self.0.as_bytes());
        KeyHash(format!("{}:{}", pepper.version, hex(tag.as_ref())))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey(...{})", self.last4())
    }
}

fn checksum(signed: &str) -> String {
    let mut rest = crc32fast::hash(signed.as_bytes()) as usize;
    let mut digits = [b'0'; CHECKSUM_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest % BASE62.len()];
        rest /= BASE62.len();
    }
    digits.iter().copied().map(char::from).collect()
}

/// The secret under which keys are hashed, with a version, so that it can be replaced one day.
pub struct Pepper {
    version: u32,
    key: hmac::Key,
}

impl Pepper {
    /// Version 1 of the pepper.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self { version: 1, key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()) }
    }

    /// Reads one entry of a list, such as `2:SECRET`.
    fn parse(entry: &str) -> Option<Self> {
        let (version, secret) = entry.split_once(':')?;
        if secret.is_empty() || secret.contains(':') {
            return None;
        }
        Some(Self { version: version.parse().ok()?, ..Self::new(secret) })
    }

    /// A tag over `message` that only a holder of the pepper can make; `purpose` keeps its uses apart.
    #[must_use]
    pub fn tag(&self, purpose: &str, message: &[u8]) -> Vec<u8> {
        hmac::sign(&self.key, &[purpose.as_bytes(), b"\0", message].concat()).as_ref().to_vec()
    }

    /// Whether `tag` is [`Pepper::tag`] of the same purpose and message, compared in constant time.
    #[must_use]
    pub fn verify(&self, purpose: &str, message: &[u8], tag: &[u8]) -> bool {
        let message = [purpose.as_bytes(), b"\0", message].concat();
        hmac::verify(&self.key, &message, tag).is_ok()
    }
}

/// The peppers in use: the first for new keys, the others for keys made before it.
pub struct Peppers(Vec<Pepper>);

/// The secret is neither one pepper nor a list of them.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "the pepper must be one secret, or a list VERSION:SECRET,VERSION:SECRET with the newest first, without a repeated version"
)]
pub struct InvalidPeppers;

impl Peppers {
    /// Reads one secret, which is version 1, or a list such as `2:SECRET,1:SECRET` with the newest first. No secret may
    /// contain `:` or `,`.
    ///
    /// # Errors
    /// [`InvalidPeppers`] for anything else, and for a version that comes twice.
    pub fn parse(text: &str) -> Result<Self, InvalidPeppers> {
        if !text.is_empty() && !text.contains([':', ',']) {
            return Ok(Pepper::new(text).into());
        }
        let mut peppers = Vec::new();
        let mut versions = HashSet::new();
        for entry in text.split(',') {
            let pepper = Pepper::parse(entry).ok_or(InvalidPeppers)?;
            if !versions.insert(pepper.version) {
                return Err(InvalidPeppers);
            }
            peppers.push(pepper);
        }
        Ok(Self(peppers))
    }

    /// The pepper of new keys.
    #[must_use]
    pub fn current(&self) -> &Pepper {
        &self.0[0]
    }

    /// Under which hashes the key may be stored, the likeliest first.
    #[must_use]
    pub fn hashes(&self, key: &ApiKey) -> Vec<KeyHash> {
        self.0.iter().map(|pepper| key.hash(pepper)).collect()
    }

    /// The version of each, and its [`Pepper::tag`].
    pub fn tags(&self, purpose: &str, message: &[u8]) -> impl Iterator<Item = (u32, Vec<u8>)> {
        self.0.iter().map(move |pepper| (pepper.version, pepper.tag(purpose, message)))
    }

    /// Whether `tag` is [`Pepper::tag`] of the same purpose and message, by any of them.
    #[must_use]
    pub fn verify(&self, purpose: &str, message: &[u8], tag: &[u8]) -> bool {
        self.0.iter().any(|pepper| pepper.verify(purpose, message, tag))
    }
}

impl From<Pepper> for Peppers {
    fn from(pepper: Pepper) -> Self {
        Self(vec![pepper])
    }
}

/// A key's entry in the table: pepper version and HMAC.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct KeyHash(String);

impl KeyHash {
    /// The hash of a key that our own code wrote into a table.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The hash as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One thing a key may do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Scope {
    /// Post events.
    EventsWrite,
    /// Read the inbox.
    InboxRead,
    /// Acknowledge events.
    InboxAck,
    /// Send events again.
    EventsReplay,
    /// Configure webhooks.
    EndpointsAdmin,
    /// Create, list, rotate and delete keys.
    KeysAdmin,
    /// Change the tenant's own settings, delete its events, have it erased.
    TenantAdmin,
}

impl Scope {
    /// Every scope: what a tenant's first key may do.
    pub const ALL: [Self; 7] = [
        Self::EventsWrite,
        Self::InboxRead,
        Self::InboxAck,
        Self::EventsReplay,
        Self::EndpointsAdmin,
        Self::KeysAdmin,
        Self::TenantAdmin,
    ];

    /// The scope's name in JSON and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EventsWrite => "events:write",
            Self::InboxRead => "inbox:read",
            Self::InboxAck => "inbox:ack",
            Self::EventsReplay => "events:replay",
            Self::EndpointsAdmin => "endpoints:admin",
            Self::KeysAdmin => "keys:admin",
            Self::TenantAdmin => "tenant:admin",
        }
    }

    /// The scope of this name; `None` if there is none.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// What is stored of a key, and who its bearer is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyRecord {
    /// The key's public name, `key_...`: by it a key is deleted.
    pub id: String,
    /// Whose key it is.
    pub tenant: TenantId,
    /// The tenant's tier, carried here so that authentication is one read.
    pub tier: Tier,
    /// Over how many shards the tenant's events are spread, carried here for the same reason.
    pub spread: Spread,
    /// The name its owner gave the key.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The last digits of its secret part.
    pub last4: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused, if ever.
    pub expires_at: Option<Timestamp>,
    /// How many events it may post in a minute, if fewer than its tenant.
    pub events_per_minute: Option<u32>,
    /// When it was used, as far as that was noted: at most every [`NOTE_USE_EVERY`]. Lists alone show it.
    pub last_used_at: Option<Timestamp>,
}

impl KeyRecord {
    /// Whether the key is still good at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether the key may do this.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_one_changed_character_is_refused_by_its_checksum() {
        let key = ApiKey::generate(&mut rand::rng());
        for position in 0..key.expose().len() {
            let mut changed = key.expose().as_bytes().to_vec();
            changed[position] = if changed[position] == b'x' { b'y' } else { b'x' };
            let text = String::from_utf8(changed).unwrap();
            assert_eq!(ApiKey::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn text_of_any_other_form_is_refused() {
        for text in ["", "_", "trg_live_", "trg_live__", "é_é", "sk_live_abc_000000", "trg_live_a_000000"] {
            assert_eq!(ApiKey::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_form_is_the_documented_one() {
        let key = ApiKey::generate(&mut rand::rng());
        assert_eq!(key.expose().len(), "trg_live_".len() + 43 + 1 + 6);
        assert_eq!(key.last4(), &key.expose()[48..52]);
        assert!(!format!("{key:?}").contains(&key.expose()[9..48]));
    }

    #[test]
    fn another_pepper_gives_another_hash() {
        let key = ApiKey::generate(&mut rand::rng());
        assert_eq!(key.hash(&Pepper::new("a")), key.hash(&Pepper::new("a")));
        assert_ne!(key.hash(&Pepper::new("a")), key.hash(&Pepper::new("b")));
    }

    #[test]
    fn peppers_are_one_secret_or_a_list_with_versions() {
        let key = ApiKey::generate(&mut rand::rng());
        let one = Peppers::parse("old").unwrap();
        let two = Peppers::parse("2:new,1:old").unwrap();
        assert_eq!(two.hashes(&key)[1], one.hashes(&key)[0], "version 1 is still version 1");
        assert_eq!(two.hashes(&key)[0], key.hash(two.current()));
        assert!(two.verify("x", b"y", &one.current().tag("x", b"y")));
        for wrong in ["", ",", ":", "2:", "a:b", "1:a,1:b", "2:new,old", "2:a:b", "2:new,"] {
            assert!(Peppers::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_tag_holds_for_its_purpose_and_message_only() {
        let pepper = Pepper::new("a");
        let tag = pepper.tag("cursor", b"x");
        assert!(pepper.verify("cursor", b"x", &tag));
        assert!(!pepper.verify("cursor", b"y", &tag));
        assert!(!pepper.verify("other", b"x", &tag));
    }
}

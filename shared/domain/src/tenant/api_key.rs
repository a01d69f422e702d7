//! API keys: their format, checksum, keyed hash and scopes.
//!
//! A key is `trg_live_` or `trg_test_`, 43 base62 digits (256 bits), `_`, and 6 base62 digits (the CRC-32 of all
//! before). The checksum rejects a mistyped key without a table read. A key is never stored. The table holds its
//! HMAC-SHA-256 under a pepper that is not in the table, so a copy of the table does not reveal a key.

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

/// The shortest time between two writes of `last_used_at`.
pub const LAST_USED_INTERVAL: Duration = Duration::from_mins(15);

/// The largest number of valid keys of a tenant. A change of the tier writes the two items of each key and the item of
/// the tenant in one transaction: 81 of the 100 items that a `DynamoDB` transaction may have.
pub const MAX_KEYS: usize = 40;

const PREFIXES: [&str; 2] = ["trg_live_", "trg_test_"];
const SECRET_DIGITS: usize = 43;
const CHECKSUM_DIGITS: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// An API key with a valid form. Its `Debug` form shows only the last four digits.
#[derive(Clone, Eq, PartialEq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Draws a new key.
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

    /// Accepts a key with a valid form and checksum; returns `None` for any other text. Whether the key exists is not
    /// checked here.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (signed, sum) = text.rsplit_once('_')?;
        let secret = PREFIXES.iter().find_map(|prefix| signed.strip_prefix(prefix))?;
        let well_formed = secret.len() == SECRET_DIGITS
            && secret.bytes().all(|digit| digit.is_ascii_alphanumeric())
            && sum == checksum(signed);
        well_formed.then(|| Self(text.to_owned()))
    }

    /// Returns the key itself. It may be sent to its owner once, and must never be logged.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the last four characters. The owner recognizes a key by them.
    #[must_use]
    pub fn last4(&self) -> &str {
        &self.0[self.0.len() - 4..]
    }

    /// Returns the hash that the table stores instead of the key.
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

/// The secret under which keys are hashed. Its version allows a rotation.
pub struct Pepper {
    version: u32,
    key: hmac::Key,
}

impl Pepper {
    /// Makes version 1 of the pepper.
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

    /// Returns a tag (HMAC-SHA-256) over `message`. Tags of two purposes never agree.
    #[must_use]
    pub fn tag(&self, purpose: &str, message: &[u8]) -> Vec<u8> {
        hmac::sign(&self.key, &[purpose.as_bytes(), b"\0", message].concat()).as_ref().to_vec()
    }

    /// Returns whether `tag` is the [`Pepper::tag`] of this purpose and message. The comparison takes constant time.
    #[must_use]
    pub fn verify(&self, purpose: &str, message: &[u8], tag: &[u8]) -> bool {
        let message = [purpose.as_bytes(), b"\0", message].concat();
        hmac::verify(&self.key, &message, tag).is_ok()
    }
}

/// The peppers in use: the first for new keys, the others for older keys.
pub struct Peppers(Vec<Pepper>);

/// The error for a secret that is neither one pepper nor a list of peppers.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the secret must be one text, or a list VERSION:TEXT,VERSION:TEXT without a repeated version")]
pub struct InvalidPeppers;

impl Peppers {
    /// Reads one secret, which is version 1, or a list such as `2:SECRET,1:SECRET`, of which the first is used for what is made
    /// now. A secret must not contain `:` or `,`.
    ///
    /// # Errors
    /// [`InvalidPeppers`] for any other text, and for a repeated version.
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

    /// Returns the pepper for new keys.
    #[must_use]
    pub fn current(&self) -> &Pepper {
        &self.0[0]
    }

    /// Returns the hashes under which the key may be stored, the newest pepper first.
    #[must_use]
    pub fn hashes(&self, key: &ApiKey) -> Vec<KeyHash> {
        self.0.iter().map(|pepper| key.hash(pepper)).collect()
    }

    /// Returns the version of each pepper, and its [`Pepper::tag`].
    pub fn tags(&self, purpose: &str, message: &[u8]) -> impl Iterator<Item = (u32, Vec<u8>)> {
        self.0.iter().map(move |pepper| (pepper.version, pepper.tag(purpose, message)))
    }

    /// Returns whether `tag` is the [`Pepper::tag`] of this purpose and message under any of the peppers.
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

/// The hash of a key in the table: the pepper version and the HMAC.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct KeyHash(String);

impl KeyHash {
    /// Takes a hash that our own code wrote into a table, without a check.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the hash as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A permission of a key.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Scope {
    /// Allows the key to post events.
    EventsWrite,
    /// Allows the key to read the inbox and the log.
    InboxRead,
    /// Allows the key to lease and acknowledge events.
    InboxAck,
    /// Allows the key to replay events.
    EventsReplay,
    /// Allows the key to configure endpoints.
    EndpointsAdmin,
    /// Allows the key to create, list, rotate and delete keys.
    KeysAdmin,
    /// Allows the key to change the tenant's settings, to delete its events and to erase the tenant.
    TenantAdmin,
}

impl Scope {
    /// All scopes. The first key of a tenant has them all.
    pub const ALL: [Self; 7] = [
        Self::EventsWrite,
        Self::InboxRead,
        Self::InboxAck,
        Self::EventsReplay,
        Self::EndpointsAdmin,
        Self::KeysAdmin,
        Self::TenantAdmin,
    ];

    /// Returns the name of the scope in JSON and in tables.
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

    /// Returns the scope with this name; `None` for an unknown name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// The record of a key: all that is stored of it and of its tenant for authentication.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyRecord {
    /// The public id of the key, `key_...`. It names the key in lists and in `DELETE /api/keys/{id}`.
    pub id: String,
    /// The tenant that the key belongs to.
    pub tenant: TenantId,
    /// The tenant's tier. It is repeated here so that authentication needs only one read.
    pub tier: Tier,
    /// The tenant's shards. They are repeated here for the same reason.
    pub spread: Spread,
    /// Whether the tenant is suspended. It is repeated here for the same reason.
    pub is_suspended: bool,
    /// The name that the owner gave the key.
    pub name: String,
    /// The permissions of the key.
    pub scopes: Vec<Scope>,
    /// The last four characters of the key.
    pub last4: String,
    /// When the key was created.
    pub created_at: Timestamp,
    /// When the key expires; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// The key's own limit of events per minute; `None` if only the tenant's limit holds.
    pub events_per_minute: Option<u32>,
    /// When the key was last used. It is written at most once per [`LAST_USED_INTERVAL`], and read only for lists.
    pub last_used_at: Option<Timestamp>,
}

impl KeyRecord {
    /// Returns whether the key has not expired at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// Returns whether the key has this scope.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_rejects_a_key_with_one_changed_character() {
        let key = ApiKey::generate(&mut rand::rng());
        for position in 0..key.expose().len() {
            let mut changed = key.expose().as_bytes().to_vec();
            changed[position] = if changed[position] == b'x' { b'y' } else { b'x' };
            let text = String::from_utf8(changed).unwrap();
            assert_eq!(ApiKey::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn text_of_another_form_is_rejected() {
        for text in ["", "_", "trg_live_", "trg_live__", "é_é", "sk_live_abc_000000", "trg_live_a_000000"] {
            assert_eq!(ApiKey::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_has_the_documented_form() {
        let key = ApiKey::generate(&mut rand::rng());
        assert_eq!(key.expose().len(), "trg_live_".len() + 43 + 1 + 6);
        assert!(key.expose().ends_with(key.last4()) && key.last4().len() == 4);
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
        assert_eq!(two.hashes(&key)[1], one.hashes(&key)[0], "version 1 has the same hash in both");
        assert_eq!(two.hashes(&key)[0], key.hash(two.current()));
        assert!(two.verify("x", b"y", &one.current().tag("x", b"y")));
        for wrong in ["", ",", ":", "2:", "a:b", "1:a,1:b", "2:new,old", "2:a:b", "2:new,"] {
            assert!(Peppers::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_tag_is_valid_only_for_its_purpose_and_message() {
        let pepper = Pepper::new("a");
        let tag = pepper.tag("cursor", b"x");
        assert!(pepper.verify("cursor", b"x", &tag));
        assert!(!pepper.verify("cursor", b"y", &tag));
        assert!(!pepper.verify("other", b"x", &tag));
    }
}

//! The id of an event.

use std::fmt;

use rand::Rng;
use ring::digest::{SHA256, digest};
use uuid::Uuid;

use crate::timestamp::Timestamp;

/// The id of an event: `evt_` and the 32 hexadecimal digits of a `UUIDv7` (RFC 9562). Ids sort by time, and the last
/// byte is the shard.
///
/// ```
/// use domain::event::id::EventId;
/// let id = EventId::parse("evt_018bcfe5687b7fff8fffffffffffff03").unwrap();
/// assert_eq!(id.accepted_at().to_string(), "2023-11-14T22:13:20.123Z");
/// assert_eq!(id.shard(), 3);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EventId(Uuid);

impl EventId {
    /// Draws a new id on one of `shards` shards. 0 counts as 1.
    pub fn generate(now: Timestamp, shards: u8, rng: &mut impl Rng) -> Self {
        let mut random = [0; 10];
        rng.fill_bytes(&mut random);
        random[9] %= shards.max(1);
        Self(uuid::Builder::from_unix_timestamp_millis(now.millis(), &random).into_uuid())
    }

    /// Derives the id of a notice. The same time and the same words give the same id.
    #[must_use]
    pub fn derive(at: Timestamp, words: &str) -> Self {
        let mut random: [u8; 10] = [0; 10];
        random.copy_from_slice(&digest(&SHA256, words.as_bytes()).as_ref()[..10]);
        random[9] = 0; // shard 0 exists in every tier
        Self(uuid::Builder::from_unix_timestamp_millis(at.millis(), &random).into_uuid())
    }

    /// Accepts exactly the form that [`EventId`] is displayed in; returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("evt_")?;
        let canonical = digits.len() == 32 && digits.bytes().all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f'));
        let uuid = Uuid::try_parse(digits).ok().filter(|_| canonical)?;
        (uuid.get_version_num() == 7).then_some(Self(uuid))
    }

    /// Returns the id as 16 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        *self.0.as_bytes()
    }

    /// Takes an id that our own code wrote as bytes, without a check.
    #[must_use]
    pub fn from_stored_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Returns when the event was accepted: the timestamp in the id.
    #[must_use]
    pub fn accepted_at(&self) -> Timestamp {
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&self.0.as_bytes()[..6]);
        Timestamp::from_millis(u64::from_be_bytes(millis))
    }

    /// Returns a random byte of the id. It spreads other items of the event evenly over partitions.
    #[must_use]
    pub fn spread(&self) -> u8 {
        self.0.as_bytes()[14]
    }

    /// Returns the shard: the partition that holds the event's items.
    #[must_use]
    pub fn shard(&self) -> u8 {
        self.0.as_bytes()[15]
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evt_{}", self.0.simple())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_canonical_form_of_an_id_is_accepted() {
        let id = EventId::generate(Timestamp::from_millis(5), 1, &mut rand::rng());
        let text = id.to_string();
        assert_eq!(EventId::parse(&text), Some(id));
        for other in [
            text.to_uppercase(),
            text.replace("evt_", ""),
            format!("{text}0"),
            text[..35].to_owned(),
            "evt_00000000-0000-7000-8000-000000000000".to_owned(),
            "evt_00000000000040008000000000000000".to_owned(),
        ] {
            assert_eq!(EventId::parse(&other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn ids_sort_by_time_and_keep_their_shard(a in 0u64..1 << 48, b in 0u64..1 << 48) {
            for shards in [1, 4, 16, 64] {
                let id = |ms| EventId::generate(Timestamp::from_millis(ms), shards, &mut rand::rng());
                let x = id(a);
                let y = id(b);
                prop_assert_eq!(x.accepted_at().millis(), a);
                prop_assert!(x.shard() < shards);
                prop_assert_eq!(a < b, x.to_string() < y.to_string() && a != b);
            }
        }
    }
}

//! The names by which a client names an event or a request.

use crate::digest::sha256;

/// A client's name for an event or a request: 1 to 255 printable ASCII characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DedupId(String);

impl DedupId {
    /// Accepts 1 to 255 printable ASCII characters; returns `None` for any other text.
    #[must_use]
    pub fn parse(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let printable = text.bytes().all(|c| matches!(c, b' '..=b'~'));
        ((1..=255).contains(&text.len()) && printable).then_some(Self(text))
    }

    /// Takes a name that our own code wrote into a table or a queue, without a check.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name that is claimed. Names of different kinds are never equal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClaimName {
    /// The member `dedup_id`, which names the event. A repeat gets 409.
    Dedup(DedupId),
    /// The `source` and `id` of a CloudEvent, which together name the event, whatever its content. A repeat gets 202.
    CloudEvent {
        /// The attribute `source`: the context in which the event happened.
        source: String,
        /// The attribute `id`: the name of the event within its source.
        id: String,
    },
    /// The header `Idempotency-Key`, which names the request. A repeat gets the first answer again.
    Idempotency(DedupId),
    /// The header `Idempotency-Key` of a batch, and one of its items. It names that item.
    IdempotencyItem {
        /// The header.
        key: DedupId,
        /// The digest of the item's content.
        content: [u8; 32],
        /// How many items before this one have the same content.
        before: usize,
    },
}

impl ClaimName {
    /// Returns the name of the kind in the keys of the table.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Dedup(_) => "dedup",
            Self::CloudEvent { .. } => "ce",
            Self::Idempotency(_) => "idem",
            Self::IdempotencyItem { .. } => "idem-content",
        }
    }

    /// Returns the SHA-256 of the name. It keeps the key of a claim short.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        match self {
            Self::Dedup(name) | Self::Idempotency(name) => sha256(&[name.0.as_bytes()]),
            Self::CloudEvent { source, id } => {
                sha256(&[&source.len().to_be_bytes(), source.as_bytes(), id.as_bytes()])
            }
            Self::IdempotencyItem { key, content, before } => {
                sha256(&[&before.to_be_bytes(), content, key.0.as_bytes()])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_different_kinds_or_items_are_never_equal() {
        let name = || DedupId::parse("x").unwrap();
        let cloud_event =
            |source: &str, id: &str| ClaimName::CloudEvent { source: source.into(), id: id.into() };
        let item =
            |content: u8, before| ClaimName::IdempotencyItem { key: name(), content: [content; 32], before };
        let names =
            [ClaimName::Dedup(name()), ClaimName::Idempotency(name()), item(0, 0), cloud_event("x", "")];
        let kinds: std::collections::HashSet<_> = names.iter().map(ClaimName::kind).collect();
        assert_eq!(kinds.len(), names.len());
        assert_ne!(item(0, 0).digest(), item(0, 1).digest());
        assert_ne!(item(0, 0).digest(), item(1, 0).digest());
        assert_ne!(cloud_event("ab", "c").digest(), cloud_event("a", "bc").digest());
    }

    #[test]
    fn a_name_has_1_to_255_printable_characters() {
        for good in ["a", "order 7/é".trim_end_matches('é'), &"x".repeat(255)] {
            assert!(DedupId::parse(good).is_some(), "{good}");
        }
        for bad in ["", "é", "a\n", &"x".repeat(256)] {
            assert!(DedupId::parse(bad).is_none(), "{bad}");
        }
    }
}

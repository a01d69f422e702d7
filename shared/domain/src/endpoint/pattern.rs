//! Which event types an endpoint wants: `*` stands for any run of characters, everything else for itself.

use std::fmt;

use thiserror::Error;

use crate::event::event_type::EventType;

/// A pattern of event types, such as `order.*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern(String);

/// It is none.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a pattern must have 1 to 255 characters: A-Z, a-z, 0-9 and . _ - : / *; correct it")]
pub struct InvalidPattern;

impl Pattern {
    /// Every type.
    #[must_use]
    pub fn any() -> Self {
        Self("*".to_owned())
    }

    /// Accepts a pattern of the allowed characters and length.
    ///
    /// # Errors
    /// [`InvalidPattern`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let as_type = text.replace('*', "x"); // a pattern is a type in which characters may be left open
        EventType::parse(as_type).map_err(|_| InvalidPattern)?;
        Ok(Self(text.to_owned()))
    }

    /// The pattern that our own code wrote into a table.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a type matches. Each part between two `*` is taken where it stands first, so that no pattern costs more than
    /// its length times the type's.
    #[must_use]
    pub fn matches(&self, event_type: &EventType) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = event_type.as_str().strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() }; // a pattern without `*`
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, event_type: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(&EventType::parse(event_type).unwrap())
    }

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, event_type) in [
            ("*", "a"),
            ("order.created", "order.created"),
            ("order.*", "order.created"),
            ("order.*", "order.item.added"),
            ("*.created", "order.created"),
            ("*.*", "order.created"),
            ("a*b*c", "a-b-b-c"),
            ("a**b", "ab"),
            ("*a*", "bab"),
        ] {
            assert!(matches(pattern, event_type), "{pattern} {event_type}");
        }
        for (pattern, event_type) in [
            ("order.created", "order.created2"),
            ("order.*", "order"),
            ("order.*", "reorder.created"),
            ("*.created", "order.created.late"),
            ("a*a", "a"),
            ("a*b*c", "a-c-b"),
            ("Order.*", "order.created"),
        ] {
            assert!(!matches(pattern, event_type), "{pattern} {event_type}");
        }
    }

    #[test]
    fn only_the_characters_of_a_type_and_the_star_are_allowed() {
        for bad in ["", "a b", "a?", "[a]", "é", &"*".repeat(256)] {
            assert_eq!(Pattern::parse(bad), Err(InvalidPattern), "{bad}");
        }
        assert!(Pattern::parse(&"*".repeat(255)).is_ok());
    }

    /// The definition, as plainly as it can be said.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|from| by_definition(rest, &text[from..])),
            Some((c, rest)) => text.first() == Some(c) && by_definition(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn matching_follows_the_definition(pattern in "[ab*]{1,8}", text in "[ab]{1,8}") {
            prop_assert_eq!(matches(&pattern, &text), by_definition(pattern.as_bytes(), text.as_bytes()));
        }
    }
}

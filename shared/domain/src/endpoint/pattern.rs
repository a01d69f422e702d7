//! Patterns of event types. `*` matches any number of characters, and every other character matches itself.

use std::fmt;

use thiserror::Error;

use crate::event::event_type::EventType;

/// A pattern of event types, such as `order.*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern(String);

/// The error for text that is not a pattern.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a pattern must have 1 to 255 printable characters; correct it")]
pub struct InvalidPattern;

impl Pattern {
    /// Returns the pattern that every type matches.
    #[must_use]
    pub fn any() -> Self {
        Self("*".to_owned())
    }

    /// Accepts 1 to 255 printable characters.
    ///
    /// # Errors
    /// [`InvalidPattern`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        EventType::parse(text).map_err(|_| InvalidPattern)?; // a pattern has the characters of a type
        Ok(Self(text.to_owned()))
    }

    /// Takes a pattern that our own code wrote into a table, without a check.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the type matches. Each part between two `*` is matched at its first occurrence, so the cost is
    /// at most the pattern's length times the type's length.
    #[must_use]
    pub fn matches(&self, event_type: &EventType) -> bool {
        self.matches_text(event_type.as_str())
    }

    /// Returns whether some type matches both patterns. For two patterns with `*`, only their beginnings and their ends can
    /// exclude each other: any text fits between.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self.ends(), other.ends()) {
            (None, _) => other.matches_text(&self.0),
            (_, None) => self.matches_text(&other.0),
            (Some((begin, end)), Some((other_begin, other_end))) => {
                let begins = begin.starts_with(other_begin) || other_begin.starts_with(begin);
                let ends = end.ends_with(other_end) || other_end.ends_with(end);
                begins && ends
            }
        }
    }

    /// Returns the text before the first `*` and the text after the last one; `None` without a `*`.
    fn ends(&self) -> Option<(&str, &str)> {
        Some((self.0.split_once('*')?.0, self.0.rsplit_once('*')?.1))
    }

    fn matches_text(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() }; // a pattern without `*`
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }

    /// Returns whether the pattern asks for a notice of this type. It must match, and begin with the first word of the type
    /// and its dot: `inbox.*` and `inbox.filling` ask for `inbox.filling`; `*` and `*.filling` do not.
    #[must_use]
    pub fn names(&self, notice: &EventType) -> bool {
        let family = notice.as_str().split_inclusive('.').next().unwrap_or_default();
        self.0.starts_with(family) && self.matches(notice)
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
    fn a_star_matches_any_number_of_characters() {
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
            ("Scheduled *", "Scheduled Event"),
            ("注文.*", "注文.作成"),
            ("*é*", "aéb"),
            ("a?[b]", "a?[b]"),
            ("a*b", "a*b"),
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
    fn only_the_characters_of_a_type_are_allowed() {
        for bad in ["", "a\n", "\u{202e}", &"*".repeat(256)] {
            assert_eq!(Pattern::parse(bad), Err(InvalidPattern), "{bad}");
        }
        assert!(Pattern::parse(&"*".repeat(255)).is_ok());
    }

    #[test]
    fn a_pattern_names_a_notice_only_by_its_first_word() {
        let notice = EventType::parse("endpoint.failing").unwrap();
        for (pattern, is_named) in [
            ("endpoint.failing", true),
            ("endpoint.*", true),
            ("endpoint.f*", true),
            ("*", false),
            ("*.failing", false),
            ("**", false),
            ("e*", false),
            ("endpoint*", false),
            ("endpoint.disabled", false),
            ("inbox.*", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().names(&notice), is_named, "{pattern}");
        }
    }

    /// The definition of a match, in its simplest form.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|from| by_definition(rest, &text[from..])),
            Some((c, rest)) => text.first() == Some(c) && by_definition(rest, &text[1..]),
        }
    }

    #[test]
    fn patterns_overlap_if_a_type_matches_both() {
        for (a, b, overlap) in [
            ("*", "order.*", true),
            ("order.*", "order.created", true),
            ("order.*", "*.created", true),
            ("order.*", "invoice.*", false),
            ("*.created", "*.deleted", false),
            ("order.created", "order.deleted", false),
            ("a*b*c", "a*d*c", true),
        ] {
            for (a, b) in [(a, b), (b, a)] {
                let [a, b] = [a, b].map(|pattern| Pattern::parse(pattern).unwrap());
                assert_eq!(a.overlaps(&b), overlap, "{a} {b}");
            }
        }
    }

    proptest! {
        #[test]
        fn patterns_that_match_the_same_text_overlap(a in "[ab*]{1,5}", b in "[ab*]{1,5}", text in "[ab]{1,8}") {
            if matches(&a, &text) && matches(&b, &text) {
                prop_assert!(Pattern::parse(&a).unwrap().overlaps(&Pattern::parse(&b).unwrap()));
            }
        }

        #[test]
        fn an_overlap_of_short_patterns_is_found_among_all_texts(a in "[ab*]{1,4}", b in "[ab*]{1,4}") {
            let texts = (1..=8_u32).flat_map(|length| (0..1_u32 << length).map(move |bits| {
                (0..length).map(|place| if bits >> place & 1 == 0 { 'a' } else { 'b' }).collect::<String>()
            }));
            let is_found = texts.into_iter().any(|text| matches(&a, &text) && matches(&b, &text));
            prop_assert_eq!(Pattern::parse(&a).unwrap().overlaps(&Pattern::parse(&b).unwrap()), is_found);
        }

        #[test]
        fn matching_follows_the_definition(pattern in "[ab*]{1,8}", text in "[ab]{1,8}") {
            prop_assert_eq!(matches(&pattern, &text), by_definition(pattern.as_bytes(), text.as_bytes()));
        }
    }
}

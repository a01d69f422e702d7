//! The type of an event.

use std::fmt::Write;

use thiserror::Error;

/// The largest number of characters in a type.
const MAX_CHARS: usize = 255;

/// The error for text that is not an event type.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("{}", EventType::RULE)]
pub struct InvalidEventType;

/// The type of an event: 1 to 255 printable characters of any script, such as `order.created` or `Scheduled Event`. A type of
/// several hundred bytes makes a head larger than 1 KB, and each of its updates costs a second write unit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventType(String);

impl EventType {
    /// The rule for a type, for error texts.
    pub const RULE: &str = "must have 1 to 255 printable characters; correct it";

    /// Accepts 1 to 255 printable characters.
    ///
    /// # Errors
    /// [`InvalidEventType`] for any other text.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidEventType> {
        let text = text.into();
        let is_short = text.chars().nth(MAX_CHARS).is_none();
        if is_short && !text.is_empty() && text.chars().all(is_printable) {
            Ok(Self(text))
        } else {
            Err(InvalidEventType)
        }
    }

    /// Takes a type that our own code wrote into a table or a queue, without a check.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the type as the value of a header, percent-encoded as in the HTTP binding of CloudEvents (section 3.1.3.2).
    #[must_use]
    pub fn to_header(&self) -> String {
        let is_plain = |byte: u8| matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b'%');
        self.0.bytes().fold(String::with_capacity(self.0.len()), |mut header, byte| {
            let _ = if is_plain(byte) {
                write!(header, "{}", char::from(byte))
            } else {
                write!(header, "%{byte:02X}") // writing into a String cannot fail
            };
            header
        })
    }
}

/// Returns whether the character shows in a line of text: no control character, no noncharacter of Unicode, no separator
/// of lines, no byte order mark, and none that changes the direction of the text after it.
fn is_printable(c: char) -> bool {
    let is_hidden =
        matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    !is_hidden && !is_no_character(c)
}

/// Returns whether the character is a control character or a noncharacter of Unicode.
pub(super) fn is_no_character(c: char) -> bool {
    let code = u32::from(c);
    c.is_control() || matches!(code, 0xfdd0..=0xfdef) || code & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_1_to_255_printable_characters_of_any_script() {
        for good in [
            "order.created",
            "Scheduled Event",
            "bestellung/geändert",
            "注文.作成",
            "заказ создан",
            "سفارش\u{200c}ها",
            "🎉",
            "a*b?[c]",
            "\"%",
            &"é".repeat(255),
        ] {
            assert!(EventType::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a\n", "\0", "\u{7f}", "a\u{85}", "\u{2028}", "\u{202e}abc", "\u{feff}a", "\u{fffe}"]
        {
            assert_eq!(EventType::parse(bad), Err(InvalidEventType), "{bad:?}");
        }
        assert_eq!(EventType::parse("é".repeat(256)), Err(InvalidEventType));
    }

    #[test]
    fn a_header_has_the_type_percent_encoded_where_it_must() {
        for (text, header) in [
            ("order.created", "order.created"),
            ("Scheduled Event", "Scheduled%20Event"),
            ("50 % \"off\" €", "50%20%25%20%22off%22%20%E2%82%AC"),
        ] {
            assert_eq!(EventType::parse(text).unwrap().to_header(), header);
        }
    }
}

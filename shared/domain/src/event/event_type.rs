//! The type of an event.

use thiserror::Error;

/// The error for text that is not an event type.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("{}", EventType::RULE)]
pub struct InvalidEventType;

/// The type of an event: 1 to 255 letters, digits and `. _ - : /`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventType(String);

impl EventType {
    /// The rule for a type, for error texts.
    pub const RULE: &str = "must have 1 to 255 characters: A-Z, a-z, 0-9 and . _ - : /; correct it";

    /// Accepts 1 to 255 of the allowed characters.
    ///
    /// # Errors
    /// [`InvalidEventType`] for any other text.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidEventType> {
        let text = text.into();
        let allowed = |c: u8| c.is_ascii_alphanumeric() || b"._-:/".contains(&c);
        if (1..=255).contains(&text.len()) && text.bytes().all(allowed) {
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
}

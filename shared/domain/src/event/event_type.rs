//! The type of an event.

use thiserror::Error;

/// A text that is no event type.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("{}", EventType::RULE)]
pub struct InvalidEventType;

/// What kind of event: 1 to 255 letters, digits and `. _ - : /`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventType(String);

impl EventType {
    /// What a type must be.
    pub const RULE: &str = "must have 1 to 255 characters: A-Z, a-z, 0-9 and . _ - : /; correct it";

    /// Accepts a type of the allowed characters and length.
    ///
    /// # Errors
    /// [`InvalidEventType`] for anything else.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidEventType> {
        let text = text.into();
        let allowed = |c: u8| c.is_ascii_alphanumeric() || b"._-:/".contains(&c);
        if (1..=255).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text))
        } else {
            Err(InvalidEventType)
        }
    }

    /// The type that our own code wrote into a table or a queue.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

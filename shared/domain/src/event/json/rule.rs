//! The rules that a JSON text must keep, and their limits.

use std::fmt;

use thiserror::Error;

use super::pointer::shortened;

/// The largest number of characters in a number. A number within it is kept exactly as written.
pub const MAX_NUMBER_CHARS: usize = 64;

/// The limits of one text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// The largest depth of arrays and objects inside each other.
    pub depth: usize,
    /// The largest number of values. Each array, object, string, number and literal counts as one.
    pub nodes: usize,
}

/// A rule that a text can break.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Rule {
    /// The text is not JSON.
    #[error("invalid JSON at byte {0}; send JSON as in RFC 8259")]
    Syntax(usize),
    /// The text is not UTF-8.
    #[error("invalid UTF-8 at byte {0}; send JSON in UTF-8")]
    Utf8(usize),
    /// An object has two members of one name. Some parsers take the first, others the last.
    #[error("a member is sent twice in one object; send it once")]
    RepeatedKey,
    /// A `\u` escape such as `\ud83d` is one half of a surrogate pair, and stands for no character.
    #[error("a string has an unpaired surrogate; send both halves of the pair, or the character itself")]
    UnpairedSurrogate,
    /// Arrays and objects are nested too deeply. Holds the allowed depth.
    #[error("arrays and objects are nested too deeply (maximum depth is {0}); send a flatter value")]
    Depth(usize),
    /// The text has too many values. Holds the allowed number.
    #[error("there are too many values (maximum is {0}); send fewer")]
    Nodes(usize),
    /// A number has too many characters.
    #[error(
        "a number is too long (maximum is {MAX_NUMBER_CHARS} characters); shorten it, or send it as a string"
    )]
    Number,
}

/// A broken rule, and its place in the text.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub struct Violation {
    /// The broken rule.
    pub rule: Rule,
    /// The JSON pointer (RFC 6901) of the value that breaks it, or of a value around that; empty for the whole text.
    pub pointer: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pointer.is_empty() {
            write!(f, "`{}`: ", shortened(&self.pointer))?;
        }
        self.rule.fmt(f)
    }
}

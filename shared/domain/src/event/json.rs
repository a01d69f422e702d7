//! Checks JSON (RFC 8259) before it is parsed. One pass over the bytes refuses what two parsers could read differently, and
//! what costs too much to parse.
//!
//! The text is never changed: numbers, escapes and the order of members stay as the client sent them.

mod scanner;

pub mod shape;

mod node;

pub mod read;

use std::fmt;
use std::str;

use thiserror::Error;

use self::scanner::{Scanner, Step};

/// The largest number of characters in a number. A number within it is kept exactly as written.
pub const MAX_NUMBER_CHARS: usize = 64;

/// The largest size of a JSON pointer in an error, in bytes. A longer pointer ends at the last value that fits.
const MAX_POINTER_BYTES: usize = 1024;

/// The largest number of characters that an error text repeats of a client's text.
const MAX_QUOTED_CHARS: usize = 120;

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

/// Checks one text, and returns the number of its values.
///
/// ```
/// use domain::event::json::{Bounds, Rule, check};
/// let bounds = Bounds { depth: 3, nodes: 10 };
/// assert_eq!(check(br#"{"a": [1, 2.50]}"#, bounds), Ok(4));
/// let violation = check(br#"{"a": {"b": 1, "\u0062": 2}}"#, bounds).unwrap_err();
/// assert_eq!((violation.rule, violation.pointer.as_str()), (Rule::RepeatedKey, "/a/b"));
/// ```
///
/// # Errors
/// [`Violation`] with the first broken rule.
pub fn check(bytes: &[u8], bounds: Bounds) -> Result<usize, Violation> {
    if let Err(error) = str::from_utf8(bytes) {
        return Err(Violation { rule: Rule::Utf8(error.valid_up_to()), pointer: String::new() });
    }
    let mut scanner = Scanner::new(bytes, bounds);
    match scanner.text() {
        Ok(()) => Ok(scanner.nodes()),
        Err(rule) => Err(Violation { rule, pointer: pointer(&scanner.path) }),
    }
}

/// Returns the pointer of a member at the top of the text.
#[must_use]
pub fn pointer_to(key: &str) -> String {
    pointer(&[Step::Key(key.to_owned())])
}

/// Returns the pointer of the value at the end of the path. The keys are a client's and may be long, so a long pointer is
/// cut.
fn pointer<'a>(path: impl IntoIterator<Item = &'a Step>) -> String {
    let mut pointer = String::new();
    for step in path {
        let token = match step {
            Step::Key(key) => key.replace('~', "~0").replace('/', "~1"),
            Step::Index(index) => index.to_string(),
        };
        if pointer.len() + token.len() > MAX_POINTER_BYTES {
            break;
        }
        pointer.push('/');
        pointer.push_str(&token);
    }
    pointer
}

/// Returns the beginning of a client's text, as much as an error text repeats.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { depth: 32, nodes: 10_000 };

    fn rule(text: &str) -> Option<Rule> {
        check(text.as_bytes(), BOUNDS).err().map(|violation| violation.rule)
    }

    #[test]
    fn json_passes() {
        for text in [
            "0",
            "-0",
            "1E400",
            "-1.5e+10",
            "\"\"",
            " [ ] ",
            "{}",
            "null",
            "[true,false]",
            "\"\u{7f}é\u{1f600}\"",
            r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#,
            r#"{"":{"":[{}]}}"#,
            "\t\r\n1\n",
            &"1".repeat(64),
        ] {
            assert_eq!(rule(text), None, "{text}");
        }
    }

    #[test]
    fn invalid_json_is_refused_with_its_byte_offset() {
        for (text, at) in [
            ("", 0),
            ("{", 1),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("{\"a\"}", 4),
            ("{a:1}", 1),
            ("{\"a\":1,}", 7),
            ("01", 1),
            ("1.", 2),
            (".5", 0),
            ("+1", 0),
            ("1e", 2),
            ("--1", 1),
            ("NaN", 0),
            ("Infinity", 0),
            ("nul", 0),
            ("True", 0),
            ("1 x", 2),
            ("\"a", 2),
            ("\"\\x\"", 2),
            ("\"\\u12g4\"", 5),
            ("\"\n\"", 1),
            ("'a'", 0),
            ("\u{feff}1", 0),
            ("[1]]", 3),
        ] {
            assert_eq!(rule(text), Some(Rule::Syntax(at)), "{text}");
        }
        assert_eq!(check(b"\"\xff\"", BOUNDS).unwrap_err().rule, Rule::Utf8(1));
        assert_eq!(check(b"\"\xed\xa0\x80\"", BOUNDS).unwrap_err().rule, Rule::Utf8(1));
    }

    #[test]
    fn each_bound_is_exact() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!((rule(&nested(32)), rule(&nested(33))), (None, Some(Rule::Depth(32))));
        let many = |count: usize| format!("[{}1]", "1,".repeat(count - 2));
        assert_eq!((rule(&many(10_000)), rule(&many(10_001))), (None, Some(Rule::Nodes(10_000))));
        assert_eq!(rule(&"1".repeat(65)), Some(Rule::Number));
        assert_eq!(rule(&nested(1_000_000)), Some(Rule::Depth(32)), "the stack does not overflow");
    }

    #[test]
    fn unpaired_surrogates_are_refused() {
        for text in [
            r#""\ud83d""#,
            r#""\ude00""#,
            r#""\ud83d\u0041""#,
            r#""\ud83d\n""#,
            r#""\ud83dx""#,
            r#"{"\udfff":1}"#,
        ] {
            assert_eq!(rule(text), Some(Rule::UnpairedSurrogate), "{text}");
        }
    }

    #[test]
    fn the_pointer_names_the_value_that_breaks_the_rule() {
        let check = |text: &str, pointer: &str| {
            assert_eq!(check(text.as_bytes(), BOUNDS).unwrap_err().pointer, pointer, "{text}");
        };
        check(r#"{"a":[0,{"b":1,"b":2}]}"#, "/a/1/b");
        check(r#"{"a/b":{"~":[1,"\ud800"]}}"#, "/a~1b/~0/1");
        check(r#"{"a":1,"\u0061":2}"#, "/a");
        check(&format!("[1,{}]", "2".repeat(65)), "/1");
        check("x", "");
        check(&format!(r#"{{"a":{{"{}":x}}}}"#, "/".repeat(100_000)), "/a");
    }

    proptest! {
        #[test]
        fn no_text_passes_that_serde_json_refuses(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if check(&bytes, BOUNDS).is_ok() {
                prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok());
            }
        }

        #[test]
        fn serde_json_agrees_about_every_text_like_json(
            text in r#"([\[\]{}:,0-9eE.+\-" ]|true|null|"a"|"\\u00e9"|\\u0061){0,24}"#,
        ) {
            let other = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            let strict = [Some(Rule::RepeatedKey), Some(Rule::UnpairedSurrogate)];
            prop_assert!(rule(&text).is_none() == other || strict.contains(&rule(&text)), "{text}");
        }
    }
}

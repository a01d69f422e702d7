//! JSON (RFC 8259) as strictly as two readers must agree on it: before anything is parsed, one pass over the bytes
//! refuses what parsers understand differently, and what would cost too much to understand.
//!
//! The text itself is never changed: numbers, escapes and the order of members stay as they were sent.

mod scanner;

use std::str;

use thiserror::Error;

use self::scanner::{Scanner, Step};

/// More characters than this no number needs; within them it is kept exactly as written.
pub const MAX_NUMBER_CHARS: usize = 64;

/// A pointer that would be longer ends at the last value that it can name.
const MAX_POINTER_BYTES: usize = 1024;

/// How much there may be of one text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Arrays and objects within each other.
    pub depth: usize,
    /// Values in all, each array, object, string, number and literal counting once.
    pub nodes: usize,
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Rule {
    /// Not JSON.
    #[error("the body is not valid JSON at byte {0}")]
    Syntax(usize),
    /// Not UTF-8.
    #[error("the body is not valid UTF-8 at byte {0}")]
    Utf8(usize),
    /// One of two readers would take the first value, the other the last.
    #[error("an object has the same key twice")]
    RepeatedKey,
    /// `\ud83d` without its other half stands for no character.
    #[error("a string has half of a surrogate pair")]
    HalfCharacter,
    /// Too deep.
    #[error("values are nested too deeply")]
    Depth,
    /// Too many.
    #[error("there are too many values")]
    Nodes,
    /// Too long.
    #[error("a number has more than {MAX_NUMBER_CHARS} characters")]
    Number,
}

/// A broken rule, and where.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{rule}")]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// The JSON pointer (RFC 6901) of the value at fault, or of one around it; empty for the whole text.
    pub pointer: String,
}

/// Checks one text.
///
/// ```
/// use domain::event::json::{Bounds, Rule, check};
/// let bounds = Bounds { depth: 3, nodes: 10 };
/// assert_eq!(check(br#"{"a": [1, 2.50]}"#, bounds), Ok(4));
/// let violation = check(br#"{"a": {"b": 1, "\u0062": 2}}"#, bounds).unwrap_err();
/// assert_eq!((violation.rule, violation.pointer.as_str()), (Rule::RepeatedKey, "/a/b"));
/// ```
///
/// Tells how many values there are.
///
/// # Errors
/// The first rule that is broken.
pub fn check(bytes: &[u8], bounds: Bounds) -> Result<usize, Violation> {
    if let Err(error) = str::from_utf8(bytes) {
        return Err(Violation { rule: Rule::Utf8(error.valid_up_to()), pointer: String::new() });
    }
    let mut scanner = Scanner::new(bytes, bounds.nodes);
    match scanner.text(bounds.depth) {
        Ok(()) => Ok(bounds.nodes - scanner.nodes_left),
        Err(rule) => Err(Violation { rule, pointer: pointer(&scanner.path) }),
    }
}

/// The pointer to a member of the whole text.
#[must_use]
pub fn pointer_to(key: &str) -> String {
    pointer(&[Step::Key(key.to_owned())])
}

/// The pointer to the end of the path, or as far as it stays short: a client's keys may be long.
fn pointer(path: &[Step]) -> String {
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
    fn what_is_json_passes() {
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
    fn what_is_no_json_is_refused_at_its_place() {
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
        assert_eq!((rule(&nested(32)), rule(&nested(33))), (None, Some(Rule::Depth)));
        let many = |count: usize| format!("[{}1]", "1,".repeat(count - 2));
        assert_eq!((rule(&many(10_000)), rule(&many(10_001))), (None, Some(Rule::Nodes)));
        assert_eq!(rule(&"1".repeat(65)), Some(Rule::Number));
        assert_eq!(rule(&nested(1_000_000)), Some(Rule::Depth), "and no stack is used up");
    }

    #[test]
    fn half_characters_are_refused() {
        for text in [
            r#""\ud83d""#,
            r#""\ude00""#,
            r#""\ud83d\u0041""#,
            r#""\ud83d\n""#,
            r#""\ud83dx""#,
            r#"{"\udfff":1}"#,
        ] {
            assert_eq!(rule(text), Some(Rule::HalfCharacter), "{text}");
        }
    }

    #[test]
    fn the_pointer_leads_to_the_value_at_fault() {
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
        fn nothing_passes_that_another_reader_refuses(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if check(&bytes, BOUNDS).is_ok() {
                prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok());
            }
        }

        #[test]
        fn nothing_like_json_is_judged_differently_by_another_reader(
            text in r#"([\[\]{}:,0-9eE.+\-" ]|true|null|"a"|"\\u00e9"|\\u0061){0,24}"#,
        ) {
            let other = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            let strict = [Some(Rule::RepeatedKey), Some(Rule::HalfCharacter)];
            prop_assert!(rule(&text).is_none() == other || strict.contains(&rule(&text)), "{text}");
        }
    }
}

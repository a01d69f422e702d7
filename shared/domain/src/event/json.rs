//! Checks JSON (RFC 8259) before it is parsed. One pass over the bytes refuses what two parsers could read differently, and
//! what costs too much to parse.
//!
//! The text is never changed: numbers, escapes and the order of members stay as the client sent them.

pub mod canonical;
mod node;
pub mod pointer;
pub mod read;
pub mod rule;
mod scanner;
pub mod shape;
pub mod split;
pub mod whole_number;

use std::str;

use self::pointer::pointer;
use self::rule::{Bounds, Rule, Violation};
use self::scanner::Scanner;

/// Checks one text, and returns the number of its values.
///
/// ```
/// use domain::event::json::check;
/// use domain::event::json::rule::{Bounds, Rule};
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

/// Returns a text without the UTF-8 byte order mark that some senders put before it.
#[must_use]
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
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

//! Reads JSON into a type.
//!
//! `serde_json` reads the text. Only if it fails, the text is read again by a deserializer of ours, which takes `43.0` as the
//! integer 43, and whose errors keep what Serde knows about the fault (the member, the kinds, the allowed names) and the
//! path to the value. The words of `serde_json` never reach a client.

use serde::Deserialize;

use crate::event::json::node::Node;
use crate::event::json::shape::InvalidShape;

/// Reads JSON into a type.
///
/// ```
/// use domain::event::json::read::read;
/// #[derive(Debug, serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Body { limit: u16 }
/// let error = |body: &str| read::<Body>(body.as_bytes()).unwrap_err().to_string();
/// assert_eq!(error(r#"{}"#), "`/limit` is missing; add it");
/// assert_eq!(error(r#"{"limit": "1"}"#), "`/limit` is a string; send a whole number from 0 to 65535");
/// assert_eq!(error(r#"{"limt": 1}"#), "`/limt` is not a known member; allowed: `limit`; remove it or correct its name");
/// ```
///
/// # Errors
/// [`InvalidShape`] for JSON that does not fit the type. The text must be valid JSON, which
/// [`check`](crate::event::json::check) checks.
pub fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, InvalidShape> {
    serde_json::from_slice(text).or_else(|_| read_again(text))
}

/// Reads the text again, slower than `serde_json`, to learn why it does not fit.
fn read_again<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, InvalidShape> {
    let text = std::str::from_utf8(text).map_err(|_| InvalidShape::unknown())?;
    T::deserialize(Node(text.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // the fields are there to be read into
    struct Body<'a> {
        name: String,
        tier: Option<Tier>,
        small: Option<u8>,
        share: Option<f64>,
        is_open: Option<bool>,
        tags: Option<Vec<String>>,
        inner: Option<Inner>,
        pair: Option<(u8, u8)>,
        below: Option<i8>,
        #[serde(borrow)]
        payload: Option<&'a RawValue>,
        any: Option<Value>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Tier {
        Free,
        Pro,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        count: u64,
    }

    fn error(text: &str) -> (String, String) {
        let invalid = read::<Body<'_>>(text.as_bytes()).unwrap_err();
        (invalid.pointer(), invalid.to_string())
    }

    fn check(text: &str, pointer: &str, words: &str) {
        assert_eq!(error(text), (pointer.to_owned(), words.to_owned()), "{text}");
    }

    #[test]
    fn each_fault_names_its_place_what_was_found_and_what_is_allowed() {
        check("[]", "", "the body is an array; send an object");
        check("7", "", "the body is a number; send an object");
        check("{}", "/name", "`/name` is missing; add it");
        check(r#"{"name":1}"#, "/name", "`/name` is a number; send a string");
        check(r#"{"name":null}"#, "/name", "`/name` is null; send a string");
        check(
            r#"{"name":"","small":256}"#,
            "/small",
            "`/small` is a number out of range; send a whole number from 0 to 255",
        );
        check(
            r#"{"name":"","small":-1}"#,
            "/small",
            "`/small` is a number out of range; send a whole number from 0 to 255",
        );
        check(
            r#"{"name":"","small":1.5}"#,
            "/small",
            "`/small` is a number; send a whole number from 0 to 255",
        );
        check(r#"{"name":"","is_open":"\u00e9"}"#, "/is_open", "`/is_open` is a string; send true or false");
        check(r#"{"name":"","share":{}}"#, "/share", "`/share` is an object; send a number");
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction_of_zeros() {
        let small = |number: &str| {
            let text = format!(r#"{{"name":"","inner":{{"count":{number}}},"small":{number}}}"#);
            read::<Body<'_>>(text.as_bytes()).map(|body| body.small).map_err(|invalid| invalid.to_string())
        };
        for number in ["43", "43.0", "43.000"] {
            assert_eq!(small(number), Ok(Some(43)), "{number}");
        }
        for number in ["43.5", "43.01", "4.30e1", "\"43.0\""] {
            assert!(small(number).is_err(), "{number}");
        }
        let words = "`/small` is a number out of range; send a whole number from 0 to 255";
        assert_eq!(small("256.0"), Err(words.to_owned()));
    }

    #[test]
    fn a_fault_inside_a_member_names_the_whole_path() {
        check(r#"{"name":"","tags":["a",[]]}"#, "/tags/1", "`/tags/1` is an array; send a string");
        check(r#"{"name":"","tags":true}"#, "/tags", "`/tags` is a boolean; send an array");
        check(r#"{"name":"","inner":{}}"#, "/inner/count", "`/inner/count` is missing; add it");
        check(r#"{"name":"","inner":7}"#, "/inner", "`/inner` is a number; send an object");
        check(r#"{"name":"","tier":7}"#, "/tier", "`/tier` is a number; send a string");
        check(
            r#"{"name":"","tier":"gold"}"#,
            "/tier",
            "`/tier` has a value that is not known; send one of `free`, `pro`",
        );
        check(
            r#"{"name":"","inner":{"a/b":1}}"#,
            "/inner/a~1b",
            "`/inner/a~1b` is not a known member; allowed: `count`; remove it or correct its name",
        );
        check(r#"{"name":"","name":""}"#, "/name", "`/name` is sent twice; send it once");
    }

    #[test]
    fn a_fault_without_known_words_still_names_its_place() {
        for (text, pointer) in
            [(r#"{"name":"","pair":[1]}"#, "/pair"), (r#"{"name":"","below":true}"#, "/below")]
        {
            assert_eq!(error(text).0, pointer, "{text}");
        }
    }

    #[test]
    fn the_text_repeats_little_of_a_long_name() {
        let (pointer, words) = error(&format!(r#"{{"{}":1}}"#, "x".repeat(100_000)));
        assert!(pointer.len() <= 1024 && words.len() < 500, "{words}");
    }

    proptest! {
        #[test]
        fn a_value_that_serde_json_refuses_is_refused_with_a_reason_and_no_other_is_refused(
            name in prop_oneof![Just(json!("a")), Just(json!(1))],
            member in "small|share|is_open|tags|inner|pair|below|payload|any|tier|other",
            value in prop_oneof![
                Just(json!(null)), Just(json!(true)), Just(json!(-1)), Just(json!(300)), Just(json!(1.5)), Just(json!("pro")),
                Just(json!("a\n")), Just(json!([])), Just(json!([1, 2])), Just(json!(["a"])), Just(json!({})),
                Just(json!({"count": 1})), Just(json!({"count": -1})),
            ],
        ) {
            let mut body = json!({"name": name});
            body[member.as_str()] = value;
            let text = body.to_string();
            let known_to_fit = serde_json::from_str::<Body<'_>>(&text).is_ok();
            let explained = Body::deserialize(Node(&text));
            prop_assert_eq!(known_to_fit, explained.is_ok(), "{}", text);
            if let Err(invalid) = explained {
                prop_assert!(!invalid.pointer().is_empty(), "{}: {}", text, invalid);
                prop_assert!(!invalid.to_string().contains("documented form"), "{}: {}", text, invalid);
            }
        }
    }
}

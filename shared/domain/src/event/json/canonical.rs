//! The canonical text of a JSON value: the same for every spelling of the value. It is hashed, never stored or sent.

use serde_json::value::RawValue;

use super::node::Members;

/// Returns the canonical text of a value that [`check`](super::check) accepted: members sorted by their names, no white
/// space, the shortest escapes, numbers as written. A text that is not JSON is returned unchanged.
///
/// ```
/// use domain::event::json::canonical::canonical;
/// assert_eq!(canonical(r#" { "b": [1.50 , "\u0061\/"], "a": null } "#), r#"{"a":null,"b":[1.50,"a/"]}"#);
/// ```
#[must_use]
pub fn canonical(text: &str) -> String {
    let mut canonical = String::with_capacity(text.len());
    write(text.trim_ascii(), &mut canonical).map_or_else(|_| text.to_owned(), |()| canonical)
}

fn write(text: &str, canonical: &mut String) -> serde_json::Result<()> {
    match text.as_bytes().first() {
        Some(b'{') => {
            let Members(mut members) = serde_json::from_str(text)?;
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            let mut separator = '{';
            for (name, value) in &members {
                canonical.push(separator);
                canonical.push_str(&serde_json::to_string(name)?);
                canonical.push(':');
                write(value.get(), canonical)?;
                separator = ',';
            }
            canonical.push_str(if members.is_empty() { "{}" } else { "}" });
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            let mut separator = '[';
            for item in &items {
                canonical.push(separator);
                write(item.get(), canonical)?;
                separator = ',';
            }
            canonical.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Some(b'"') => {
            let value: String = serde_json::from_str(text)?;
            canonical.push_str(&serde_json::to_string(&value)?);
        }
        _ => canonical.push_str(text), // a number, or a literal
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_value_has_one_canonical_text() {
        for (one, other) in [
            ("[ 1 ,2\n]", "[1,2]"),
            (r#"{"b":1,"a":{"d":2,"c":[]}}"#, "{ \"a\" : {\"c\":[ ],\"d\":2} ,\t\"b\":1}"),
            (r#""\u00e9\ud83d\ude00\/\u0041""#, "\"é😀/A\""),
            (r#"{"\u0061":1}"#, r#"{"a":1}"#),
            (" {} ", "{}"),
        ] {
            assert_eq!(canonical(one), canonical(other), "{one}");
        }
    }

    #[test]
    fn other_values_have_another_canonical_text() {
        let texts = [
            "1",
            "1.0",
            "1e0",
            "-0",
            "0",
            "\"1\"",
            "null",
            "\"null\"",
            "[]",
            "{}",
            "[[]]",
            "[1,2]",
            "[2,1]",
            r#"{"a":1}"#,
            r#"["a",1]"#,
            r#""\"a\":1""#,
            r#""\\u0061""#,
            r#""a""#,
            r#""\n""#,
            r#""\\n""#,
        ];
        let all: std::collections::BTreeSet<_> = texts.iter().map(|text| canonical(text)).collect();
        assert_eq!(all.len(), texts.len());
    }
}

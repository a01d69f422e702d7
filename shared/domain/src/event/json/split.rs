//! Splits an array into its items although some of them are not JSON, so that one bad item of a batch harms no other.

/// Splits the array of a JSON text, byte by byte: outside of strings, an item ends at a comma or at the end of the array
/// that no bracket within the item encloses. With a `member`, the array is the value of this only member of an object.
/// Returns `None` for a text whose brackets or quotes do not match, or that has an empty item. The items are not checked.
///
/// ```
/// use domain::event::json::split::split;
/// let items = |text: &'static str| split(text.as_bytes(), None);
/// assert_eq!(items("[{\"a\":}, \",]\" ]"), Some(vec![&b"{\"a\":}"[..], b"\",]\""]));
/// assert_eq!(items("[{]}]"), None);
/// assert_eq!(split(b"{\"events\": [1, 2]}", Some("events")), Some(vec![&b"1"[..], b"2"]));
/// ```
#[must_use]
pub fn split<'a>(text: &'a [u8], member: Option<&str>) -> Option<Vec<&'a [u8]>> {
    let mut array = text.trim_ascii();
    if let Some(member) = member {
        let inside = array.strip_prefix(b"{")?.strip_suffix(b"}")?.trim_ascii();
        let value = inside.strip_prefix(format!("\"{member}\"").as_bytes())?.trim_ascii_start();
        array = value.strip_prefix(b":")?.trim_ascii();
    }
    items(array.strip_prefix(b"[")?.strip_suffix(b"]")?)
}

/// Splits the text between the brackets of an array.
fn items(inside: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut items, mut begin, mut at) = (Vec::new(), 0, 0);
    let mut open = Vec::new();
    while let Some(byte) = inside.get(at) {
        match byte {
            b'"' => at += string_length(&inside[at..])? - 1,
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            b'}' | b']' if open.pop() != Some(*byte) => return None,
            b',' if open.is_empty() => {
                items.push(inside[begin..at].trim_ascii());
                begin = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    let last = inside[begin..].trim_ascii();
    if !last.is_empty() || !items.is_empty() {
        items.push(last);
    }
    (open.is_empty() && items.iter().all(|item| !item.is_empty())).then_some(items)
}

/// Returns the number of bytes of the string at the beginning of a text, with its quotes.
fn string_length(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn what_is_broken_inside_an_item_does_not_matter() {
        for (text, count) in [
            ("[]", 0),
            (" [ ] ", 0),
            ("[{\"a\":nul},2]", 2),
            ("[{\"a\" 1},{\"b\",},[,]]", 3),
            (r#"["\"],[",{"a":"}"}]"#, 2),
        ] {
            assert_eq!(split(text.as_bytes(), None).map(|items| items.len()), Some(count), "{text}");
        }
        assert_eq!(split(b"[\"\xff\",1]", None), Some(vec![&b"\"\xff\""[..], b"1"]));
    }

    #[test]
    fn what_cannot_be_split_is_refused() {
        for text in ["", "[", "1", "[1,]", "[,1]", "[1,,2]", "[\"a]", "[[1]", "[{]}]", "[1]]", "[\"\\\"]"] {
            assert_eq!(split(text.as_bytes(), None), None, "{text}");
        }
        for text in ["{}", "[1]", r#"{"events":7}"#, r#"{"events":[1],"a":[2]}"#, r#"{"other":[1]}"#] {
            assert_eq!(split(text.as_bytes(), Some("events")), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn valid_arrays_are_split_as_serde_json_splits_them(
            items in prop::collection::vec(
                prop_oneof![
                    "[a-z\"\\\\\\[\\]{},é ]{0,8}".prop_map(Value::from),
                    Just(serde_json::json!({"a": [1, {"b": "]},"}]})),
                    Just(serde_json::json!([[], {}])),
                    Just(Value::Null),
                ],
                0..6,
            ),
        ) {
            let text = Value::from(items).to_string();
            let expected: Vec<&RawValue> = serde_json::from_str(&text).unwrap();
            let expected: Vec<&[u8]> = expected.into_iter().map(|item| item.get().as_bytes()).collect();
            prop_assert_eq!(split(text.as_bytes(), None), Some(expected));
        }
    }
}

//! Values and items, to `DynamoDB` and back.
//!
//! A newer version may write attributes that this one does not know: a set, a null, a fraction. Reading leaves out such an
//! attribute, so that the rest of the item stays readable, and the reader of that attribute fails as
//! [`Unreadable`](store::item::Unreadable). Therefore an item that was read MUST NOT be put back whole by code that did not
//! write all of it; an update leaves the other attributes as they are.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use store::item::{Item, Key, Name, Value};

/// An item as `DynamoDB` has it.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// Returns an item as `DynamoDB` has it.
pub(crate) fn attributes(item: &Item) -> Attributes {
    item.iter().map(|(name, value)| (name.to_owned(), attribute(value))).collect()
}

/// Returns a key as `DynamoDB` has it; without `sk` for a table that has none.
pub(crate) fn key_attributes(key: &Key) -> Attributes {
    let sort = (!key.sk.is_empty()).then_some(("sk", &key.sk));
    let parts = [("pk", &key.pk)].into_iter().chain(sort);
    parts.map(|(name, text)| (name.to_owned(), AttributeValue::S(text.clone()))).collect()
}

/// Returns a value as `DynamoDB` has it.
pub(crate) fn attribute(value: &Value) -> AttributeValue {
    match value {
        Value::S(text) => AttributeValue::S(text.clone()),
        Value::N(number) => AttributeValue::N(number.to_string()),
        Value::B(bytes) => AttributeValue::B(Blob::new(bytes.clone())),
        Value::Bool(flag) => AttributeValue::Bool(*flag),
        Value::L(list) => AttributeValue::L(list.iter().map(attribute).collect()),
        Value::M(map) => AttributeValue::M(attributes(map)),
    }
}

/// Reads an item, without the attributes that this version does not know.
pub(crate) fn item(attributes: Attributes) -> Item {
    let known = |(name, attribute)| Some((Name::Owned(name), value(attribute)?));
    attributes.into_iter().filter_map(known).collect()
}

/// Reads a value; `None` for one that this version does not know. A list with an unknown value in it is unknown as a whole,
/// since a shorter list would say something else; a map is known without it, as an item is.
fn value(attribute: AttributeValue) -> Option<Value> {
    Some(match attribute {
        AttributeValue::S(text) => Value::S(text),
        AttributeValue::N(digits) => Value::N(digits.parse().ok()?),
        AttributeValue::B(bytes) => Value::B(bytes.into_inner()),
        AttributeValue::Bool(flag) => Value::Bool(flag),
        AttributeValue::L(list) => Value::L(list.into_iter().map(value).collect::<Option<_>>()?),
        AttributeValue::M(map) => Value::M(item(map)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use store::item::Unreadable;

    use super::*;

    fn number(digits: &str) -> AttributeValue {
        AttributeValue::N(digits.to_owned())
    }

    #[test]
    fn an_item_comes_back_as_it_was_written() {
        let map = Item::from([("z", "last".into()), ("a", Value::L(vec![1_u8.into(), true.into()]))]);
        let written = Item::from([
            ("pk", "t#1".into()),
            ("sk", "é\u{1f600}".into()),
            ("least", i128::MIN.into()),
            ("most", i128::MAX.into()),
            ("bytes", vec![0, 255].into()),
            ("nothing", String::new().into()),
            ("map", map.into()),
            ("none", Item::default().into()),
        ]);
        assert_eq!(item(attributes(&written)), written);
    }

    #[test]
    fn a_key_without_a_sort_key_is_one_attribute() {
        let names = |key: &Key| {
            let mut names: Vec<_> = key_attributes(key).into_keys().collect();
            names.sort();
            names
        };
        assert_eq!(names(&Key::without_sort("a")), ["pk"]);
        assert_eq!(names(&Key::new("a", "b")), ["pk", "sk"]);
        assert_eq!(key_attributes(&Key::new("a", "b")), attributes(&Key::new("a", "b").into_item()));
    }

    #[test]
    fn an_attribute_of_a_newer_version_is_unreadable_and_hides_nothing_else() {
        let newer = [
            AttributeValue::Null(true),
            AttributeValue::Ss(vec!["a".to_owned()]),
            AttributeValue::Ns(vec!["1".to_owned()]),
            AttributeValue::Bs(vec![Blob::new([1])]),
            AttributeValue::L(vec![number("1"), AttributeValue::Null(true)]),
            number("0.5"),
            number("1E+125"),
            number(""),
        ];
        for newer in newer {
            let read = item(Attributes::from([("new".to_owned(), newer), ("old".to_owned(), number("7"))]));
            assert_eq!(read.number::<u64>("old"), Ok(7));
            assert_eq!(read.number::<u64>("new"), Err(Unreadable("new")));
            assert_eq!(read.texts("new"), Err(Unreadable("new")));
        }
        let map = Attributes::from([("new".to_owned(), number("0.5")), ("old".to_owned(), number("7"))]);
        let read = item(Attributes::from([("map".to_owned(), AttributeValue::M(map))]));
        assert_eq!(read.map("map"), Ok(&Item::from([("old", 7_u8.into())])));
    }
}

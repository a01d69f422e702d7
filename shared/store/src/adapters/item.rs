//! `DynamoDB` items: small readers and writers of typed attributes.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use thiserror::Error;

/// An item, or a map within one.
pub(super) type Item = HashMap<String, AttributeValue>;

/// An item that our own code did not write.
#[derive(Debug, Error)]
#[error("the attribute {0} is absent or of another form")]
pub(super) struct Unreadable(pub(super) &'static str);

/// A string attribute.
pub(super) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number attribute.
pub(super) fn n(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A binary attribute.
pub(super) fn b(bytes: Vec<u8>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// An item of these attributes.
pub(super) fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A string that must be there.
pub(super) fn text<'a>(item: &'a Item, name: &'static str) -> Result<&'a str, Unreadable> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str).ok_or(Unreadable(name))
}

/// A number that must be there.
pub(super) fn number(item: &Item, name: &'static str) -> Result<u64, Unreadable> {
    item.get(name).and_then(number_of).ok_or(Unreadable(name))
}

/// The value of a number attribute; `None` for one of another form.
pub(super) fn number_of(value: &AttributeValue) -> Option<u64> {
    value.as_n().ok()?.parse().ok()
}

/// Bytes that may be there.
pub(super) fn bytes(item: &Item, name: &str) -> Option<Vec<u8>> {
    item.get(name).and_then(|value| value.as_b().ok()).map(|blob| blob.clone().into_inner())
}

/// A map that must be there.
pub(super) fn map<'a>(item: &'a Item, name: &'static str) -> Result<&'a Item, Unreadable> {
    item.get(name).and_then(|value| value.as_m().ok()).ok_or(Unreadable(name))
}

/// The key of an item of a table whose keys are `pk` and `sk`.
pub(super) fn key_of(item: &Item) -> Item {
    let is_key = |name: &str| matches!(name, "pk" | "sk");
    item.iter().filter(|(name, _)| is_key(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

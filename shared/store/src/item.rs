//! The items of a table: named, typed values.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use thiserror::Error;

/// The name of an attribute.
pub type Name = Cow<'static, str>;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string.
    S(String),
    /// An integer. `DynamoDB` keeps 38 digits.
    N(i128),
    /// Bytes.
    B(Vec<u8>),
    /// A boolean.
    Bool(bool),
    /// A list.
    L(Vec<Value>),
    /// A map.
    M(Item),
}

/// An item of a table, or a map within one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item(BTreeMap<Name, Value>);

/// The primary key of an item.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key; empty in a table that has none.
    pub sk: String,
}

/// An attribute that is missing or invalid.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the attribute {0} is missing or invalid")]
pub struct Unreadable(pub &'static str);

impl Key {
    /// Returns the key with this partition key and this sort key.
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// Returns the key of the one item of a partition, in a table without a sort key.
    pub fn without_sort(pk: impl Into<String>) -> Self {
        Self::new(pk, "")
    }

    /// Returns the key as the attributes `pk` and, if it has one, `sk`.
    #[must_use]
    pub fn into_item(self) -> Item {
        let sort = (!self.sk.is_empty()).then_some(self.sk);
        Item::from([("pk", self.pk.into())]).with_some("sk", sort)
    }
}

impl<const N: usize> From<[(&'static str, Value); N]> for Item {
    fn from(attributes: [(&'static str, Value); N]) -> Self {
        Self(attributes.into_iter().map(|(name, value)| (Name::Borrowed(name), value)).collect())
    }
}

impl FromIterator<(Name, Value)> for Item {
    fn from_iter<I: IntoIterator<Item = (Name, Value)>>(attributes: I) -> Self {
        Self(attributes.into_iter().collect())
    }
}

impl IntoIterator for Item {
    type Item = (Name, Value);
    type IntoIter = std::collections::btree_map::IntoIter<Name, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Item {
    /// Returns the item with this attribute added or replaced.
    #[must_use]
    pub fn with(mut self, name: impl Into<Name>, value: impl Into<Value>) -> Self {
        self.insert(name, value);
        self
    }

    /// Returns the item with this attribute added or replaced if there is a value.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Returns the item with the attributes of `other` added. They replace attributes of the same name.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Returns the item with the attributes of this key.
    #[must_use]
    pub fn at(self, key: Key) -> Self {
        self.and(key.into_item())
    }

    /// Adds or replaces an attribute.
    pub fn insert(&mut self, name: impl Into<Name>, value: impl Into<Value>) {
        self.0.insert(name.into(), value.into());
    }

    /// Removes an attribute, and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// Returns the attributes, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// Returns the attributes with names that can be shared, sorted by name.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&Name, &Value)> {
        self.0.iter()
    }

    /// Returns the size of the item in bytes, as `DynamoDB` counts it.
    #[must_use]
    pub fn size(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.size()).sum()
    }

    /// Returns whether there is no attribute.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether there is an attribute of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns the value of an attribute.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Returns the primary key.
    ///
    /// # Errors
    /// [`Unreadable`] if the item has no key, for example a map within another item.
    pub fn key(&self) -> Result<Key, Unreadable> {
        Ok(Key::new(self.text("pk")?, self.text("sk").unwrap_or_default()))
    }

    /// Returns a string.
    ///
    /// # Errors
    /// [`Unreadable`] if the attribute is missing or not a string.
    pub fn text(&self, name: &'static str) -> Result<&str, Unreadable> {
        match self.0.get(name) {
            Some(Value::S(text)) => Ok(text),
            _ => Err(Unreadable(name)),
        }
    }

    /// Returns an integer.
    ///
    /// # Errors
    /// [`Unreadable`] if the attribute is missing, not a number, or out of range.
    pub fn number<T: TryFrom<i128>>(&self, name: &'static str) -> Result<T, Unreadable> {
        match self.0.get(name) {
            Some(Value::N(number)) => T::try_from(*number).map_err(|_| Unreadable(name)),
            _ => Err(Unreadable(name)),
        }
    }

    /// Returns bytes.
    ///
    /// # Errors
    /// [`Unreadable`] if the attribute is missing or not bytes.
    pub fn bytes(&self, name: &'static str) -> Result<&[u8], Unreadable> {
        match self.0.get(name) {
            Some(Value::B(bytes)) => Ok(bytes),
            _ => Err(Unreadable(name)),
        }
    }

    /// Returns a map.
    ///
    /// # Errors
    /// [`Unreadable`] if the attribute is missing or not a map.
    pub fn map(&self, name: &'static str) -> Result<&Self, Unreadable> {
        match self.0.get(name) {
            Some(Value::M(map)) => Ok(map),
            _ => Err(Unreadable(name)),
        }
    }

    /// Returns a list of strings.
    ///
    /// # Errors
    /// [`Unreadable`] if the attribute is missing or not a list of strings.
    pub fn texts(&self, name: &'static str) -> Result<Vec<&str>, Unreadable> {
        let Some(Value::L(list)) = self.0.get(name) else { return Err(Unreadable(name)) };
        let mut texts = Vec::with_capacity(list.len());
        for value in list {
            let Value::S(text) = value else { return Err(Unreadable(name)) };
            texts.push(text.as_str());
        }
        Ok(texts)
    }

    /// Returns whether the attribute is the boolean `true`.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Bool(true))
    }

    /// Returns a timestamp. It is stored in milliseconds since the epoch.
    ///
    /// # Errors
    /// [`Unreadable`] if the attribute is missing or not a timestamp.
    pub fn timestamp(&self, name: &'static str) -> Result<Timestamp, Unreadable> {
        self.number(name).map(Timestamp::from_millis)
    }

    /// Returns a tenant id. Our own code wrote it, from a credential.
    ///
    /// # Errors
    /// [`Unreadable`] if the attribute is missing or not a string.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads a stored tenant id")]
    pub fn tenant(&self, name: &'static str) -> Result<TenantId, Unreadable> {
        self.text(name).map(TenantId::from_stored)
    }
}

impl Value {
    /// Returns the size of the value in bytes, as `DynamoDB` counts it.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::S(text) => text.len(),
            Self::N(number) => {
                let digits = number.unsigned_abs().checked_ilog10().map_or(1, |log| log as usize + 1);
                (digits + usize::from(*number < 0)).div_ceil(2) + 1
            }
            Self::B(bytes) => bytes.len(),
            Self::Bool(_) => 1,
            Self::L(list) => 3 + list.iter().map(|value| 1 + value.size()).sum::<usize>(),
            Self::M(map) => 3 + map.iter().map(|(name, value)| 1 + name.len() + value.size()).sum::<usize>(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::S(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::S(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::B(bytes)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<Item> for Value {
    fn from(map: Item) -> Self {
        Self::M(map)
    }
}

impl From<Timestamp> for Value {
    /// Returns the time in milliseconds since the epoch.
    fn from(time: Timestamp) -> Self {
        Self::N(time.millis().into())
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl From<$number> for Value {
            fn from(number: $number) -> Self {
                Self::N(number.into())
            }
        })*
    };
}

numbers!(u8, u16, u32, u64, i64, i128);

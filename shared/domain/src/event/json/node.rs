//! A Serde deserializer over one JSON value, whose errors are [`InvalidShape`].

use std::fmt;

use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::value::RawValue;

use crate::event::json::shape::InvalidShape;
use crate::event::json::whole_number::without_zero_fraction;

/// One value of a text, without white space around it.
pub(super) struct Node<'de>(pub(super) &'de str);

impl<'de> Node<'de> {
    fn parse<T: Deserialize<'de>>(&self) -> Result<T, InvalidShape> {
        serde_json::from_str(self.0).map_err(|_| InvalidShape::unknown())
    }

    fn visit_number<V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, InvalidShape> {
        if let Ok(number) = self.0.parse() {
            return visitor.visit_u64(number);
        }
        if let Ok(number) = self.0.parse() {
            return visitor.visit_i64(number);
        }
        let number = self.0.parse().ok().filter(|number: &f64| number.is_finite());
        visitor.visit_f64(number.ok_or_else(InvalidShape::unknown)?)
    }
}

/// Reads integers, which may have a fraction of zeros.
macro_rules! integers {
    ($($method:ident)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidShape> {
                Node(without_zero_fraction(self.0)).deserialize_any(visitor)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = InvalidShape;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidShape> {
        match self.0.as_bytes().first() {
            Some(b'{') => {
                let Members(members) = self.parse()?;
                visitor.visit_map(MembersAccess { left: members.into_iter(), next: None })
            }
            Some(b'[') => {
                let items: Vec<&'de RawValue> = self.parse()?;
                visitor.visit_seq(ItemsAccess { left: items.into_iter().enumerate() })
            }
            Some(b'"') => match self.parse::<&'de str>() {
                Ok(text) => visitor.visit_borrowed_str(text),
                Err(_) => visitor.visit_string(self.parse()?), // a string with escapes
            },
            Some(b't' | b'f') => visitor.visit_bool(self.parse()?),
            Some(b'n') => visitor.visit_unit(),
            _ => self.visit_number(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidShape> {
        if self.0 == "null" { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, InvalidShape> {
        if name.starts_with('$') {
            // `RawValue` asks `serde_json` for the text of the value by a name of this form
            let raw = serde_json::Deserializer::from_str(self.0).deserialize_newtype_struct(name, visitor);
            return raw.map_err(|_| InvalidShape::unknown());
        }
        visitor.visit_newtype_struct(self)
    }

    /// Refuses an array: Serde accepts one with the members' values, and no document of ours allows that.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InvalidShape> {
        if self.0.starts_with('[') {
            return Err(InvalidShape::wrong_kind("an array", "an object"));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InvalidShape> {
        if !self.0.starts_with('"') {
            return self.deserialize_str(NotAString(visitor));
        }
        let variant: StringDeserializer<InvalidShape> = self.parse::<String>()?.into_deserializer();
        visitor.visit_enum(variant)
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct
        map identifier ignored_any
    }
}

/// Refuses every value where the name of a variant is expected.
struct NotAString<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for NotAString<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
}

/// The members of an object in their order.
pub(super) struct Members<'de>(pub(super) Vec<(String, &'de RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

struct MembersAccess<'de> {
    left: std::vec::IntoIter<(String, &'de RawValue)>,
    next: Option<(String, &'de RawValue)>,
}

impl<'de> MapAccess<'de> for MembersAccess<'de> {
    type Error = InvalidShape;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, InvalidShape> {
        self.next = self.left.next();
        let Some((key, _)) = &self.next else { return Ok(None) };
        let key: StrDeserializer<'_, InvalidShape> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, InvalidShape> {
        let (key, value) = self.next.take().ok_or_else(InvalidShape::unknown)?;
        seed.deserialize(Node(value.get())).map_err(|invalid| invalid.within(&key))
    }
}

struct ItemsAccess<'de> {
    left: std::iter::Enumerate<std::vec::IntoIter<&'de RawValue>>,
}

impl<'de> SeqAccess<'de> for ItemsAccess<'de> {
    type Error = InvalidShape;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, InvalidShape> {
        let Some((index, item)) = self.left.next() else { return Ok(None) };
        seed.deserialize(Node(item.get())).map(Some).map_err(|invalid| invalid.within_item(index))
    }
}

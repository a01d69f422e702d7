//! Conditions on an item: for a write they decide whether it is made, for a query which items it returns.

use crate::item::{Item, Name, Value};

/// A condition on one item.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The attribute is there.
    Exists(Name),
    /// The attribute is not there.
    Absent(Name),
    /// The attribute is there, and compares like this with the value.
    Compare(Name, Comparison, Value),
    /// The attribute is there, and equal to one of the values.
    IsIn(Name, Vec<Value>),
    /// All of them hold.
    All(Vec<Condition>),
    /// One of them holds.
    Any(Vec<Condition>),
}

/// How an attribute compares with a value of the same type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Comparison {
    /// Equal.
    Equal,
    /// Not equal.
    Differs,
    /// Less.
    Less,
    /// Less or equal.
    AtMost,
    /// Greater.
    Greater,
}

/// Holds where the attribute is there.
pub fn exists(name: impl Into<Name>) -> Condition {
    Condition::Exists(name.into())
}

/// Holds where the attribute is not there.
pub fn absent(name: impl Into<Name>) -> Condition {
    Condition::Absent(name.into())
}

/// Holds where the attribute is equal to this value.
pub fn equals(name: impl Into<Name>, value: impl Into<Value>) -> Condition {
    Condition::Compare(name.into(), Comparison::Equal, value.into())
}

/// Holds where the attribute is not there, or has another value.
pub fn differs(name: impl Into<Name>, value: impl Into<Value>) -> Condition {
    let name = name.into();
    absent(name.clone()).or(Condition::Compare(name, Comparison::Differs, value.into()))
}

/// Holds where the attribute is less than this value.
pub fn less(name: impl Into<Name>, value: impl Into<Value>) -> Condition {
    Condition::Compare(name.into(), Comparison::Less, value.into())
}

/// Holds where the attribute is this value or less.
pub fn at_most(name: impl Into<Name>, value: impl Into<Value>) -> Condition {
    Condition::Compare(name.into(), Comparison::AtMost, value.into())
}

/// Holds where the attribute is greater than this value.
pub fn greater(name: impl Into<Name>, value: impl Into<Value>) -> Condition {
    Condition::Compare(name.into(), Comparison::Greater, value.into())
}

/// Holds where the attribute is one of these values.
pub fn is_in<V: Into<Value>>(name: impl Into<Name>, values: impl IntoIterator<Item = V>) -> Condition {
    Condition::IsIn(name.into(), values.into_iter().map(Into::into).collect())
}

impl Condition {
    /// Returns the condition that both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::All(mut all) => {
                all.push(other);
                Self::All(all)
            }
            one => Self::All(vec![one, other]),
        }
    }

    /// Returns the condition that this one holds, and the other too where there is one.
    #[must_use]
    pub fn and_some(self, other: Option<Self>) -> Self {
        match other {
            Some(other) => self.and(other),
            None => self,
        }
    }

    /// Returns the condition that one of both holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Any(mut any) => {
                any.push(other);
                Self::Any(any)
            }
            one => Self::Any(vec![one, other]),
        }
    }

    /// Returns whether the condition holds for an item; an item that does not exist has no attributes.
    #[must_use]
    pub fn holds(&self, item: &Item) -> bool {
        match self {
            Self::Exists(name) => item.has(name),
            Self::Absent(name) => !item.has(name),
            Self::Compare(name, comparison, value) => {
                item.get(name).is_some_and(|found| comparison.holds(found, value))
            }
            Self::IsIn(name, values) => item.get(name).is_some_and(|found| values.contains(found)),
            Self::All(all) => all.iter().all(|condition| condition.holds(item)),
            Self::Any(any) => any.iter().any(|condition| condition.holds(item)),
        }
    }
}

impl Comparison {
    fn holds(self, found: &Value, value: &Value) -> bool {
        let order = match (found, value) {
            (Value::S(a), Value::S(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Value::N(a), Value::N(b)) => a.cmp(b),
            (Value::B(a), Value::B(b)) => a.cmp(b),
            _ => return self == Self::Equal && found == value || self == Self::Differs && found != value,
        };
        match self {
            Self::Equal => order.is_eq(),
            Self::Differs => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
        }
    }
}

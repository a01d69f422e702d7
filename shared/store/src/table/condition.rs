//! Conditions on an item. The condition of a write decides whether it is made. The filter of a query decides which
//! items it returns.

use crate::item::{Item, Name, Value};

/// A condition on one item.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The attribute exists.
    Exists(Name),
    /// The attribute is missing.
    Absent(Name),
    /// The attribute exists, and the comparison with the value holds.
    Compare(Name, Comparison, Value),
    /// The attribute exists, and is equal to one of the values.
    IsIn(Name, Vec<Value>),
    /// All conditions hold.
    All(Vec<Condition>),
    /// At least one condition holds.
    Any(Vec<Condition>),
}

/// The comparison of an attribute with a value of the same type.
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

/// Returns the condition that the attribute exists.
pub fn exists(name: impl Into<Name>) -> Condition {
    Condition::Exists(name.into())
}

/// Returns the condition that the attribute is missing.
pub fn absent(name: impl Into<Name>) -> Condition {
    Condition::Absent(name.into())
}

/// Returns the condition that the attribute is equal to this value.
pub fn equals(name: impl Into<Name>, value: impl Into<Value>) -> Condition {
    Condition::Compare(name.into(), Comparison::Equal, value.into())
}

/// Returns the condition that the attribute is missing or has another value.
pub fn differs(name: impl Into<Name>, value: impl Into<Value>) -> Condition {
    let name = name.into();
    absent(name.clone()).or(Condition::Compare(name, Comparison::Differs, value.into()))
}

/// Returns the condition that the attribute is less than this value.
pub fn less(name: impl Into<Name>, value: impl Into<Value>) -> Condition {
    Condition::Compare(name.into(), Comparison::Less, value.into())
}

/// Returns the condition that the attribute is at most this value.
pub fn at_most(name: impl Into<Name>, value: impl Into<Value>) -> Condition {
    Condition::Compare(name.into(), Comparison::AtMost, value.into())
}

/// Returns the condition that the attribute is missing, or is at most this value.
pub fn absent_or_at_most(name: impl Into<Name>, value: impl Into<Value>) -> Condition {
    let name = name.into();
    absent(name.clone()).or(at_most(name, value))
}

/// Returns the condition that the attribute `name` is greater than `value`.
pub fn greater(name: impl Into<Name>, value: impl Into<Value>) -> Condition {
    Condition::Compare(name.into(), Comparison::Greater, value.into())
}

/// Returns the condition that the attribute is one of these values.
pub fn is_in<V: Into<Value>>(name: impl Into<Name>, values: impl IntoIterator<Item = V>) -> Condition {
    Condition::IsIn(name.into(), values.into_iter().map(Into::into).collect())
}

impl Condition {
    /// Returns the condition that both conditions hold.
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

    /// Returns the condition that this one holds, and also the other if there is one.
    #[must_use]
    pub fn and_some(self, other: Option<Self>) -> Self {
        match other {
            Some(other) => self.and(other),
            None => self,
        }
    }

    /// Returns the condition that at least one of both holds.
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

//! Writes to a table, and their outcomes.

use super::condition::Condition;
use crate::item::{Item, Key, Name, Value};

/// Puts an item, and replaces the stored item.
#[derive(Clone, Debug, PartialEq)]
pub struct Put {
    /// The item, with its key.
    pub item: Item,
    /// Whether a refused put returns the stored item.
    pub returns: bool,
    /// The condition on the stored item.
    pub condition: Option<Condition>,
}

/// Changes attributes of an item. Creates the item if there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The key of the item.
    pub key: Key,
    /// The attributes that are set.
    pub sets: Vec<(Name, Value)>,
    /// The numbers that are added to attributes. A missing attribute counts as 0.
    pub adds: Vec<(Name, i128)>,
    /// The attributes that are removed.
    pub removes: Vec<Name>,
    /// Whether the update returns the new values of the changed attributes, and a refused update the stored item.
    pub returns: bool,
    /// The condition on the stored item.
    pub condition: Option<Condition>,
}

/// Deletes an item.
#[derive(Clone, Debug, PartialEq)]
pub struct Delete {
    /// The key of the item.
    pub key: Key,
    /// The condition on the stored item.
    pub condition: Option<Condition>,
}

/// One write of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Puts an item.
    Put(Put),
    /// Changes an item.
    Update(Update),
    /// Deletes an item.
    Delete(Delete),
    /// Writes nothing, and cancels the transaction unless this condition holds.
    Check(Key, Condition),
}

/// How a single write ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// The write is made. An update with `returning` gives the attributes that it changed, with their new values.
    Done(Item),
    /// The condition did not hold. A write with `returning` gives the stored item, which has no attributes if it does
    /// not exist.
    Refused(Item),
    /// Nothing is written, because a transaction was writing the item.
    Conflict,
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Transacted {
    /// All writes are made.
    Done,
    /// No write is made. Holds the reason for each write, in order.
    Canceled(Vec<Reason>),
}

/// Why a write of a transaction was not made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// Another write of the transaction failed.
    None,
    /// The condition did not hold.
    Condition,
    /// Another transaction was writing the item.
    Conflict,
    /// Another reason, for example throttling.
    Other,
}

impl Put {
    /// Makes a refused put return the stored item.
    #[must_use]
    pub fn returning(self) -> Self {
        Self { returns: true, ..self }
    }

    /// Returns the put of an item, without a condition.
    #[must_use]
    pub fn new(item: Item) -> Self {
        Self { item, returns: false, condition: None }
    }

    /// Adds a condition. All conditions must hold.
    #[must_use]
    pub fn only_if(self, condition: Condition) -> Self {
        Self { condition: Some(both(self.condition, condition)), ..self }
    }
}

impl Update {
    /// Makes the update return the new values of the changed attributes, and a refused update the stored item.
    #[must_use]
    pub fn returning(self) -> Self {
        Self { returns: true, ..self }
    }

    /// Returns an update of the item with this key, without changes.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self { key, sets: Vec::new(), adds: Vec::new(), removes: Vec::new(), returns: false, condition: None }
    }

    /// Sets an attribute.
    #[must_use]
    pub fn set(mut self, name: impl Into<Name>, value: impl Into<Value>) -> Self {
        self.sets.push((name.into(), value.into()));
        self
    }

    /// Sets an attribute if there is a value, and removes it otherwise.
    #[must_use]
    pub fn set_or_remove(self, name: impl Into<Name>, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self.remove(name),
        }
    }

    /// Sets these attributes.
    #[must_use]
    pub fn set_all(mut self, attributes: Item) -> Self {
        self.sets.extend(attributes);
        self
    }

    /// Adds a number to an attribute.
    #[must_use]
    pub fn add(mut self, name: impl Into<Name>, number: impl Into<i128>) -> Self {
        self.adds.push((name.into(), number.into()));
        self
    }

    /// Removes an attribute.
    #[must_use]
    pub fn remove(mut self, name: impl Into<Name>) -> Self {
        self.removes.push(name.into());
        self
    }

    /// Adds a condition. All conditions must hold.
    #[must_use]
    pub fn only_if(self, condition: Condition) -> Self {
        Self { condition: Some(both(self.condition, condition)), ..self }
    }
}

impl Delete {
    /// Returns the delete of the item with this key, without a condition.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self { key, condition: None }
    }

    /// Adds a condition. All conditions must hold.
    #[must_use]
    pub fn only_if(self, condition: Condition) -> Self {
        Self { condition: Some(both(self.condition, condition)), ..self }
    }
}

fn both(first: Option<Condition>, second: Condition) -> Condition {
    match first {
        Some(first) => first.and(second),
        None => second,
    }
}

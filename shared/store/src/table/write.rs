//! Writes to a table, and how they end.

use super::condition::Condition;
use crate::item::{Item, Key, Name, Value};

/// Puts an item in the place of the one that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Put {
    /// The item, with its key.
    pub item: Item,
    /// Whether a refused put returns the item that is there.
    pub returns: bool,
    /// Only if this holds for the item that is there.
    pub condition: Option<Condition>,
}

/// Changes attributes of an item; creates it where there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Which item.
    pub key: Key,
    /// Attributes that get a value.
    pub sets: Vec<(Name, Value)>,
    /// Numbers that are added to attributes; an absent one counts as 0.
    pub adds: Vec<(Name, i128)>,
    /// Attributes that are removed.
    pub removes: Vec<Name>,
    /// Whether the update returns the new values of what it changed, and a refused one the item that is there.
    pub returns: bool,
    /// Only if this holds for the item that is there.
    pub condition: Option<Condition>,
}

/// Deletes an item.
#[derive(Clone, Debug, PartialEq)]
pub struct Delete {
    /// Which item.
    pub key: Key,
    /// Only if this holds for the item that is there.
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
    /// Writes nothing, but refuses the transaction unless this holds.
    Check(Key, Condition),
}

/// How a single write ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// It is made. An update that returns attributes gives those that it changed, with their new values.
    Done(Item),
    /// Its condition did not hold. A write that returns attributes gives the item that is there; without attributes where there is
    /// none.
    Refused(Item),
    /// A transaction was writing the item; nothing was written.
    Conflict,
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Transacted {
    /// Every write is made.
    Done,
    /// No write is made; the reason of each, in their order.
    Canceled(Vec<Reason>),
}

/// Why a write of a transaction was not made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// Not by its own fault.
    None,
    /// Its condition did not hold.
    Condition,
    /// Another transaction was writing its item.
    Conflict,
    /// For another reason, for example throttling.
    Other,
}

impl Put {
    /// Returns the item that is there, if the put is refused.
    #[must_use]
    pub fn returning(self) -> Self {
        Self { returns: true, ..self }
    }

    /// Puts an item, whatever is there.
    #[must_use]
    pub fn new(item: Item) -> Self {
        Self { item, returns: false, condition: None }
    }

    /// Makes the write only if this holds too.
    #[must_use]
    pub fn only_if(self, condition: Condition) -> Self {
        Self { condition: Some(both(self.condition, condition)), ..self }
    }
}

impl Update {
    /// Returns the new values of what the update changes, and the item that is there, if it is refused.
    #[must_use]
    pub fn returning(self) -> Self {
        Self { returns: true, ..self }
    }

    /// Changes the item of this key.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self { key, sets: Vec::new(), adds: Vec::new(), removes: Vec::new(), returns: false, condition: None }
    }

    /// Gives an attribute a value.
    #[must_use]
    pub fn set(mut self, name: impl Into<Name>, value: impl Into<Value>) -> Self {
        self.sets.push((name.into(), value.into()));
        self
    }

    /// Gives an attribute a value where there is one, and removes it otherwise.
    #[must_use]
    pub fn set_or_remove(self, name: impl Into<Name>, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self.remove(name),
        }
    }

    /// Gives each of these attributes its value.
    #[must_use]
    pub fn set_all(mut self, attributes: Item) -> Self {
        self.sets.extend(attributes);
        self
    }

    /// Adds to an attribute.
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

    /// Makes the write only if this holds too.
    #[must_use]
    pub fn only_if(self, condition: Condition) -> Self {
        Self { condition: Some(both(self.condition, condition)), ..self }
    }
}

impl Delete {
    /// Deletes the item of this key.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self { key, condition: None }
    }

    /// Makes the write only if this holds too.
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

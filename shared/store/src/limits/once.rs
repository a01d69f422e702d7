//! Updates that count once, although the SDK makes an update again when its answer is lost.
//!
//! Each update writes a random mark of its own to the item, on the condition that the mark is not there yet. A repeat finds its
//! mark: the update has had its effect, and the repeat returns the item as the update left it. An item keeps one mark: a repeat
//! that comes after another update counts again.

use rand::RngExt;

use crate::item::{Item, Key, Name, Value};
use crate::items::{Items, Outcome};
use crate::table::Table;
use crate::table::condition::{absent, at_most, differs};
use crate::table::write::Update;
use crate::unavailable::PortResult;

/// The attribute that holds the mark.
const MARK: &str = "mark";

/// An update of one item that counts once.
#[derive(Clone, Debug)]
pub struct Once {
    update: Update,
    mark: Value,
}

/// How an update ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Take {
    /// It had its effect; the attributes that it changed.
    Done(Item),
    /// Its condition does not hold, for this item; without attributes where there is none.
    Refused(Item),
}

impl Once {
    /// Updates the item of this key.
    #[must_use]
    pub fn new(key: Key) -> Self {
        let mark = Value::from(rand::rng().random::<[u8; 8]>().to_vec());
        let update =
            Update::new(key).returning().set(MARK, mark.clone()).only_if(differs(MARK, mark.clone()));
        Self { update, mark }
    }

    /// Gives an attribute a value.
    #[must_use]
    pub fn set(self, name: impl Into<Name>, value: impl Into<Value>) -> Self {
        Self { update: self.update.set(name, value), ..self }
    }

    /// Adds to an attribute; an absent one counts as 0.
    #[must_use]
    pub fn add(self, name: impl Into<Name>, number: impl Into<i128>) -> Self {
        Self { update: self.update.add(name, number), ..self }
    }

    /// Makes the update only where an attribute is absent, or `most` at most.
    #[must_use]
    pub fn only_up_to(self, name: &'static str, most: u64) -> Self {
        Self { update: self.update.only_if(absent(name).or(at_most(name, most))), ..self }
    }

    /// Makes the update.
    ///
    /// # Errors
    /// When the table does not answer: then nobody knows whether it counted.
    pub async fn send<T: Table>(self, items: &Items<T>) -> PortResult<Take> {
        match items.update(self.update).await? {
            Outcome::Done(changed) => Ok(Take::Done(changed)),
            Outcome::Refused(found) if found.get(MARK) == Some(&self.mark) => Ok(Take::Done(found)),
            Outcome::Refused(found) => Ok(Take::Refused(found)),
        }
    }
}

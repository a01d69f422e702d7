//! The table `Events`: heads, payloads and attempts. Payloads are encrypted with the data key of their tenant. After
//! the key is deleted, no copy of a payload can be read.

pub mod attempt_item;
pub mod attempts;
pub mod budget;
mod erasure;
mod expiring;
pub mod export;
pub mod head_item;
mod heads;
pub mod lease;
pub mod log;
pub mod page;
pub mod payload;
mod read_budget;
pub mod recent;
pub mod unreadable;

use domain::delivery::DeliveryMessage;
use domain::inbox::Head;

use crate::data_keys::DataKeys;
use crate::item::Key;
use crate::items::Items;
use crate::keys;
use crate::ports::Ports;
use crate::unavailable::PortResult;

/// The table `Events`.
#[derive(Clone)]
pub struct Events<P: Ports> {
    items: Items<P::Table>,
    keys: DataKeys<P>,
}

/// How storing an event ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Inserted {
    /// The event is stored now.
    New,
    /// The event was already stored, and has this head.
    Existing(Box<Head>),
}

/// A stored event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stored {
    /// The head in the table.
    pub head: Head,
    /// Whether this call stored the event. It is false for an event that existed before.
    pub is_new: bool,
    /// The messages of the deliveries without an attempt. They must be sent before the caller's own work is done.
    pub messages: Vec<DeliveryMessage>,
}

impl<P: Ports> Events<P> {
    /// Returns the store over this table, which encrypts payloads with these data keys.
    pub fn new(table: P::Table, keys: DataKeys<P>) -> Self {
        Self { items: Items::new(table), keys }
    }

    /// Reads an item that does not exist, to check that the table answers.
    pub async fn ping(&self) -> PortResult<()> {
        self.items.get_eventually(Key::new(keys::PING, keys::ONLY)).await.map(drop)
    }
}

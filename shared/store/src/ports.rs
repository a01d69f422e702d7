//! Everything outside the process: one trait wires all five functions.

use crate::clock::Clock;
use crate::queue::Queue;
use crate::table::Table;
use crate::vault::Vault;
use crate::webhook_sender::WebhookSender;

/// The sides of all ports: AWS, or memory.
pub trait Ports: Clone + Send + Sync + 'static {
    /// A table.
    type Table: Table;
    /// A queue.
    type Queue: Queue;
    /// The wrapped data keys.
    type Vault: Vault;
    /// The endpoints.
    type Webhooks: WebhookSender;
    /// The time of day.
    type Clock: Clock;

    /// Returns the table of this name.
    fn table(&self, name: &str) -> Self::Table;

    /// Returns the queue at this URL.
    fn queue(&self, url: &str) -> Self::Queue;

    /// Returns the vault whose data keys this key of KMS wraps.
    fn vault(&self, key: &str) -> Self::Vault;

    /// Returns the way to the endpoints.
    fn webhooks(&self) -> Self::Webhooks;

    /// Returns the clock.
    fn clock(&self) -> Self::Clock;
}

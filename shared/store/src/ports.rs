//! The services outside the process. One trait gives all six functions their ports.

use crate::clock::Clock;
use crate::queue::Queue;
use crate::table::Table;
use crate::vault::Vault;
use crate::webhook_sender::WebhookSender;

/// The implementations of all ports: AWS or memory.
pub trait Ports: Clone + Send + Sync + 'static {
    /// A table.
    type Table: Table;
    /// A queue.
    type Queue: Queue;
    /// KMS, which wraps the data keys.
    type Vault: Vault;
    /// The sender of webhooks.
    type Webhooks: WebhookSender;
    /// The clock.
    type Clock: Clock;

    /// Returns the table of this name.
    fn table(&self, name: &str) -> Self::Table;

    /// Returns the queue at this URL.
    fn queue(&self, url: &str) -> Self::Queue;

    /// Returns the vault that wraps data keys with this KMS key.
    fn vault(&self, key: &str) -> Self::Vault;

    /// Returns the sender of webhooks.
    fn webhooks(&self) -> Self::Webhooks;

    /// Returns the clock.
    fn clock(&self) -> Self::Clock;
}

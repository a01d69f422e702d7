//! The port to one queue of SQS.

use std::future::Future;
use std::time::Duration;

use domain::tenant::id::TenantId;

use crate::unavailable::PortResult;

/// A message to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outgoing {
    /// The tenant. The queue is fair between tenants: one with many messages does not hold up the others.
    pub tenant: TenantId,
    /// The text of the message.
    pub body: String,
    /// How long after its sending the message becomes visible.
    pub delay: Duration,
}

/// Approximate number of messages in a queue.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Depth {
    /// Messages that can be received now.
    pub visible: u64,
    /// Messages that were received, and are not yet deleted.
    pub in_flight: u64,
    /// Messages whose delay has not ended.
    pub delayed: u64,
}

/// One queue.
pub trait Queue: Clone + Send + Sync + 'static {
    /// Sends messages (`SendMessageBatch`); returns one result for each, in order. `Ok` means that the queue confirmed the
    /// message. Shortens a delay that is longer than [`MAX_DELAY`](domain::delivery::schedule::MAX_DELAY) to it.
    fn send(&self, messages: &[Outgoing]) -> impl Future<Output = Vec<PortResult<()>>> + Send;

    /// Deletes messages by their receipts (`DeleteMessageBatch`). Deleting one twice changes nothing.
    fn delete(&self, receipts: &[String]) -> impl Future<Output = PortResult<()>> + Send;

    /// Returns how many messages the queue holds, approximately (`GetQueueAttributes`).
    fn depth(&self) -> impl Future<Output = PortResult<Depth>> + Send;
}

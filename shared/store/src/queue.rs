//! The port to one queue of SQS.

use std::future::Future;
use std::time::Duration;

use domain::tenant::id::TenantId;

use crate::unavailable::PortResult;

/// A message to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outgoing {
    /// The tenant, which is the message's group: SQS lets no group delay the others.
    pub tenant: TenantId,
    /// What the message says.
    pub body: String,
    /// How long after it is sent it arrives.
    pub delay: Duration,
}

/// Approximately how many messages a queue holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Depth {
    /// Messages that wait to be received.
    pub visible: u64,
    /// Messages that are received and not deleted yet.
    pub in_flight: u64,
    /// Messages whose delay has not ended.
    pub delayed: u64,
}

/// One queue of SQS.
pub trait Queue: Clone + Send + Sync + 'static {
    /// Sends messages; returns one result for each, in order. `Ok` means that the queue confirmed the message. Shortens
    /// a delay that is longer than [`domain::delivery::schedule::MAX_DELAY`] to it.
    fn send(&self, messages: &[Outgoing]) -> impl Future<Output = Vec<PortResult<()>>> + Send;

    /// Deletes messages by their receipts. Deleting one twice changes nothing.
    fn delete(&self, receipts: &[String]) -> impl Future<Output = PortResult<()>> + Send;

    /// Returns how many messages there are.
    fn depth(&self) -> impl Future<Output = PortResult<Depth>> + Send;
}

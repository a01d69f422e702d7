//! The boundaries: one trait for each table, queue and the outside world. [`crate::adapters`] implements them
//! for AWS, `testing` (feature `testing`) in memory; one contract test runs against both.

pub mod control;
pub mod events;
pub mod limits;
pub mod schedule;

use std::future::Future;
use std::time::Duration;

use crate::unavailable::PortResult;

use domain::delivery::DeliveryMessage;
use domain::delivery::verdict::Answer;
use domain::delivery::webhook_request::WebhookRequest;
use domain::event::Event;
use domain::event::claim::{Claim, ClaimName, Claimed};
use domain::sealed::DataKey;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// The table `Claims`: clients' own names for events.
pub trait Claims {
    /// Claims a name, in one conditional step. A claim that expired before `now` counts as absent.
    /// MUST decide by [`Claimed::decide`] when a live claim is there.
    fn claim(
        &self,
        tenant: &TenantId,
        name: &ClaimName,
        ours: &Claim,
        now: Timestamp,
    ) -> impl Future<Output = PortResult<Claimed>> + Send;
}

/// The queue `events`.
pub trait EventQueue {
    /// Sends accepted events; one result each, in order. `Ok` MUST mean that the queue confirmed the message.
    fn send(&self, events: &[Event]) -> impl Future<Output = Vec<PortResult<()>>> + Send;
}

/// The data keys under which tenants' private data is encrypted.
pub trait Vault {
    /// A tenant's data key; `None` where none was made, or it was dropped.
    fn key(&self, tenant: &TenantId) -> impl Future<Output = PortResult<Option<DataKey>>> + Send;

    /// A tenant's data key, made now where there is none. MUST give every caller the same key.
    fn key_or_new(&self, tenant: &TenantId) -> impl Future<Output = PortResult<DataKey>> + Send;
}

/// A message, and how long after its sending it arrives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delayed {
    /// The message.
    pub message: DeliveryMessage,
    /// The delay.
    pub delay: Duration,
}

impl Delayed {
    /// A message that arrives at once.
    #[must_use]
    pub fn not(message: DeliveryMessage) -> Self {
        Self { message, delay: Duration::ZERO }
    }
}

/// The queue `deliveries`.
pub trait DeliveryQueue {
    /// Sends messages that arrive after their delays; longer delays than the queue knows MUST be shortened to its
    /// longest, since a message that arrives early waits again. All or an error: sending twice is allowed.
    fn send(&self, messages: &[Delayed]) -> impl Future<Output = PortResult<()>> + Send;
}

/// The queue that a function is fed from.
pub trait SourceQueue {
    /// Deletes messages that are done, by the receipts they came with. Deleting them twice changes nothing.
    fn delete(&self, receipts: &[String]) -> impl Future<Output = PortResult<()>> + Send;
}

/// The outside world.
pub trait WebhookSender {
    /// Sends one POST and waits for its answer within one deadline. MUST refuse addresses that are not public,
    /// at connect time, and MUST NOT follow redirects.
    fn post(&self, request: &WebhookRequest, now: Timestamp) -> impl Future<Output = Answer> + Send;
}

/// The time of day.
pub trait Clock {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

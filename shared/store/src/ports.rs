//! The boundaries: one trait for each table, queue and the outside world. [`crate::adapters`] implements them
//! for AWS, `testing` (feature `testing`) in memory; one contract test runs against both.

pub mod control;
pub mod events;
pub mod limits;
pub mod schedule;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use domain::delivery::DeliveryMessage;
use domain::delivery::verdict::Answer;
use domain::delivery::webhook_request::WebhookRequest;
use domain::event::Event;
use domain::event::claim::{Claim, ClaimName, Claimed};
use domain::problem::{Kind, Problem};
use domain::sealed::DataKey;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// A service we depend on did not do what it was asked, or did not say so in time.
#[derive(Debug)]
pub struct Unavailable {
    operation: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl Unavailable {
    /// The failure of `operation`, with its cause for the log.
    pub fn new(operation: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { operation, source: source.into() }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.operation)?;
        let mut cause: Option<&dyn Error> = Some(self.source.as_ref());
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Error for Unavailable {}

impl From<Unavailable> for Problem {
    /// The cause is logged here, once, and never sent.
    fn from(error: Unavailable) -> Self {
        tracing::error!(cause = %error, "a dependency does not answer");
        Self::new(Kind::Unavailable, "the request was not carried out; please send it again")
    }
}

/// The answer of a port.
pub type PortResult<T> = Result<T, Unavailable>;

/// How a conditional update ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Updated {
    /// It is written.
    Done,
    /// What is there is no longer what was read: read again and decide again.
    Raced,
}

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

//! The boundaries: one trait for each table, queue and the outside world. [`crate::adapters`] implements them
//! for AWS, `testing` (feature `testing`) in memory; one contract test runs against both.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::api_key::{KeyHash, KeyRecord};
use crate::backlog::Backlog;
use crate::claim::{Claim, ClaimName, Claimed};
use crate::delivery::DeliveryMessage;
use crate::endpoint::{Endpoint, EndpointId, EndpointUrl};
use crate::event::{Event, EventId};
use crate::inbox::Head;
use crate::problem::{Kind, Problem};
use crate::rate_limit::{Leased, Meter};
use crate::tenant::TenantId;
use crate::timestamp::Timestamp;
use crate::verdict::Answer;

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

/// The table `Control`: keys and endpoints.
pub trait Control {
    /// The record of a key, read consistently: a fresh key works at once.
    fn key(&self, hash: &KeyHash) -> impl Future<Output = PortResult<Option<KeyRecord>>> + Send;

    /// Notes that a key was used, unless that was noted less than [`crate::api_key::NOTE_USE_EVERY`] before `now`, or the key
    /// is gone.
    fn note_use(
        &self,
        tenant: &TenantId,
        key_id: &str,
        now: Timestamp,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// All endpoints of a tenant, read consistently: an endpoint created a second ago gets its first event.
    fn endpoints(&self, tenant: &TenantId) -> impl Future<Output = PortResult<Vec<Endpoint>>> + Send;

    /// One endpoint, read consistently: what was changed counts for the next attempt.
    fn endpoint(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
    ) -> impl Future<Output = PortResult<Option<Endpoint>>> + Send;

    /// Disables the endpoint, unless it was deleted or given another URL since it was read.
    fn disable(&self, tenant: &TenantId, seen: &Endpoint) -> impl Future<Output = PortResult<()>> + Send;
}

/// The table `Limits`: token leases and counters.
pub trait Limits {
    /// Takes `slice` of the minute's `limit` tokens, all or none. MUST never let the minute's count pass the limit.
    fn lease(
        &self,
        meter: &Meter,
        minute: u64,
        slice: u32,
        limit: u32,
    ) -> impl Future<Output = PortResult<Leased>> + Send;

    /// Adds to the counters behind `/metrics`, and notes how long a queue's messages wait. Not idempotent: a lost answer
    /// may count twice.
    fn count(&self, counts: Counts, wait: Option<Wait>) -> impl Future<Output = PortResult<()>> + Send;

    /// The latest word on how long a queue's messages wait.
    fn wait(&self, queue: QueueName) -> impl Future<Output = PortResult<Option<Wait>>> + Send;

    /// Adds to a tenant's backlog. Not idempotent, as [`Limits::count`].
    fn change_backlog(
        &self,
        tenant: &TenantId,
        change: &Backlog,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// A tenant's backlog, about.
    fn backlog(&self, tenant: &TenantId) -> impl Future<Output = PortResult<Backlog>> + Send;
}

/// What happened in one invocation, for `/metrics`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Accepted events, counted as they leave the queue for the first time.
    pub accepted: u64,
    /// Events stored: each once.
    pub stored: u64,
    /// Deliveries that an endpoint took.
    pub delivered: u64,
    /// Deliveries that failed for good.
    pub failed: u64,
    /// Events that left the inbox.
    pub settled: u64,
    /// Messages that nobody could read, kept for a human.
    pub unreadable: u64,
}

/// How long the oldest new message of a batch had waited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wait {
    /// In which queue.
    pub queue: QueueName,
    /// How long, in milliseconds.
    pub waited_ms: u64,
    /// When it was taken.
    pub at: Timestamp,
}

/// One of our queues.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QueueName {
    /// Accepted events.
    Events,
    /// Attempts to make.
    Deliveries,
}

impl QueueName {
    /// The queue's name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Deliveries => "deliveries",
        }
    }
}

impl Counts {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            stored: self.stored + other.stored,
            delivered: self.delivered + other.delivered,
            failed: self.failed + other.failed,
            settled: self.settled + other.settled,
            unreadable: self.unreadable + other.unreadable,
        }
    }
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

/// How storing an event ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Inserted {
    /// This very put created it.
    New,
    /// It was there already, in this state.
    Existing(Box<Head>),
}

/// How a conditional update ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Updated {
    /// It is written.
    Done,
    /// The head is no longer the one that was read: read again and decide again.
    Raced,
}

/// The table `Events`: heads and payloads.
pub trait Events {
    /// Stores an event once. A payload too large for the head MUST be written before the head.
    fn insert(&self, event: &Event, head: &Head) -> impl Future<Output = PortResult<Inserted>> + Send;

    /// The head of an event; `consistent` sees every write that was answered.
    fn head(
        &self,
        tenant: &TenantId,
        id: EventId,
        consistent: bool,
    ) -> impl Future<Output = PortResult<Option<Found>>> + Send;

    /// The payload of an event, exactly as it was sent; `None` where it has expired.
    fn payload(
        &self,
        tenant: &TenantId,
        found: &Found,
    ) -> impl Future<Output = PortResult<Option<String>>> + Send;

    /// Writes deliveries, status and rev of `next`, only where `rev` is still the one before; and takes the event
    /// out of the inbox's index where its status says so.
    fn update(&self, tenant: &TenantId, next: &Head) -> impl Future<Output = PortResult<Updated>> + Send;

    /// Keeps a message that nobody could read, as it came, for a human. Writing it twice changes nothing.
    fn keep_unreadable(
        &self,
        message: &UnreadableMessage,
        now: Timestamp,
    ) -> impl Future<Output = PortResult<()>> + Send;
}

/// A message of another form than any we write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnreadableMessage {
    /// The queue it came from.
    pub queue: String,
    /// The queue's own name for it.
    pub message_id: String,
    /// What it says.
    pub body: String,
}

/// A head as it was read, with its payload where that lies within.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The head.
    pub head: Head,
    /// The compressed payload; `None` where it is an item of its own.
    pub inline_payload: Option<Vec<u8>>,
}

/// The queue `events`.
pub trait EventQueue {
    /// Sends accepted events; one result each, in order. `Ok` MUST mean that the queue confirmed the message.
    fn send(&self, events: &[Event]) -> impl Future<Output = Vec<PortResult<()>>> + Send;
}

/// The queue `deliveries`.
pub trait DeliveryQueue {
    /// Sends messages that arrive after `delay`; longer delays than the queue knows MUST be shortened to its
    /// longest, since a message that arrives early waits again. All or an error: sending twice is allowed.
    fn send(
        &self,
        messages: &[DeliveryMessage],
        delay: Duration,
    ) -> impl Future<Output = PortResult<()>> + Send;
}

/// A signed request, ready to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebhookRequest {
    /// Where to.
    pub url: EndpointUrl,
    /// Name and value of each header of our own.
    pub headers: Vec<(&'static str, String)>,
    /// The exact bytes that were signed.
    pub body: Vec<u8>,
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

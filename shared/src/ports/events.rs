//! The table `Events`.

use std::future::Future;

use super::{PortResult, Updated};
use crate::attempt::Attempt;
use crate::event::{Event, EventId};
use crate::expiry::{Cohort, Untaken};
use crate::inbox::Head;
use crate::tenant::TenantId;
use crate::timestamp::Timestamp;

/// How storing an event ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Inserted {
    /// This very put created it.
    New,
    /// It was there already, in this state.
    Existing(Box<Head>),
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

    /// Keeps an attempt for the endpoint's owner, until the event expires. Keeping it twice changes nothing.
    fn log_attempt(
        &self,
        attempt: &Attempt,
        expires_at: Timestamp,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Events of a cohort that are in the inbox, a moment ago or now: at most about `most`, but the oldest among them.
    fn untaken(&self, cohort: &Cohort, most: usize) -> impl Future<Output = PortResult<Untaken>> + Send;

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

//! The table `Events`.

use std::future::Future;

use futures_util::future::join_all;

use crate::items::Updated;
use crate::unavailable::PortResult;
use domain::delivery::attempt::Attempt;
use domain::event::Event;
use domain::event::id::EventId;
use domain::inbox::expiry::{Cohort, Untaken};
use domain::inbox::{Head, Status};
use domain::sealed::Sealed;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

/// How storing an event ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Inserted {
    /// This very put created it.
    New,
    /// It was there already, in this state.
    Existing(Box<Head>),
}

/// The table `Events`: heads and payloads.
pub trait Events: Sync {
    /// Stores an event once. A payload too large for the head MUST be written before the head.
    fn insert(&self, event: &Event, head: &Head) -> impl Future<Output = PortResult<Inserted>> + Send;

    /// The head of an event; `consistent` sees every write that was answered.
    fn head(
        &self,
        tenant: &TenantId,
        id: EventId,
        consistent: bool,
    ) -> impl Future<Output = PortResult<Option<Found>>> + Send;

    /// The payload of an event, exactly as it was sent; `None` where it has expired, or its tenant's data key is gone.
    fn payload(
        &self,
        tenant: &TenantId,
        found: &Found,
    ) -> impl Future<Output = PortResult<Option<String>>> + Send;

    /// Writes what transitions change (deliveries, lease, status, rev) of `next`, only where `rev` is still the one before;
    /// and takes the event into the inbox's index or out of it, as its status says.
    fn update(&self, tenant: &TenantId, next: &Head) -> impl Future<Output = PortResult<Updated>> + Send;

    /// Writes `next`, in which deliveries of `seen` are opened again, as [`Events::update`] does; the attempts that stood in
    /// the head alone are kept before it.
    fn reopen(
        &self,
        tenant: &TenantId,
        seen: &Head,
        next: &Head,
    ) -> impl Future<Output = PortResult<Updated>> + Send {
        async move {
            let forgotten = seen.forgotten_in(next, tenant);
            let kept =
                join_all(forgotten.iter().map(|attempt| self.log_attempt(attempt, seen.expires_at))).await;
            let updated = match kept.into_iter().collect::<PortResult<()>>() {
                Ok(()) => self.update(tenant, next).await,
                Err(error) => Err(error),
            };
            if forgotten.is_empty() || matches!(updated, Ok(Updated::Done)) {
                return updated;
            }
            if let Some(found) = self.head(tenant, seen.id, true).await? {
                self.leave(tenant, &found.head).await?;
            }
            updated
        }
    }

    /// The heads of a stretch of a tenant's log, the oldest first, read consistently; at most `most` items are looked at.
    fn walk(
        &self,
        tenant: &TenantId,
        stretch: &LogRange,
        most: usize,
    ) -> impl Future<Output = PortResult<LogPage>> + Send;

    /// Puts what is left of a deleted event in the place of its head, only where `rev` is still the one before.
    fn bury(&self, tenant: &TenantId, tombstone: &Head) -> impl Future<Output = PortResult<Updated>> + Send;

    /// Deletes payload and attempts of an event. Doing it twice changes nothing.
    fn forget(&self, tenant: &TenantId, event: EventId) -> impl Future<Output = PortResult<()>> + Send;

    /// Leaves an event as it is; where it was deleted, an attempt that was kept after that goes too.
    fn leave(&self, tenant: &TenantId, head: &Head) -> impl Future<Output = PortResult<()>> + Send {
        async move {
            if head.status == Status::Deleted {
                self.forget(tenant, head.id).await?;
            }
            Ok(())
        }
    }

    /// Deletes at most `most` items of one shard of a tenant, each event's payload with it; how many there were. MUST
    /// leave nothing behind once it found none.
    fn purge(
        &self,
        tenant: &TenantId,
        shard: u8,
        most: usize,
    ) -> impl Future<Output = PortResult<usize>> + Send;

    /// Deletes messages that nobody could read but for the name of this tenant; how many there were.
    fn purge_unreadable(&self, tenant: &TenantId) -> impl Future<Output = PortResult<usize>> + Send;

    /// Keeps an attempt for the endpoint's owner, until the event expires. Keeping it twice changes nothing: what was kept
    /// first stays.
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
    /// Whose it is, as far as that can be read.
    pub tenant: Option<TenantId>,
    /// What it says.
    pub body: String,
}

/// A head as it was read, with its payload where that lies within.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The head.
    pub head: Head,
    /// The payload as it is stored; `None` where it is an item of its own.
    pub inline_payload: Option<Sealed>,
}

/// A part of one shard of a tenant's log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogRange {
    /// Which shard.
    pub shard: u8,
    /// From events accepted at this moment on.
    pub since: Timestamp,
    /// Up to those accepted before this moment.
    pub until: Timestamp,
    /// Only what comes after this event.
    pub after: Option<EventId>,
}

/// What was found on a stretch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LogPage {
    /// The heads, the oldest first; not those of deleted events.
    pub heads: Vec<Head>,
    /// The last event that was looked at, where the stretch goes on behind it.
    pub reached: Option<EventId>,
}

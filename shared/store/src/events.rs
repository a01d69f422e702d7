//! The table `Events`: heads, payloads and attempts. Payloads are sealed under the data key of their tenant: once the key is deleted,
//! no copy of a payload can be read.

pub mod head_item;

pub mod payload;

pub mod budget;

pub mod attempts;

pub mod page;

pub mod recent;

pub mod log;

pub mod export;

pub mod lease;

pub mod unreadable;

pub(crate) mod attempt_item;

mod expiring;

mod erasure;

use domain::event::Event;
use domain::event::id::EventId;
use domain::inbox::{Head, Status};
use domain::tenant::id::TenantId;
use futures_util::future::join_all;

use self::head_item::Found;
use crate::data_keys::DataKeys;
use crate::item::{Item, Key};
use crate::items::{Items, Outcome, Updated};
use crate::keys;
use crate::ports::Ports;
use crate::table::condition::{absent, equals};
use crate::table::write::Put;
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
    /// This put created it.
    New,
    /// It existed already, in this state.
    Existing(Box<Head>),
}

impl<P: Ports> Events<P> {
    /// Returns the store over this table, whose payloads are sealed under these data keys.
    pub fn new(table: P::Table, keys: DataKeys<P>) -> Self {
        Self { items: Items::new(table), keys }
    }

    /// Reads an item that does not exist, to see whether the table answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> PortResult<()> {
        self.items.get_eventually(Key::new(keys::PING, keys::ONLY)).await.map(drop)
    }

    /// Stores an event once. A payload that is too large for the head is put before the head.
    ///
    /// # Errors
    /// When the table or KMS does not answer.
    pub async fn insert(&self, event: &Event, head: &Head) -> PortResult<Inserted> {
        let sealed = self.seal(event).await?;
        let mut item = head_item::write(&event.tenant, head);
        let is_inline = payload::fits_into_head(&sealed);
        if is_inline {
            item.insert("payload", sealed.into_bytes());
        } else {
            self.put_payload(event, head, sealed).await?;
        }
        match self.items.put_if(Put::new(item).returning().only_if(absent("sk"))).await? {
            Outcome::Done(_) => Ok(Inserted::New),
            Outcome::Refused(found) => {
                let existing = head_item::read(&found)?;
                if existing.status == Status::Deleted && !is_inline {
                    self.delete_payload(&event.tenant, event.id).await?; // this call has just put it again
                }
                Ok(Inserted::Existing(Box::new(existing)))
            }
        }
    }

    /// Returns the head of an event, read consistently.
    ///
    /// # Errors
    /// When the table does not answer, or the head cannot be read.
    pub async fn head(&self, tenant: &TenantId, id: EventId) -> PortResult<Option<Found>> {
        read(self.items.get(head_item::key(tenant, id)).await?.as_ref())
    }

    /// Returns the head of an event, which may miss the latest writes, for half the price.
    ///
    /// # Errors
    /// When the table does not answer, or the head cannot be read.
    pub async fn head_eventually(&self, tenant: &TenantId, id: EventId) -> PortResult<Option<Found>> {
        read(self.items.get_eventually(head_item::key(tenant, id)).await?.as_ref())
    }

    /// Writes what transitions change of `next`, only if `rev` is still the one before; puts the event into the index of the inbox or
    /// takes it out, as its status says.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn update(&self, tenant: &TenantId, next: &Head) -> PortResult<Updated> {
        let update = head_item::change(tenant, next).only_if(equals("rev", next.rev - 1));
        self.items.update(update).await.map(|outcome| outcome.updated())
    }

    /// Writes `next`, in which deliveries of `seen` are open again, as [`Events::update`] does. Keeps the attempts that only the head
    /// held before it writes.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn reopen(&self, tenant: &TenantId, seen: &Head, next: &Head) -> PortResult<Updated> {
        let forgotten = seen.attempts_lost_by(next, tenant);
        let kept = join_all(forgotten.iter().map(|attempt| self.log_attempt(attempt, seen.expires_at))).await;
        let updated = match kept.into_iter().collect::<PortResult<()>>() {
            Ok(()) => self.update(tenant, next).await,
            Err(error) => Err(error),
        };
        if forgotten.is_empty() || matches!(updated, Ok(Updated::Done)) {
            return updated;
        }
        // The event may have been deleted meanwhile: then nothing of it may stay.
        if let Some(found) = self.head(tenant, seen.id).await? {
            self.leave(tenant, &found.head).await?;
        }
        updated
    }

    /// Leaves an event as it is; deletes what was kept of it after it was deleted.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn leave(&self, tenant: &TenantId, head: &Head) -> PortResult<()> {
        if head.status == Status::Deleted {
            self.forget(tenant, head.id).await?;
        }
        Ok(())
    }

    /// Returns the heads of many events, read consistently, in the order of `ids`. Heads that do not exist are left out; so are those
    /// that cannot be read, which are logged.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn heads(&self, tenant: &TenantId, ids: &[EventId]) -> PortResult<Vec<Found>> {
        let places = ids.iter().map(|id| head_item::key(tenant, *id)).collect();
        let items = self.items.get_many(places).await?;
        let mut found: Vec<Found> = items.iter().filter_map(head_item::readable).collect();
        found.sort_unstable_by_key(|found| ids.iter().position(|id| *id == found.head.id));
        Ok(found)
    }
}

fn read(item: Option<&Item>) -> PortResult<Option<Found>> {
    match item {
        Some(item) => Ok(Some(head_item::found(item)?)),
        None => Ok(None),
    }
}

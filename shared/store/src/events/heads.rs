//! The heads of events: one item for each event, with its status and its deliveries.

use domain::delivery::DeliveryMessage;
use domain::event::Event;
use domain::event::id::EventId;
use domain::inbox::{Head, Status};
use domain::tenant::allowance;
use domain::tenant::id::TenantId;
use futures_util::future::join_all;

use super::head_item::{self, Found};
use super::{Events, Inserted, Stored, payload};
use crate::items::{Outcome, Updated};
use crate::ports::Ports;
use crate::table::condition::{absent, equals};
use crate::table::write::Put;
use crate::unavailable::PortResult;

impl<P: Ports> Events<P> {
    /// Stores an event, if it is not stored yet, and makes a message for each open delivery without a recorded attempt:
    ///
    /// ```text
    ///   put the head, only if it does not exist
    ///     |-- new ------> a message for every delivery, marked as fresh
    ///     `-- exists ---> a message for every open delivery without an attempt: the process
    ///                     that stored the event may have crashed before it sent them
    /// ```
    ///
    /// # Errors
    /// When the table or KMS does not answer.
    pub async fn store(&self, event: &Event, new_head: Head) -> PortResult<Stored> {
        let (head, is_new) = match self.insert(event, &new_head).await? {
            Inserted::New => (new_head, true),
            Inserted::Existing(head) => (*head, false),
        };
        let first = |(place, (endpoint, delivery))| {
            let first = DeliveryMessage::first(&event.tenant, event.id, endpoint, delivery, is_new);
            first
                .charged(allowance::charge(head.units, place, allowance::INCLUDED))
                .counting_event(is_new && place == 0 && !head.in_inbox)
        };
        let messages = head.without_attempt().enumerate().map(first).collect();
        Ok(Stored { head, is_new, messages })
    }

    /// Stores an event, if it is not stored yet.
    ///
    /// # Errors
    /// When the table or KMS does not answer.
    pub async fn insert(&self, event: &Event, head: &Head) -> PortResult<Inserted> {
        // 1. Put a large payload before the head: a head without its payload must not exist.
        let sealed = self.seal(event).await?;
        let mut item = head_item::write(&event.tenant, head);
        let is_inline = payload::fits_into_head(&sealed);
        if is_inline {
            item.insert("payload", sealed.into_bytes());
        } else {
            self.put_payload(event, head, sealed).await?;
        }

        // 2. Put the head, on the condition that there is none.
        match self.items.put_if(Put::new(item).returning().only_if(absent("sk"))).await? {
            Outcome::Done(_) => Ok(Inserted::New),
            Outcome::Refused(found) => {
                let existing = head_item::read(&found)?;
                if existing.status == Status::Deleted && !is_inline {
                    self.delete_payload(&event.tenant, event.id).await?; // step 1 has put it again
                }
                Ok(Inserted::Existing(Box::new(existing)))
            }
        }
    }

    /// Returns the head of an event, read consistently.
    ///
    /// # Errors
    /// When the table does not answer, or the head is unreadable.
    pub async fn head(&self, tenant: &TenantId, id: EventId) -> PortResult<Option<Found>> {
        let item = self.items.get(head_item::key(tenant, id)).await?;
        Ok(item.as_ref().map(head_item::found).transpose()?)
    }

    /// Returns the head of an event, without the latest writes in some cases. Costs half as much as [`Events::head`].
    ///
    /// # Errors
    /// When the table does not answer, or the head is unreadable.
    pub async fn head_eventually(&self, tenant: &TenantId, id: EventId) -> PortResult<Option<Found>> {
        let item = self.items.get_eventually(head_item::key(tenant, id)).await?;
        Ok(item.as_ref().map(head_item::found).transpose()?)
    }

    /// Returns the heads of many events, read consistently, in the order of `ids`. Heads that do not exist are left
    /// out. Unreadable heads are logged and left out.
    pub async fn heads(&self, tenant: &TenantId, ids: &[EventId]) -> PortResult<Vec<Found>> {
        let keys = ids.iter().map(|id| head_item::key(tenant, *id)).collect();
        let items = self.items.get_many(keys).await?;
        let mut found: Vec<Found> = items.iter().filter_map(head_item::readable).collect();
        found.sort_unstable_by_key(|found| ids.iter().position(|id| *id == found.head.id));
        Ok(found)
    }

    /// Updates the head of an event to `next`, if the stored `rev` is the previous one. `in_inbox` decides whether the event is
    /// in the index of the inbox.
    pub async fn update(&self, tenant: &TenantId, next: &Head) -> PortResult<Updated> {
        let update = head_item::change(tenant, next).only_if(equals("rev", next.rev - 1));
        self.items.update(update).await.map(Outcome::updated)
    }

    /// Updates the head of an event from `seen` to `next`, in which some deliveries are open again. See
    /// [`Events::update`].
    pub async fn reopen(&self, tenant: &TenantId, seen: &Head, next: &Head) -> PortResult<Updated> {
        // 1. Log the attempts that only the old head holds: the new head replaces them.
        let replaced = seen.attempts_lost_by(next, tenant);
        let logged =
            join_all(replaced.iter().map(|attempt| self.log_attempt(attempt, seen.expires_at))).await;

        // 2. Update the head.
        let updated = match logged.into_iter().collect::<PortResult<()>>() {
            Ok(()) => self.update(tenant, next).await,
            Err(error) => Err(error),
        };
        if replaced.is_empty() || matches!(updated, Ok(Updated::Done)) {
            return updated;
        }

        // 3. If that failed, the event may have been deleted before step 1: then delete the logged attempts too.
        if let Some(found) = self.head(tenant, seen.id).await? {
            self.delete_leftovers(tenant, &found.head).await?;
        }
        updated
    }
}

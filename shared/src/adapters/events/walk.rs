//! Walking through a tenant's events in the order of time: the heads of a stretch for a replay, one event's attempts, and
//! everything for an export.

use super::super::item::{Item, Unreadable, s, text};
use super::page::event_of;
use super::{EventsTable, LoggedAttempt, attempt_log, head_item};
use crate::event::EventId;
use crate::inbox::Status;
use crate::keys;
use crate::ports::{Found, PortResult, Stretch, Unavailable, Walked};
use crate::tenant::TenantId;
use crate::timestamp::Timestamp;

/// Something of a tenant's log, as it lies there.
#[derive(Debug)]
pub enum Kept {
    /// An event.
    Event(Box<Found>),
    /// An attempt that was logged.
    Attempt(Box<LoggedAttempt>),
}

impl EventsTable {
    pub(super) async fn walk_heads(
        &self,
        tenant: &TenantId,
        stretch: &Stretch,
        most: usize,
    ) -> PortResult<Walked> {
        let from = stretch.after.map_or_else(|| keys::events_from(stretch.since), keys::after_event);
        let to = keys::events_from(stretch.until);
        if from >= to {
            return Ok(Walked::default());
        }
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .filter_expression("attribute_exists(deliveries)")
            .expression_attribute_values(":pk", s(keys::shard(tenant, stretch.shard)))
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(to))
            .limit(i32::try_from(most).unwrap_or(i32::MAX));
        let answer = query.send().await.map_err(|error| Unavailable::new("walking through events", error))?;
        let heads: Result<Vec<_>, Unreadable> = answer.items().iter().map(head_item::read).collect();
        let mut heads = heads.map_err(|error| Unavailable::new("walking through events", error))?;
        heads.retain(|head| head.status != Status::Deleted);
        Ok(Walked { heads, reached: answer.last_evaluated_key().and_then(event_of) })
    }

    /// The attempts of one event, by endpoint, each endpoint's in their order.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn attempts_of(&self, tenant: &TenantId, event: EventId) -> PortResult<Vec<LoggedAttempt>> {
        let (mut attempts, mut start) = (Vec::new(), None::<Item>);
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND begins_with(sk, :attempts)")
                .expression_attribute_values(":pk", s(keys::shard(tenant, event.shard())))
                .expression_attribute_values(":attempts", s(keys::attempts_of(event)))
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(|error| Unavailable::new("reading attempts", error))?;
            let read: Result<Vec<_>, Unreadable> = answer.items().iter().map(attempt_log::read).collect();
            attempts.extend(read.map_err(|error| Unavailable::new("reading attempts", error))?);
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(attempts);
            }
        }
    }

    /// At most `most` things of one shard, the oldest event first, each before its attempts; from the place on that the
    /// call before told. With them the next place, where there is more.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn kept(
        &self,
        tenant: &TenantId,
        shard: u8,
        after: Option<&str>,
        most: usize,
    ) -> PortResult<(Vec<(String, Kept)>, bool)> {
        let from = after.map_or_else(|| keys::events_from(Timestamp::from_millis(0)), |sk| format!("{sk}\0"));
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk >= :from")
            .expression_attribute_values(":pk", s(keys::shard(tenant, shard)))
            .expression_attribute_values(":from", s(from))
            .limit(i32::try_from(most).unwrap_or(i32::MAX));
        let answer = query.send().await.map_err(|error| Unavailable::new("reading for an export", error))?;
        let read = |item: &Item| {
            let sk = text(item, "sk")?.to_owned();
            let kept = if sk.contains('#') {
                Kept::Attempt(Box::new(attempt_log::read(item)?))
            } else {
                Kept::Event(Box::new(head_item::found(item)?))
            };
            Ok((sk, kept))
        };
        let kept: Result<Vec<_>, Unreadable> = answer.items().iter().map(read).collect();
        let kept = kept.map_err(|error| Unavailable::new("reading for an export", error))?;
        Ok((kept, answer.last_evaluated_key().is_some()))
    }
}

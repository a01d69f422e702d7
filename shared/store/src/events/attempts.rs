//! The log of attempts: reads by endpoint and by event.

use domain::delivery::attempt::Attempt;
use domain::endpoint::id::EndpointId;
use domain::event::id::EventId;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

use super::Events;
use super::attempt_item::{self, LoggedAttempt};
use crate::item::{Item, Key};
use crate::keys;
use crate::ports::Ports;
use crate::table::query::{Index, Query, Range};
use crate::unavailable::PortResult;

/// A page of attempts.
#[derive(Debug)]
pub struct AttemptPage {
    /// The attempts, newest first.
    pub attempts: Vec<LoggedAttempt>,
    /// The cursor of the next page; `None` if this page is the last.
    pub next: Option<String>,
}

impl<P: Ports> Events<P> {
    /// Adds an attempt to the log. The entry is kept until the event expires. Does not replace an attempt that is logged already.
    pub async fn log_attempt(&self, attempt: &Attempt, expires_at: Timestamp) -> PortResult<()> {
        self.items.put_new(attempt_item::write(attempt, expires_at)).await.map(drop)
    }

    /// Returns a page of the attempts at an endpoint, newest first, after the cursor of the previous page.
    pub async fn attempts(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<AttemptPage> {
        let query = Query::of_index(Index::Attempts, keys::attempts(tenant, endpoint))
            .backwards()
            .limit(limit)
            .from(after.and_then(|cursor| start(tenant, endpoint, cursor)));
        let page = self.items.page(query).await?;
        let attempts = page.items.iter().filter_map(attempt_item::readable).collect();
        Ok(AttemptPage { attempts, next: page.next.as_ref().and_then(cursor) })
    }

    /// Returns at most `most` attempts of an event, sorted by endpoint and attempt number.
    pub async fn attempts_of(
        &self,
        tenant: &TenantId,
        event: EventId,
        most: usize,
    ) -> PortResult<Vec<LoggedAttempt>> {
        let query = Query::eventual(keys::shard(tenant, event.shard()))
            .range(Range::Prefix(keys::attempts_of(event)));
        let items = self.items.up_to(most, query).await?;
        Ok(items.iter().filter_map(attempt_item::readable).collect())
    }
}

/// Returns the cursor for a key in the index.
fn cursor(key: &Item) -> Option<String> {
    let at: u64 = key.number("attempted_at").ok()?;
    Some(format!("{at} {}", key.text("sk").ok()?))
}

/// Returns the key in the index for a cursor.
fn start(tenant: &TenantId, endpoint: &EndpointId, cursor: &str) -> Option<Item> {
    let (at, sk) = cursor.split_once(' ')?;
    let at: u64 = at.parse().ok()?;
    let event = EventId::parse(sk.split('#').next()?)?;
    let attributes =
        Item::from([("attempts_pk", keys::attempts(tenant, endpoint).into()), ("attempted_at", at.into())]);
    Some(attributes.at(Key::new(keys::shard(tenant, event.shard()), sk)))
}

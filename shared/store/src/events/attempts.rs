//! The log of attempts: those at one endpoint by time, and those of one event.

use domain::delivery::attempt::Attempt;
use domain::endpoint::id::EndpointId;
use domain::event::id::EventId;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;

use super::{Events, attempt_item};
use crate::item::{Item, Key};
use crate::keys;
use crate::ports::Ports;
use crate::table::query::{Index, Query, Range};
use crate::unavailable::PortResult;

/// An attempt in the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoggedAttempt {
    /// Which event.
    pub event: EventId,
    /// To which endpoint.
    pub endpoint: EndpointId,
    /// In which run: 0 is the original, a replay's is its id.
    pub generation: String,
    /// Which attempt, counted from 1.
    pub n: u64,
    /// Whether it was a probe of an open circuit breaker.
    pub is_probe: bool,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The HTTP status of the answer, if there was one.
    pub code: Option<u64>,
    /// The verdict on it.
    pub verdict: String,
    /// Why there was no answer.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub answer: Option<String>,
}

/// A page of attempts.
#[derive(Debug)]
pub struct AttemptPage {
    /// The attempts, the newest first.
    pub attempts: Vec<LoggedAttempt>,
    /// The place of the last one; `None` where there is nothing more.
    pub next: Option<String>,
}

impl<P: Ports> Events<P> {
    /// Adds an attempt to the log, until its event expires. Adding it twice changes nothing: the first stays.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn log_attempt(&self, attempt: &Attempt, expires_at: Timestamp) -> PortResult<()> {
        self.items.put_new(attempt_item::write(attempt, expires_at)).await.map(drop)
    }

    /// Returns a page of the attempts at an endpoint, the newest first, behind the place where the page before ended.
    ///
    /// # Errors
    /// When the table does not answer.
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
            .from(after.and_then(|place| start(tenant, endpoint, place)));
        let page = self.items.page(query).await?;
        let attempts = page.items.iter().filter_map(attempt_item::readable).collect();
        Ok(AttemptPage { attempts, next: page.next.as_ref().and_then(place) })
    }

    /// Returns the attempts of one event, by endpoint, each endpoint's in their order; at most `most`.
    ///
    /// # Errors
    /// When the table does not answer.
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

/// Writes the place of the last attempt of a page.
fn place(key: &Item) -> Option<String> {
    let at: u64 = key.number("attempted_at").ok()?;
    Some(format!("{at} {}", key.text("sk").ok()?))
}

/// Returns the key in the index behind which a page starts.
fn start(tenant: &TenantId, endpoint: &EndpointId, place: &str) -> Option<Item> {
    let (at, sk) = place.split_once(' ')?;
    let at: u64 = at.parse().ok()?;
    let event = EventId::parse(sk.split('#').next()?)?;
    let attributes =
        Item::from([("attempts_pk", keys::attempts(tenant, endpoint).into()), ("attempted_at", at.into())]);
    Some(attributes.at(Key::new(keys::shard(tenant, event.shard()), sk)))
}

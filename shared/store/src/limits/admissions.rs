//! The lines of a tenant: the time that messages reserve, and the requests in flight in one minute.

use domain::delivery::at_once::AtOnce;
use domain::delivery::line::Line;
use domain::endpoint::pace::Span;
use domain::tenant::id::TenantId;

use super::once::update_once;
use super::{KEEP_SECONDS, Limits, ttl};
use crate::item::Key;
use crate::items::Outcome;
use crate::keys;
use crate::table::Table;
use crate::table::condition::{Condition, absent_or_at_most, at_most, greater};
use crate::table::write::Update;
use crate::unavailable::{PortResult, Unavailable};

const MICROSECONDS: u64 = 1_000_000;

/// The attribute with the end of the last reservation, in microseconds since the epoch.
const BUSY_UNTIL: &str = "busy_until";

/// The attributes of a minute of a line: the requests in flight, the batches that they came in, and the requests that succeeded.
const HELD: &str = "held";
const BATCHES: &str = "batches";
const SUCCEEDED: &str = "succeeded";

/// Requests of a batch that ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ended {
    /// The number of requests.
    pub requests: u32,
    /// How many of them succeeded.
    pub succeeded: u32,
    /// Whether no other request of the batch is in flight.
    pub is_last: bool,
}

impl<T: Table> Limits<T> {
    /// Reserves the next span of a line's time; returns when it begins, in microseconds since the epoch. It begins
    /// at `span.earliest` or later, and spans of two callers do not overlap.
    pub async fn reserve(&self, tenant: &TenantId, line: Line<'_>, span: Span) -> PortResult<u64> {
        let key = Key::new(keys::pace(tenant, line), keys::ONLY);
        let begin = self.reserve_in(BUSY_UNTIL, key, span, None).await?;
        begin.ok_or_else(|| Unavailable::new("reserving a slot", "a write without a condition was refused"))
    }

    /// Reserves the next span of a line's time, if it begins at `latest` (microseconds since the epoch) or earlier. Returns
    /// whether it did.
    pub async fn reserve_before(
        &self,
        tenant: &TenantId,
        line: Line<'_>,
        span: Span,
        latest: u64,
    ) -> PortResult<bool> {
        let key = Key::new(keys::pace(tenant, line), keys::ONLY);
        Ok(self.reserve_in(BUSY_UNTIL, key, span, Some(latest)).await?.is_some())
    }

    /// Returns the end of the last reserved span of a line, in microseconds since the epoch; `None` if none is kept.
    pub async fn reserved_until(&self, tenant: &TenantId, line: Line<'_>) -> PortResult<Option<u64>> {
        let item = self.items.get_eventually(Key::new(keys::pace(tenant, line), keys::ONLY)).await?;
        Ok(item.and_then(|item| item.number(BUSY_UNTIL).ok()))
    }

    /// Reserves the next span of a throttled endpoint's time, if it begins at `latest` (microseconds since the epoch) or
    /// earlier. Returns when it begins; `None` if it would begin later. What was reserved at the full rate does not count.
    pub async fn reserve_throttled(
        &self,
        tenant: &TenantId,
        line: Line<'_>,
        span: Span,
        latest: u64,
    ) -> PortResult<Option<u64>> {
        let key = Key::new(keys::pace(tenant, line), keys::ONLY);
        self.reserve_in("throttled_until", key, span, Some(latest)).await
    }

    /// Reserves the next span; `attribute` holds the end of the last one. Returns when it begins; `None` if it would begin
    /// after `latest`.
    async fn reserve_in(
        &self,
        attribute: &'static str,
        key: Key,
        span: Span,
        latest: Option<u64>,
    ) -> PortResult<Option<u64>> {
        let ttl = |begin: u64| (begin + span.length) / MICROSECONDS + KEEP_SECONDS;

        // 1. If the last reservation ends before `span.earliest`, reserve from there.
        let at_once = Update::new(key.clone())
            .set(attribute, span.earliest + span.length)
            .set("ttl", ttl(span.earliest))
            .only_if(absent_or_at_most(attribute, span.earliest));
        let mut outcome = update_once(&self.items, at_once).await?;

        // 2. Otherwise reserve from the end of the last reservation, and keep the item until then.
        if let Outcome::Refused(found) = &outcome {
            let begin = found.number(attribute).unwrap_or(span.earliest);
            let mut after_last = Update::new(key).add(attribute, span.length).set("ttl", ttl(begin));
            if let Some(latest) = latest {
                after_last = after_last.only_if(absent_or_at_most(attribute, latest));
            }
            outcome = update_once(&self.items, after_last).await?;
        }
        let Outcome::Done(reserved) = outcome else { return Ok(None) };
        let end: u64 = reserved.number(attribute)?;
        Ok(Some(end.saturating_sub(span.length).max(span.earliest)))
    }

    /// Starts up to `wanted` requests of a batch, so that no more than `at_once` of this line and minute are in flight: not more
    /// than may be in flight at first. Returns the number of requests that may start.
    pub async fn start_requests(
        &self,
        tenant: &TenantId,
        line: Line<'_>,
        minute: u64,
        wanted: u32,
        at_once: AtOnce,
    ) -> PortResult<u32> {
        // 1. Take them if there is room for them, whether any succeeded or not, or after enough of them did.
        let first = wanted.min(at_once.most(0));
        let mut has_room = absent_or_at_most(HELD, at_once.most(0) - first);
        if let Some((succeeded, most)) = at_once.last() {
            let has_succeeded = greater(SUCCEEDED, succeeded - 1);
            has_room = has_room.or(has_succeeded.and(at_most(HELD, most - first)));
        }
        let take = self.take_requests((tenant, line, minute), first, has_room, at_once);
        let Outcome::Refused(found) = take.await? else { return Ok(first) };

        // 2. Otherwise take the number that is left.
        let number = |name| found.number(name).unwrap_or_default();
        let most = at_once.most(number(SUCCEEDED));
        let ours = most.saturating_sub(number(HELD)).min(wanted);
        let is_full = at_once.batches_before().is_some_and(|before| number(BATCHES) > before);
        if ours == 0 || is_full {
            return Ok(0);
        }
        let has_room = absent_or_at_most(HELD, most - ours);
        let taken = self.take_requests((tenant, line, minute), ours, has_room, at_once).await?;
        Ok(if taken.is_done() { ours } else { 0 })
    }

    /// Takes requests and a batch of a minute of a line, if there is room for both.
    async fn take_requests(
        &self,
        (tenant, line, minute): (&TenantId, Line<'_>, u64),
        count: u32,
        has_room: Condition,
        at_once: AtOnce,
    ) -> PortResult<Outcome> {
        let has_batch = at_once.batches_before().map(|before| absent_or_at_most(BATCHES, before));
        let take = Update::new(Key::new(keys::in_flight(tenant, line, minute), keys::ONLY))
            .add(HELD, count)
            .add(BATCHES, 1)
            .set("ttl", ttl(minute))
            .only_if(has_room.and_some(has_batch));
        update_once(&self.items, take).await
    }

    /// Ends requests that [`Limits::start_requests`] started in this minute. Each call counts.
    ///
    /// # Errors
    /// When the table does not answer. The call may have counted then.
    pub async fn end_requests(
        &self,
        tenant: &TenantId,
        line: Line<'_>,
        minute: u64,
        ended: Ended,
    ) -> PortResult<()> {
        let key = Key::new(keys::in_flight(tenant, line, minute), keys::ONLY);
        let mut end = Update::new(key).add(HELD, -i64::from(ended.requests));
        if ended.succeeded > 0 {
            end = end.add(SUCCEEDED, ended.succeeded);
        }
        if ended.is_last {
            end = end.add(BATCHES, -1);
        }
        update_once(&self.items, end).await.map(drop)
    }
}

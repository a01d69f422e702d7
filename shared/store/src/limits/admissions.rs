//! The rate limit of an endpoint: the time that messages reserve, and the requests in flight in one minute.

use domain::endpoint::id::EndpointId;
use domain::endpoint::pace::Span;
use domain::tenant::id::TenantId;

use super::once::update_once;
use super::{KEEP_SECONDS, Limits, ttl};
use crate::item::Key;
use crate::items::Outcome;
use crate::keys;
use crate::table::Table;
use crate::table::condition::absent_or_at_most;
use crate::table::write::Update;
use crate::unavailable::PortResult;

const MICROSECONDS: u64 = 1_000_000;

impl<T: Table> Limits<T> {
    /// Reserves the next span of an endpoint's time; returns when it begins, in microseconds since the epoch. It begins
    /// at `span.earliest` or later, and spans of two callers do not overlap.
    pub async fn reserve(&self, tenant: &TenantId, endpoint: &EndpointId, span: Span) -> PortResult<u64> {
        let key = Key::new(keys::pace(tenant, endpoint), keys::ONLY);
        let ttl = (span.earliest + span.length) / MICROSECONDS + KEEP_SECONDS;

        // 1. If the last reservation ends before `span.earliest`, reserve from there.
        let at_once = Update::new(key.clone())
            .set("busy_until", span.earliest + span.length)
            .set("ttl", ttl)
            .only_if(absent_or_at_most("busy_until", span.earliest));
        let reserved = match update_once(&self.items, at_once).await? {
            Outcome::Done(reserved) => reserved,
            // 2. Otherwise reserve from the end of the last reservation.
            Outcome::Refused(_) => {
                let after_last = Update::new(key).add("busy_until", span.length).set("ttl", ttl);
                match update_once(&self.items, after_last).await? {
                    Outcome::Done(reserved) | Outcome::Refused(reserved) => reserved,
                }
            }
        };
        let end: u64 = reserved.number("busy_until")?;
        Ok(end.saturating_sub(span.length).max(span.earliest))
    }

    /// Reserves the next span of a throttled endpoint's time, if it begins at `latest` (microseconds since the epoch) or
    /// earlier. Returns when it begins; `None` if it would begin later. What was reserved at the full rate does not count.
    pub async fn reserve_throttled(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        span: Span,
        latest: u64,
    ) -> PortResult<Option<u64>> {
        let key = Key::new(keys::pace(tenant, endpoint), keys::ONLY);
        let ttl = (latest + span.length) / MICROSECONDS + KEEP_SECONDS;
        let at_once = Update::new(key.clone())
            .set("throttled_until", span.earliest + span.length)
            .set("ttl", ttl)
            .only_if(absent_or_at_most("throttled_until", span.earliest));
        let reserved = match update_once(&self.items, at_once).await? {
            Outcome::Done(reserved) => reserved,
            Outcome::Refused(_) => {
                let after_last = Update::new(key)
                    .add("throttled_until", span.length)
                    .set("ttl", ttl)
                    .only_if(absent_or_at_most("throttled_until", latest));
                match update_once(&self.items, after_last).await? {
                    Outcome::Done(reserved) => reserved,
                    Outcome::Refused(_) => return Ok(None),
                }
            }
        };
        let end: u64 = reserved.number("throttled_until")?;
        Ok(Some(end.saturating_sub(span.length).max(span.earliest)))
    }

    /// Starts up to `wanted` requests to an endpoint, so that at most `most` requests of this minute are in flight.
    /// Returns the number of requests that may start.
    pub async fn start_requests(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        minute: u64,
        wanted: u32,
        most: u32,
    ) -> PortResult<u32> {
        let key = Key::new(keys::in_flight(tenant, endpoint, minute), keys::ONLY);
        let mut ours = wanted.min(most);
        // The second try asks for the number that the first one found to be left.
        for _ in 0..2 {
            if ours == 0 {
                break;
            }
            let take = Update::new(key.clone())
                .add("held", ours)
                .set("ttl", ttl(minute))
                .only_if(absent_or_at_most("held", most - ours));
            match update_once(&self.items, take).await? {
                Outcome::Done(_) => return Ok(ours),
                Outcome::Refused(found) => {
                    let held: u32 = found.number("held").unwrap_or_default();
                    ours = most.saturating_sub(held).min(ours);
                }
            }
        }
        Ok(0)
    }

    /// Ends requests that [`Limits::start_requests`] started in this minute. Each call counts.
    ///
    /// # Errors
    /// When the table does not answer. The call may have counted then.
    pub async fn end_requests(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        minute: u64,
        count: u32,
    ) -> PortResult<()> {
        let key = Key::new(keys::in_flight(tenant, endpoint, minute), keys::ONLY);
        update_once(&self.items, Update::new(key).add("held", -i64::from(count))).await.map(drop)
    }
}

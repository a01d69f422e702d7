//! The rate of an endpoint: slots in time that messages reserve, and the requests in flight of one minute.

use domain::endpoint::id::EndpointId;
use domain::endpoint::pace::Span;
use domain::tenant::id::TenantId;

use super::once::{Once, Take};
use super::{KEEP_SECONDS, Limits, ends_after};
use crate::item::Key;
use crate::keys;
use crate::table::Table;
use crate::unavailable::PortResult;

const MICROSECONDS: u64 = 1_000_000;

impl<T: Table> Limits<T> {
    /// Reserves the next span of an endpoint's time; returns when it begins, in microseconds since the epoch. Gives no time to two
    /// callers, and none before `span.earliest`.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn reserve(&self, tenant: &TenantId, endpoint: &EndpointId, span: Span) -> PortResult<u64> {
        let key = Key::new(keys::pace(tenant, endpoint), keys::ONLY);
        let ttl = (span.earliest + span.length) / MICROSECONDS + KEEP_SECONDS;
        // Where nothing is reserved beyond now, the span begins now.
        let at_once = Once::new(key.clone())
            .set("busy_until", span.earliest + span.length)
            .set("ttl", ttl)
            .only_up_to("busy_until", span.earliest);
        let reserved = match at_once.send(&self.items).await? {
            Take::Done(reserved) => reserved,
            // Otherwise it begins where the last reservation ends.
            Take::Refused(_) => {
                let behind = Once::new(key).add("busy_until", span.length).set("ttl", ttl);
                match behind.send(&self.items).await? {
                    Take::Done(reserved) | Take::Refused(reserved) => reserved,
                }
            }
        };
        let end: u64 = reserved.number("busy_until")?;
        Ok(end.saturating_sub(span.length).max(span.earliest))
    }

    /// Takes up to `wanted` of the `most` requests that may be in flight to an endpoint in one minute; returns how many it got.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn enter(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        minute: u64,
        wanted: u32,
        most: u32,
    ) -> PortResult<u32> {
        let key = Key::new(keys::under_way(tenant, endpoint, minute), keys::ONLY);
        let mut ours = wanted.min(most);
        // The second try asks for what the first one found to be left.
        for _ in 0..2 {
            if ours == 0 {
                break;
            }
            let take = Once::new(key.clone())
                .add("held", ours)
                .set("ttl", ends_after(minute))
                .only_up_to("held", (most - ours).into());
            match take.send(&self.items).await? {
                Take::Done(_) => return Ok(ours),
                Take::Refused(found) => {
                    let held: u32 = found.number("held").unwrap_or_default();
                    ours = most.saturating_sub(held).min(ours);
                }
            }
        }
        Ok(0)
    }

    /// Gives back requests that are no longer in flight. Not idempotent: a further call counts again.
    ///
    /// # Errors
    /// When the table does not answer: then nobody knows whether it counted.
    pub async fn leave(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        minute: u64,
        count: u32,
    ) -> PortResult<()> {
        let key = Key::new(keys::under_way(tenant, endpoint, minute), keys::ONLY);
        Once::new(key).add("held", -i64::from(count)).send(&self.items).await.map(drop)
    }
}

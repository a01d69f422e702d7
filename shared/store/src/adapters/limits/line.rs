//! The line before an endpoint, and the places of those whose turn it is.

use crate::adapters::item::{n, number};
use crate::adapters::limits::once::Outcome;
use crate::adapters::limits::{KEEP_SECONDS, LimitsTable, ends_after};
use crate::keys;
use crate::unavailable::{PortResult, Unavailable};
use domain::endpoint::id::EndpointId;
use domain::endpoint::pace::Span;
use domain::tenant::id::TenantId;

impl LimitsTable {
    /// Takes the next part of an endpoint's line: from now where nobody stands in it, behind the others else.
    pub(super) async fn take_turns(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        span: Span,
    ) -> PortResult<u64> {
        let what = "queueing up";
        let ttl = n((span.earliest + span.length) / 1_000_000 + KEEP_SECONDS);
        let lengthened = || self.once(keys::pace(tenant, endpoint), keys::ONLY).set("ttl", ttl.clone());
        let begun =
            lengthened().set("busy_until", n(span.earliest + span.length)).up_to("busy_until", span.earliest);
        let line = match begun.send(what).await? {
            Outcome::Done(line) => line,
            Outcome::Refused(_) => match lengthened().add("busy_until", span.length).send(what).await? {
                Outcome::Done(line) | Outcome::Refused(line) => line,
            },
        };
        let end = number(&line, "busy_until").map_err(|error| Unavailable::new(what, error))?;
        Ok(end.saturating_sub(span.length).max(span.earliest))
    }

    /// Takes places, as many as there are left of `most`.
    pub(super) async fn take_places(
        &self,
        pk: String,
        minute: u64,
        wanted: u32,
        most: u32,
    ) -> PortResult<u32> {
        let mut ours = wanted.min(most);
        for _ in 0..2 {
            if ours == 0 {
                break;
            }
            let taken = self
                .once(pk.clone(), keys::ONLY)
                .add("held", ours)
                .set("ttl", ends_after(minute))
                .up_to("held", (most - ours).into());
            match taken.send("taking places").await? {
                Outcome::Done(_) => return Ok(ours),
                Outcome::Refused(found) => {
                    let held = number(&found, "held").unwrap_or_default();
                    ours = most.saturating_sub(u32::try_from(held).unwrap_or(most)); // the rest, unless others take it too
                }
            }
        }
        Ok(0)
    }

    /// Gives places back.
    pub(super) async fn give_places_back(&self, pk: String, count: u32) -> PortResult<()> {
        self.once(pk, keys::ONLY).add("held", -i64::from(count)).send("giving places back").await.map(drop)
    }
}

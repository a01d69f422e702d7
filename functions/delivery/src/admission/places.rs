//! The requests in flight, counted where they could occupy many instances: to slow endpoints, the batches with a burst of one
//! tenant, and to an endpoint for which other messages wait. A message that finds no place gets a time behind all others of its line.

use std::time::Duration;

use domain::delivery::at_once::AtOnce;
use domain::delivery::line::Line;
use domain::endpoint::pace::Pace;
use domain::tenant::capacity::{BURST, Capacity};
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::timestamp::Timestamp;
use store::limits::Limits;
use store::table::Table;
use store::unavailable::PortResult;

use super::candidate::{Candidate, Group, Turn};

/// The shortest delay of a message that is not sent because too many requests are in flight.
const MIN_DELAY: Duration = Duration::from_secs(1);

/// Requests that count as in flight.
#[derive(Clone, Debug)]
pub(crate) struct Places<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) line: Line<'a>,
    pub(crate) count: u32,
    /// The messages that hold the places, by their places in the batch: one for each, or all of them for one place of a burst.
    pub(crate) holders: Vec<usize>,
}

/// Returns whether the candidates of a tenant that may be sent now are a burst: at least [`BURST`].
pub(crate) fn is_burst(groups: &[Group<'_>], now: Timestamp) -> bool {
    let quick = groups.iter().filter(|group| !group.is_slow(now));
    quick.map(Group::count_ready).sum::<usize>() >= BURST
}

/// Takes places for the candidates for slow endpoints of a tenant that may be sent now.
pub(crate) async fn take_for_slow<'a, T: Table>(
    limits: &Limits<T>,
    groups: &mut [Group<'a>],
    capacity: Capacity,
    now: Timestamp,
) -> PortResult<Option<Places<'a>>> {
    let longest = groups.iter().filter_map(|group| group.endpoint.slow_seconds(now)).max();
    let pace = capacity.slow_pace(longest.unwrap_or(1));
    let slow = groups.iter_mut().filter(|group| group.is_slow(now));
    let at_once = AtOnce::requests(capacity.slow_at_once());
    take_in(limits, Line::Slow, slow, pace, at_once, now).await
}

/// Takes the place of one batch for the candidates of a burst of a tenant. If there is none, all of them come back later.
pub(crate) async fn take_for_burst<'a, T: Table>(
    limits: &Limits<T>,
    groups: &mut [Group<'a>],
    capacity: Capacity,
    tier: Tier,
    now: Timestamp,
) -> PortResult<Option<Places<'a>>> {
    let Some(tenant) = groups.first().map(|group| group.tenant) else { return Ok(None) };
    let at_once = AtOnce::requests(capacity.bursts_at_once(tier));
    let count = take(limits, tenant, Line::Burst, 1, at_once, now).await?;
    let quick = groups.iter_mut().filter(|group| !group.is_slow(now));
    let ready: Vec<&mut Candidate<'a>> = quick.flat_map(Group::ready).collect();
    let holders = ready.iter().map(|candidate| candidate.place).collect();
    if count == 0 {
        send_later(limits, tenant, Line::Burst, capacity.burst_pace(tier), ready, now).await;
    }
    Ok(Some(Places { tenant, line: Line::Burst, count, holders }))
}

/// Takes places for the candidates for one endpoint that may be sent now. A single one needs none if no message waited before
/// it. At most this many batches may have requests to it. A throttled endpoint has no times behind all others: its refused candidates
/// are parked.
pub(crate) async fn take_for_endpoint<'a, T: Table>(
    limits: &Limits<T>,
    group: &mut Group<'a>,
    batches: u32,
    now: Timestamp,
) -> PortResult<Option<Places<'a>>> {
    if group.was_idle && group.count_ready() == 1 {
        return Ok(None);
    }
    let (line, pace, is_throttled) =
        (Line::Endpoint(group.id), group.endpoint.full_pace(), group.is_throttled);
    let at_once = AtOnce::to_endpoint(pace).in_batches(batches);
    if !is_throttled {
        return take_in(limits, line, std::iter::once(group), pace, at_once, now).await;
    }
    let tenant = group.tenant;
    let count = take(limits, tenant, line, group.count_ready(), at_once, now).await?;
    let mut ready = group.ready();
    let holders = ready.by_ref().take(to_usize(count)).map(|candidate| candidate.place).collect();
    ready.for_each(|candidate| candidate.turn = Turn::TooLate);
    Ok(Some(Places { tenant, line, count, holders }))
}

/// Takes places of a line for the candidates of these groups that may be sent now. The others get times at this rate.
async fn take_in<'g, 'a: 'g, T: Table>(
    limits: &Limits<T>,
    line: Line<'a>,
    groups: impl Iterator<Item = &'g mut Group<'a>>,
    pace: Pace,
    at_once: AtOnce,
    now: Timestamp,
) -> PortResult<Option<Places<'a>>> {
    let mut tenant = None;
    let mut ready: Vec<&mut Candidate<'a>> = Vec::new();
    for group in groups {
        tenant = Some(group.tenant);
        ready.extend(group.ready());
    }
    let Some(tenant) = tenant.filter(|_| !ready.is_empty()) else { return Ok(None) };
    let count = take(limits, tenant, line, ready.len(), at_once, now).await?;
    let refused = ready.split_off(to_usize(count).min(ready.len()));
    if !refused.is_empty() {
        send_later(limits, tenant, line, pace, refused, now).await;
    }
    let holders = ready.iter().map(|candidate| candidate.place).collect();
    Ok(Some(Places { tenant, line, count, holders }))
}

/// Gives refused candidates the next times of a line, or the shortest delay if the table does not answer.
async fn send_later<T: Table>(
    limits: &Limits<T>,
    tenant: &TenantId,
    line: Line<'_>,
    pace: Pace,
    refused: Vec<&mut Candidate<'_>>,
    now: Timestamp,
) {
    let reserved = limits.reserve(tenant, line, pace.span(refused.len(), now)).await;
    if let Err(error) = &reserved {
        tracing::warn!(cause = %error, "refused messages come back after the shortest delay");
    }
    let begin = reserved.unwrap_or_default();
    for (slot, candidate) in refused.into_iter().enumerate() {
        let later = pace.turn(begin, slot, now).unwrap_or(now).max(now.after(MIN_DELAY));
        candidate.turn = Turn::Later(later);
    }
}

/// Takes up to `wanted` places of a line; returns how many.
async fn take<T: Table>(
    limits: &Limits<T>,
    tenant: &TenantId,
    line: Line<'_>,
    wanted: usize,
    at_once: AtOnce,
    now: Timestamp,
) -> PortResult<u32> {
    let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
    limits.start_requests(tenant, line, now.minutes(), wanted, at_once).await
}

fn to_usize(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

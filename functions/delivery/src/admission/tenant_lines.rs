//! The lines of a tenant, in which messages wait beside the line of their endpoint: for the tenant's allowance, and for the
//! instances that slow endpoints may occupy. Ordinary messages need neither.

use std::time::Duration;

use domain::delivery::Bypass;
use domain::delivery::line::Line;
use domain::endpoint::pace::Pace;
use domain::tenant::allowance;
use domain::tenant::capacity::Capacity;
use domain::tenant::tier::Tier;
use domain::timestamp::Timestamp;
use store::limits::Limits;
use store::table::Table;
use store::unavailable::PortResult;

use super::candidate::{Candidate, Group};

/// Returns whether a delivery takes units from the allowance now. Each attempt takes them once, before it waits.
pub(crate) fn is_charged(candidate: &Candidate<'_>) -> bool {
    candidate.message.units > 0 && is_first_time(candidate)
}

/// Returns whether a message has waited in no line yet.
fn is_first_time(candidate: &Candidate<'_>) -> bool {
    !candidate.message.has_waited && candidate.message.bypass == Bypass::None
}

/// Gives the charged candidates of a tenant their times in the line of its allowance.
pub(crate) async fn take_allowance<T: Table>(
    limits: &Limits<T>,
    groups: &mut [Group<'_>],
    tier: Tier,
    now: Timestamp,
) -> PortResult<()> {
    let Some(tenant) = groups.first().map(|group| group.tenant) else { return Ok(()) };
    let candidates = groups.iter_mut().flat_map(|group| &mut group.candidates);
    let charged: Vec<&mut Candidate<'_>> = candidates.filter(|candidate| is_charged(candidate)).collect();
    let total = charged.iter().map(|candidate| units(candidate)).sum();
    let begin = limits.reserve(tenant, Line::Allowance, allowance::span(tier, total, now)).await?;
    wait(charged, allowance::pace(tier), begin, units, now);
    Ok(())
}

/// Gives the new candidates for slow endpoints of a tenant their times.
pub(crate) async fn wait_for_slow<T: Table>(
    limits: &Limits<T>,
    groups: &mut [Group<'_>],
    capacity: Capacity,
    now: Timestamp,
) -> PortResult<()> {
    let Some(tenant) = groups.first().map(|group| group.tenant) else { return Ok(()) };
    let mut slow: Vec<&mut Candidate<'_>> = Vec::new();
    let mut longest = 0;
    for group in groups.iter_mut() {
        let Some(seconds) = group.endpoint.slow_seconds(now) else { continue };
        longest = longest.max(seconds);
        slow.extend(group.candidates.iter_mut().filter(|candidate| is_first_time(candidate)));
    }
    if slow.is_empty() {
        return Ok(());
    }
    let pace = capacity.slow_pace(longest);
    let span = pace.span_with_burst(slow.len(), Duration::from_secs(longest.into()), now);
    let begin = limits.reserve(tenant, Line::Slow, span).await?;
    wait(slow, pace, begin, |_| 1, now);
    Ok(())
}

/// Lets each candidate wait for its turn in a span that begins at `begin`, of which it takes `slots`.
fn wait(
    candidates: Vec<&mut Candidate<'_>>,
    pace: Pace,
    begin: u64,
    slots: impl Fn(&Candidate<'_>) -> usize,
    now: Timestamp,
) {
    let mut taken = 0;
    for candidate in candidates {
        candidate.turn = candidate.turn.waiting_until(pace.turn(begin, taken, now));
        candidate.has_waited = true;
        taken += slots(candidate);
    }
}

fn units(candidate: &Candidate<'_>) -> usize {
    usize::try_from(candidate.message.units).unwrap_or(usize::MAX)
}

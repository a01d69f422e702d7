//! The allowance of a tenant for deliveries and bytes. Each event includes some; what goes beyond waits for its time in a line
//! of the tenant ([`Line::Allowance`](crate::delivery::line::Line)), and nothing is dropped.
//!
//! Deliveries are counted in units of 4 KiB, at least one per delivery. An event includes [`INCLUDED`] units for its first
//! deliveries: ten endpoints for a small event, one for an event of 40 KB. So an ordinary event needs no count at all.
//! Replays include none.

use std::time::Duration;

use crate::endpoint::pace::{Pace, Span};
use crate::tenant::tier::Tier;
use crate::timestamp::Timestamp;

/// The allowance of this time can be used at once.
const BURST: Duration = Duration::from_mins(1);

/// The size of a unit, in bytes.
const UNIT_BYTES: usize = 4096;

/// The units that each event includes.
pub const INCLUDED: u32 = 10;

/// Returns the units of one delivery of a payload.
#[must_use]
pub fn units_of(payload_bytes: usize) -> u32 {
    u32::try_from(payload_bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).max(1)
}

/// Returns the units that the delivery at this place (from 0) of an event takes from the allowance, if each delivery of
/// the event has `units` and the event includes `included`.
#[must_use]
pub fn charge(units: u32, place: usize, included: u32) -> u32 {
    let place = u32::try_from(place).unwrap_or(u32::MAX);
    let before = units.saturating_mul(place);
    let until_here = before.saturating_add(units);
    until_here.saturating_sub(included).min(units)
}

/// Returns the time that these units need in the line of the allowance at `now`. The allowance of a minute can be used at once.
#[must_use]
pub fn span(tier: Tier, units: usize, now: Timestamp) -> Span {
    pace(tier).span_with_burst(units, BURST, now)
}

/// Returns the rate of the allowance, in units: ten for each event that the tier allows per minute.
#[must_use]
pub fn pace(tier: Tier) -> Pace {
    Pace::per_hour(units_per_minute(tier).saturating_mul(60))
}

/// Returns the units of the allowance per minute.
#[must_use]
pub const fn units_per_minute(tier: Tier) -> u32 {
    tier.limits().events_per_minute.saturating_mul(INCLUDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charges(payload_bytes: usize, deliveries: usize) -> Vec<u32> {
        (0..deliveries).map(|place| charge(units_of(payload_bytes), place, INCLUDED)).collect()
    }

    #[test]
    fn a_small_event_to_ten_endpoints_takes_nothing_from_the_allowance() {
        assert_eq!(charges(1000, 10).iter().sum::<u32>(), 0);
        assert_eq!(charges(1000, 50).iter().sum::<u32>(), 40);
        assert_eq!(charges(4096, 12), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
    }

    #[test]
    fn a_large_event_takes_units_by_its_bytes() {
        assert_eq!(charges(40_000, 2), [0, 10]);
        assert_eq!(charges(256 * 1024, 2), [54, 64]);
        assert_eq!(units_of(0), 1);
    }

    #[test]
    fn a_replay_includes_nothing() {
        assert_eq!([charge(3, 0, 0), charge(3, 7, 0)], [3, 3]);
    }

    #[test]
    fn a_tenant_sends_at_most_twenty_units_for_each_event_that_its_tier_allows() {
        let most = |tier: Tier| tier.limits().events_per_minute * INCLUDED + units_per_minute(tier);
        assert_eq!(Tier::ALL.map(most), [2_000, 20_000, 200_000, 2_000_000]);
        assert_eq!(pace(Tier::Free).to_per_minute(), 1_000);
    }

    #[test]
    fn no_number_overflows() {
        assert_eq!(charge(u32::MAX, usize::MAX, INCLUDED), u32::MAX - INCLUDED);
    }
}

//! The share of the instances of delivery that one tenant may occupy on each lane. A request in flight occupies its instance until
//! the receiver answers, and other tenants need free instances at any time.

use crate::endpoint::pace::Pace;
use crate::tenant::tier::Tier;

/// The number of instances that deliver at the same time on a lane.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Capacity {
    instances: u32,
}

/// Messages of one tenant in one batch, from which on they count as a burst. A smaller number costs more writes.
pub const BURST: usize = 5;

/// The refused messages of bursts that come back per second, for each batch that may be under way: five full batches.
const RETRIES_PER_SECOND: u32 = 50;

impl Capacity {
    /// Makes the capacity of a stack with this many instances. 0 counts as 1.
    #[must_use]
    pub const fn of(instances: u32) -> Self {
        Self { instances: if instances == 0 { 1 } else { instances } }
    }

    /// Returns the largest number of requests to slow endpoints that a tenant may have in flight: three tenths of the
    /// instances, since each of them can be alone in its batch.
    #[must_use]
    pub fn slow_at_once(self) -> u32 {
        self.percent(30)
    }

    /// Returns the largest number of batches with requests to one endpoint that may be under way when one more starts: three tenths of
    /// the instances, or as many as there may be bursts of its tenant if this is one.
    #[must_use]
    pub fn endpoint_at_once(self, burst_of: Option<Tier>) -> u32 {
        self.percent(30).max(burst_of.map_or(0, |tier| self.bursts_at_once(tier)))
    }

    /// Returns the largest number of batches with a burst of a tenant that may be under way: each occupies an instance. The
    /// count begins anew with each minute, so for some seconds it can be twice as many.
    #[must_use]
    pub fn bursts_at_once(self, tier: Tier) -> u32 {
        self.percent(match tier {
            Tier::Free => 10,
            Tier::Pro => 20,
            Tier::Business | Tier::Enterprise => 50,
        })
    }

    /// Returns the rate of a tenant's requests to slow endpoints that take `seconds` each: at this rate, as many as allowed
    /// are in flight.
    #[must_use]
    pub fn slow_pace(self, seconds: u32) -> Pace {
        Pace::per_hour(self.slow_at_once().saturating_mul(3600) / seconds.max(1))
    }

    /// Returns the rate at which refused messages of bursts come back.
    #[must_use]
    pub fn burst_pace(self, tier: Tier) -> Pace {
        Pace::per_second(self.bursts_at_once(tier).saturating_mul(RETRIES_PER_SECOND))
    }

    fn percent(self, percent: u32) -> u32 {
        (self.instances.saturating_mul(percent) / 100).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tenant_may_occupy_all_instances() {
        let capacity = Capacity::of(100);
        assert_eq!(capacity.slow_at_once(), 30);
        assert_eq!(Tier::ALL.map(|tier| capacity.bursts_at_once(tier)), [10, 20, 50, 50]);
    }

    #[test]
    fn one_endpoint_may_occupy_as_many_instances_as_the_bursts_of_its_tenant() {
        let at_once = |burst_of| Capacity::of(100).endpoint_at_once(burst_of);
        assert_eq!(at_once(None), 30);
        assert_eq!(Tier::ALL.map(|tier| at_once(Some(tier))), [30, 30, 50, 50]);
    }

    #[test]
    fn a_small_stack_allows_one_request_at_least() {
        for instances in [0, 1, 3] {
            let capacity = Capacity::of(instances);
            assert_eq!((capacity.slow_at_once(), capacity.bursts_at_once(Tier::Free)), (1, 1));
        }
    }

    #[test]
    fn slow_requests_come_at_the_rate_at_which_they_end() {
        assert_eq!(Capacity::of(100).slow_pace(12).to_per_minute(), 150);
        assert_eq!(Capacity::of(1).slow_pace(0), Pace::per_hour(3600));
    }
}

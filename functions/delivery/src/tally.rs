//! What one invocation did, for the counters behind `/metrics` and for its own line.

use std::collections::BTreeMap;

use domain::event::id::EventId;
use domain::tenant::id::TenantId;
use domain::tenant::stats::{Histogram, Stats, TenantChange, TenantChanges};
use runtime::metrics::Metrics;
use store::limits::counters::Counts;

/// What was done: for one message, or for many together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// For the counters.
    pub(crate) counts: Counts,
    /// What else happened, by name, and how often.
    happened: BTreeMap<&'static str, u64>,
    /// From the acceptance of an event to its first attempt at an endpoint.
    first_attempts_ms: Vec<u64>,
    /// What each tenant's owner is shown of it.
    pub(crate) shares: TenantChanges,
}

impl Tally {
    /// Something happened once.
    pub(crate) fn once(name: &'static str) -> Self {
        Self { happened: BTreeMap::from([(name, 1)]), ..Self::default() }
    }

    /// A message that nobody can read was kept.
    pub(crate) fn unreadable() -> Self {
        Self { counts: Counts { unreadable: 1, ..Counts::default() }, ..Self::default() }
    }

    /// A delivery was taken by its endpoint.
    pub(crate) fn delivered(tenant: &TenantId) -> Self {
        let stats = Stats { delivered: 1, ..Stats::default() };
        let counts = Counts { delivered: 1, ..Counts::default() };
        Self { counts, ..Self::shared(tenant, &TenantChange::from_stats(stats)) }
    }

    /// A delivery failed for good.
    pub(crate) fn failed(tenant: &TenantId) -> Self {
        let stats = Stats { failed: 1, ..Stats::default() };
        let counts = Counts { failed: 1, ..Counts::default() };
        Self { counts, ..Self::shared(tenant, &TenantChange::from_stats(stats)) }
    }

    /// An event's first attempt at an endpoint, so long after it was accepted.
    pub(crate) fn first_attempt(tenant: &TenantId, milliseconds: u64) -> Self {
        let stats = Stats { first_attempt_ms: Histogram::of(milliseconds), ..Stats::default() };
        Self {
            first_attempts_ms: vec![milliseconds],
            ..Self::shared(tenant, &TenantChange::from_stats(stats))
        }
    }

    /// An event left its tenant's inbox.
    pub(crate) fn settled(tenant: &TenantId, event: EventId) -> Self {
        let counts = Counts { settled: 1, ..Counts::default() };
        Self { counts, ..Self::shared(tenant, &TenantChange::for_settled(event.accepted_at())) }
    }

    /// An event of our own making entered its tenant's inbox.
    pub(crate) fn stored(tenant: &TenantId, event: EventId) -> Self {
        let counts = Counts { stored: 1, ..Counts::default() };
        Self { counts, ..Self::shared(tenant, &TenantChange::for_stored(event.accepted_at())) }
    }

    fn shared(tenant: &TenantId, share: &TenantChange) -> Self {
        Self { shares: TenantChanges::default().with(tenant, share), ..Self::default() }
    }

    /// Both together.
    pub(crate) fn plus(mut self, other: &Self) -> Self {
        self.counts = self.counts.plus(other.counts);
        for (name, times) in &other.happened {
            *self.happened.entry(name).or_default() += times;
        }
        self.first_attempts_ms.extend(&other.first_attempts_ms);
        self.shares = self.shares.plus(&other.shares);
        self
    }

    /// Adds what happened to the line of the invocation.
    pub(crate) fn write(&self, metrics: &mut Metrics) {
        for (name, times) in &self.happened {
            metrics.count(name, *times);
        }
        metrics.count("delivered", self.counts.delivered);
        metrics.count("failed", self.counts.failed);
        for milliseconds in &self.first_attempts_ms {
            metrics.milliseconds_of_each("first_attempt_ms", *milliseconds);
        }
    }
}

//! What one invocation did, for the counters behind `/metrics` and for its own line.

use std::collections::BTreeMap;

use triggers::backlog::Backlog;
use triggers::event::EventId;
use triggers::metrics::Metrics;
use triggers::ports::Counts;
use triggers::tenant::TenantId;

/// What was done: for one message, or for many together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// For the counters.
    pub(crate) counts: Counts,
    /// What else happened, by name, and how often.
    happened: BTreeMap<&'static str, u64>,
    /// From the acceptance of an event to its first attempt at an endpoint.
    first_attempts_ms: Vec<u64>,
    /// Events that entered or left their tenant's inbox.
    inbox: Vec<(TenantId, Backlog)>,
}

impl Tally {
    /// Something happened once.
    pub(crate) fn once(name: &'static str) -> Self {
        Self { happened: BTreeMap::from([(name, 1)]), ..Self::default() }
    }

    /// These counters.
    pub(crate) fn of(counts: Counts) -> Self {
        Self { counts, ..Self::default() }
    }

    /// An event's first attempt at an endpoint, so long after it was accepted.
    pub(crate) fn first_attempt(milliseconds: u64) -> Self {
        Self { first_attempts_ms: vec![milliseconds], ..Self::default() }
    }

    /// An event left its tenant's inbox.
    pub(crate) fn settled(tenant: &TenantId, event: EventId) -> Self {
        let counts = Counts { settled: 1, ..Counts::default() };
        Self { counts, inbox: vec![(tenant.clone(), Backlog::settled(event))], ..Self::default() }
    }

    /// An event of our own making entered its tenant's inbox.
    pub(crate) fn stored(tenant: &TenantId, event: EventId) -> Self {
        let counts = Counts { stored: 1, ..Counts::default() };
        Self { counts, inbox: vec![(tenant.clone(), Backlog::stored(event))], ..Self::default() }
    }

    /// Both together.
    pub(crate) fn plus(mut self, other: &Self) -> Self {
        self.counts = self.counts.plus(other.counts);
        for (name, times) in &other.happened {
            *self.happened.entry(name).or_default() += times;
        }
        self.first_attempts_ms.extend(&other.first_attempts_ms);
        self.inbox.extend(other.inbox.iter().cloned());
        self
    }

    /// How many events entered and left each inbox.
    pub(crate) fn backlogs(&self) -> BTreeMap<TenantId, Backlog> {
        Backlog::by_tenant(self.inbox.iter().cloned())
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

//! Counts what an invocation did, for the counters behind `/metrics`, the statistics of the tenants and the log line.

use std::collections::{BTreeMap, BTreeSet};

use domain::delivery::DeliveryMessage;
use domain::delivery::schedule::ParkedPartition;
use domain::event::id::EventId;
use domain::tenant::id::TenantId;
use domain::tenant::stats::{Histogram, Stats, TenantChange, TenantChanges};
use runtime::metrics::Metrics;
use store::limits::counters::Counts;

/// The numbers of one message, or the sum over several.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// The numbers for the counters.
    pub(crate) counts: Counts,
    /// Other numbers for the log line, by name.
    metrics: BTreeMap<&'static str, u64>,
    /// The times from the acceptance of an event to its first attempt, in milliseconds.
    first_attempts_ms: Vec<u64>,
    /// The changes of each tenant's numbers.
    pub(crate) changes: TenantChanges,
    /// The partitions into which a row was put that the scheduler does not know of yet.
    pub(crate) parked_at: BTreeSet<ParkedPartition>,
}

impl Tally {
    /// Counts one for the metric of this name.
    pub(crate) fn once(name: &'static str) -> Self {
        Self { metrics: BTreeMap::from([(name, 1)]), ..Self::default() }
    }

    /// Counts a delivery whose row was put.
    pub(crate) fn parked(message: &DeliveryMessage) -> Self {
        Self { parked_at: BTreeSet::from([ParkedPartition::of(message)]), ..Self::once("parked") }
    }

    /// Counts an unreadable message that was kept.
    pub(crate) fn unreadable() -> Self {
        Self { counts: Counts { unreadable: 1, ..Counts::default() }, ..Self::default() }
    }

    /// Counts the event of a message, which was accepted and stored outside of the inbox, if this message is to count it.
    pub(crate) fn of_event(message: &DeliveryMessage) -> Self {
        if !message.counts_event {
            return Self::default();
        }
        let stats = Stats { accepted: 1, stored: 1, ..Stats::default() };
        let counts = Counts { accepted: 1, stored: 1, settled: 1, ..Counts::default() };
        Self { counts, ..Self::of_tenant(&message.tenant, &TenantChange::from_stats(stats)) }
    }

    /// Counts a successful delivery.
    pub(crate) fn delivered(tenant: &TenantId) -> Self {
        let stats = Stats { delivered: 1, ..Stats::default() };
        let counts = Counts { delivered: 1, ..Counts::default() };
        Self { counts, ..Self::of_tenant(tenant, &TenantChange::from_stats(stats)) }
    }

    /// Counts a delivery that failed finally.
    pub(crate) fn failed(tenant: &TenantId) -> Self {
        let stats = Stats { failed: 1, ..Stats::default() };
        let counts = Counts { failed: 1, ..Counts::default() };
        Self { counts, ..Self::of_tenant(tenant, &TenantChange::from_stats(stats)) }
    }

    /// Counts the first attempt of a delivery, this long after the event was accepted.
    pub(crate) fn first_attempt(tenant: &TenantId, milliseconds: u64) -> Self {
        let stats = Stats { first_attempt_ms: Histogram::of(milliseconds), ..Stats::default() };
        Self {
            first_attempts_ms: vec![milliseconds],
            ..Self::of_tenant(tenant, &TenantChange::from_stats(stats))
        }
    }

    /// Counts an event that left the inbox.
    pub(crate) fn settled(tenant: &TenantId, event: EventId) -> Self {
        let counts = Counts { settled: 1, ..Counts::default() };
        Self { counts, ..Self::of_tenant(tenant, &TenantChange::for_settled(event.accepted_at())) }
    }

    /// Counts an event that entered the inbox.
    pub(crate) fn entered(tenant: &TenantId, event: EventId) -> Self {
        let counts = Counts { returned: 1, ..Counts::default() };
        Self { counts, ..Self::of_tenant(tenant, &TenantChange::for_entered(event.accepted_at())) }
    }

    /// Counts a notice that was stored, in the inbox or not.
    pub(crate) fn stored(tenant: &TenantId, event: EventId, in_inbox: bool) -> Self {
        let counts = Counts { stored: 1, settled: u64::from(!in_inbox), ..Counts::default() };
        Self { counts, ..Self::of_tenant(tenant, &TenantChange::for_stored(event.accepted_at(), in_inbox)) }
    }

    /// Makes a tally that only changes the numbers of one tenant.
    fn of_tenant(tenant: &TenantId, change: &TenantChange) -> Self {
        Self { changes: TenantChanges::default().with(tenant, change), ..Self::default() }
    }

    /// Adds the other numbers.
    pub(crate) fn plus(mut self, other: &Self) -> Self {
        self.counts = self.counts.plus(other.counts);
        for (name, number) in &other.metrics {
            *self.metrics.entry(name).or_default() += number;
        }
        self.first_attempts_ms.extend(&other.first_attempts_ms);
        self.changes = self.changes.plus(&other.changes);
        self.parked_at.extend(other.parked_at.iter().cloned());
        self
    }

    /// Adds the numbers to the log line.
    pub(crate) fn write_to(&self, line: &mut Metrics) {
        for (name, number) in &self.metrics {
            line.count(name, *number);
        }
        line.count("delivered", self.counts.delivered);
        line.count("failed", self.counts.failed);
        for milliseconds in &self.first_attempts_ms {
            line.add_milliseconds("first_attempt_ms", *milliseconds);
        }
    }
}

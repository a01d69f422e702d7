//! The table `Limits`.

use std::future::Future;

use crate::unavailable::PortResult;
use domain::endpoint::id::EndpointId;
use domain::endpoint::pace::Span;
use domain::tenant::backlog::Backlog;
use domain::tenant::id::TenantId;
use domain::tenant::rate_limit::{Leased, Meter};
use domain::tenant::stats::Stats;
use domain::timestamp::Timestamp;

/// The table `Limits`: token leases and counters.
pub trait Limits {
    /// Takes `slice` of the minute's `limit` tokens, all or none. MUST never let the minute's count pass the limit.
    fn lease(
        &self,
        meter: &Meter,
        minute: u64,
        slice: u32,
        limit: u32,
    ) -> impl Future<Output = PortResult<Leased>> + Send;

    /// Adds to the counters behind `/metrics`, and notes how long a queue's messages wait. Not idempotent: after an error
    /// nobody knows whether it was counted, and a further call counts again.
    fn count(&self, counts: Counts, wait: Option<Wait>) -> impl Future<Output = PortResult<()>> + Send;

    /// The latest word on how long a queue's messages wait.
    fn wait(&self, queue: QueueName) -> impl Future<Output = PortResult<Option<Wait>>> + Send;

    /// Adds to a tenant's backlog. Not idempotent, as [`Limits::count`].
    fn change_backlog(
        &self,
        tenant: &TenantId,
        change: &Backlog,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Takes the next part of an endpoint's line, in one step; where it begins, in microseconds since the epoch. MUST give
    /// no moment to two callers, and none before `span.earliest`.
    fn queue_up(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        span: Span,
    ) -> impl Future<Output = PortResult<u64>> + Send;

    /// Takes up to `wanted` places before an endpoint, of which there are `most` in this minute; how many are ours. MUST never
    /// give more than there are.
    fn enter(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        minute: u64,
        wanted: u32,
        most: u32,
    ) -> impl Future<Output = PortResult<u32>> + Send;

    /// Gives places back. Not idempotent, as [`Limits::count`].
    fn leave(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        minute: u64,
        count: u32,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Deletes what is counted of a tenant; how many items there were. What is counted for a minute goes by itself.
    fn purge(&self, tenant: &TenantId) -> impl Future<Output = PortResult<usize>> + Send;

    /// A tenant's backlog, about.
    fn backlog(&self, tenant: &TenantId) -> impl Future<Output = PortResult<Backlog>> + Send;

    /// Adds to what happened to a tenant's events in this minute since the epoch. Not idempotent, as [`Limits::count`].
    fn note_stats(
        &self,
        tenant: &TenantId,
        minute: u64,
        stats: &Stats,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// What happened to a tenant's events from the first of these minutes to the last, both included. No longer known
    /// after [`domain::tenant::stats::KEEP_STATS`].
    fn stats(
        &self,
        tenant: &TenantId,
        first: u64,
        last: u64,
    ) -> impl Future<Output = PortResult<Stats>> + Send;
}

/// What happened in one invocation, for `/metrics`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Accepted events, counted as they leave the queue for the first time.
    pub accepted: u64,
    /// Events stored: each once.
    pub stored: u64,
    /// Deliveries that an endpoint took.
    pub delivered: u64,
    /// Deliveries that failed for good.
    pub failed: u64,
    /// Events that left the inbox.
    pub settled: u64,
    /// Events that are in the inbox once more, to be sent again.
    pub returned: u64,
    /// Messages that nobody could read, kept for a human.
    pub unreadable: u64,
}

/// How long the oldest new message of a batch had waited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wait {
    /// In which queue.
    pub queue: QueueName,
    /// How long, in milliseconds.
    pub waited_ms: u64,
    /// When it was taken.
    pub at: Timestamp,
}

/// One of our queues.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QueueName {
    /// Accepted events.
    Events,
    /// Attempts to make.
    Deliveries,
}

impl QueueName {
    /// The queue's name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Deliveries => "deliveries",
        }
    }
}

impl Counts {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            stored: self.stored + other.stored,
            delivered: self.delivered + other.delivered,
            failed: self.failed + other.failed,
            settled: self.settled + other.settled,
            returned: self.returned + other.returned,
            unreadable: self.unreadable + other.unreadable,
        }
    }
}

//! What one invocation has come to: the standing that its answer tells, and the line that it leaves in the log.

use domain::problem::{Kind, Problem};
use domain::tenant::rate_limit::RateLimitStatus;
use domain::timestamp::Timestamp;
use runtime::metrics::Metrics;
use store::authentication::Lookups;

use crate::handler::{Claimable, Duplicate};

/// One request on its way.
pub(crate) struct Invocation {
    /// When it began: all its decisions are of this moment.
    pub(crate) now: Timestamp,
    /// Where its bearer stands, once that is known.
    pub(crate) standing: Option<RateLimitStatus>,
    metrics: Metrics,
}

impl Invocation {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { now, standing: None, metrics: Metrics::new("ingest", "answered") }
    }

    /// An event that the queue has.
    pub(crate) fn accepted(&mut self, Claimable { event, repeats }: &Claimable) {
        let is_new = *repeats == Duplicate::Nothing;
        self.metrics.count(if is_new { "accepted" } else { "duplicate" }, 1);
        tracing::debug!(
            step = "accepted",
            event = %event.id,
            r#type = event.event_type.as_str(),
            tenant = event.tenant.as_str(),
            duplicate = !is_new,
            bytes = event.payload.len(),
        );
    }

    /// A request, or an item of a batch, that was refused.
    pub(crate) fn refused(&mut self, problem: &Problem) {
        match problem.kind {
            Kind::RateLimited => self.metrics.count("rate_limited", 1),
            Kind::Overloaded => self.metrics.count("shed", 1),
            kind => {
                let (_, slug, _) = kind.document();
                self.metrics.count("rejected", 1);
                self.metrics.count(&format!("rejected_{}", slug.replace('-', "_")), 1);
            }
        }
    }

    /// How long the queue took.
    pub(crate) fn queued(&mut self, milliseconds: u64) {
        self.metrics.milliseconds("queue_ms", milliseconds);
    }

    /// How the key was found, and how often the limit was not counted.
    pub(crate) fn looked_up(&mut self, lookups: Lookups, uncounted: u64) {
        let Lookups { hits, misses, stale } = lookups;
        for (name, number) in
            [("auth_hit", hits), ("auth_miss", misses), ("auth_stale", stale), ("limit_uncounted", uncounted)]
        {
            self.metrics.count(name, number);
        }
    }

    /// The line of the whole invocation.
    pub(crate) fn line(mut self, path: &str, status: u16, request_id: &str, ended: Timestamp) -> String {
        self.metrics.property("path", path);
        self.metrics.property("status", status);
        self.metrics.property("request_id", request_id);
        self.metrics.milliseconds("handler_ms", ended.millis_since(self.now));
        self.metrics.line(ended)
    }
}

//! The state of one invocation: the rate-limit status for the answer, and the log line.

use domain::problem::{Kind, Problem};
use domain::tenant::api_key::KeyRecord;
use domain::tenant::rate_limit::RateLimitStatus;
use domain::timestamp::Timestamp;
use domain::trace::Trace;
use runtime::metrics::Metrics;
use store::authentication::Lookups;

use crate::claimed_event::{ClaimedEvent, Duplicate};

/// The state of one invocation.
pub(crate) struct Invocation {
    /// When the request arrived. All decisions about it use this time.
    pub(crate) now: Timestamp,
    /// The trace of the request, if it has one.
    pub(crate) trace: Option<Trace>,
    /// The rate-limit status of the tenant or key, once it is known.
    pub(crate) rate_limit: Option<RateLimitStatus>,
    metrics: Metrics,
}

impl Invocation {
    /// Starts an invocation for a request with this trace.
    pub(crate) fn new(now: Timestamp, trace: Option<Trace>) -> Self {
        let mut metrics = Metrics::new("request answered");
        if let Some(trace) = trace {
            metrics.set("trace", trace.to_string());
        }
        Self { now, trace, rate_limit: None, metrics }
    }

    /// Counts an event that the queue confirmed.
    pub(crate) fn count_accepted(&mut self, claimed: &ClaimedEvent) {
        let event = &claimed.event;
        let is_duplicate = claimed.duplicate != Duplicate::No;
        self.metrics.count(if is_duplicate { "duplicate" } else { "accepted" }, 1);
        tracing::debug!(
            step = "accepted",
            event = %event.id,
            trace = event.trace.map(display),
            r#type = event.event_type.as_str(),
            tenant = event.tenant.as_str(),
            duplicate = is_duplicate,
            bytes = event.payload.len(),
        );
    }

    /// Counts a request, or an item of a batch, that is answered with a problem.
    pub(crate) fn count_rejected(&mut self, problem: &Problem) {
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

    /// Counts the results of a batch.
    pub(crate) fn count_results(&mut self, results: &[Result<ClaimedEvent, Problem>]) {
        for result in results {
            match result {
                Ok(claimed) => self.count_accepted(claimed),
                Err(problem) => self.count_rejected(problem),
            }
        }
    }

    /// Sets how long the queue took to confirm.
    pub(crate) fn set_queue_ms(&mut self, milliseconds: u64) {
        self.metrics.set("queue_ms", milliseconds);
    }

    /// Counts how the API key was found, and how often the table did not count a request.
    pub(crate) fn count_lookups(&mut self, lookups: Lookups, uncounted: u64) {
        let Lookups { hits, misses, stale } = lookups;
        for (name, number) in
            [("auth_hit", hits), ("auth_miss", misses), ("auth_stale", stale), ("limit_uncounted", uncounted)]
        {
            self.metrics.count(name, number);
        }
    }

    /// Sets the caller: its tenant and the id of its key.
    pub(crate) fn set_caller(&mut self, bearer: &KeyRecord) {
        self.metrics.set("tenant", bearer.tenant.as_str());
        self.metrics.set("key", bearer.id.as_str());
    }

    /// Returns the log line of the invocation. `route` is a route of the template, not a path as a client sent it.
    pub(crate) fn into_metrics(
        mut self,
        route: &str,
        status: u16,
        request_id: &str,
        ended: Timestamp,
    ) -> Metrics {
        self.metrics.set("route", route);
        self.metrics.set("status", status);
        self.metrics.set("request_id", request_id);
        self.metrics.set("handler_ms", ended.millis_since(self.now));
        self.metrics
    }
}

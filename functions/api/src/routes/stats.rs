//! The statistics of a tenant.

use axum::extract::{RawQuery, State};
use domain::tenant::stats::Window;
use domain::timestamp::Timestamp;
use http::StatusCode;
use runtime::answer;
use serde_json::json;
use store::ports::Ports;

use crate::body::{invalid, parameter};
use crate::caller::{Caller, InboxRead};
use crate::deps::ApiState;
use crate::failure::Outcome;
use crate::query::query_value;

/// Answers `GET /api/stats`: the counts of a time window that ends now, and the number of events in the inbox.
pub(crate) async fn stats<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxRead>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let window = match query_value(query.as_deref(), "window") {
        None => Window::HOUR,
        Some(text) => Window::parse(&text).ok_or_else(|| invalid(parameter("window"), Window::RULE))?,
    };
    let (first, last) = window.minutes(now);
    let (stats, backlog) =
        tokio::try_join!(api.limits.stats(&bearer.tenant, first, last), api.limits.backlog(&bearer.tenant),)?;
    let first_attempt_ms = &stats.first_attempt_ms;
    let body = json!({
        "window_seconds": window.seconds(),
        "since": Timestamp::from_seconds(first * 60).to_string(),
        "until": now.to_string(),
        "accepted": stats.accepted,
        "stored": stats.stored,
        "delivered": stats.delivered,
        "failed": stats.failed,
        "acked": stats.acked,
        "pending": backlog.count(bearer.tier, now),
        "max_pending": bearer.tier.limits().undelivered_events,
        "first_attempt_ms": {
            "count": first_attempt_ms.count(),
            "p50": first_attempt_ms.quantile(50),
            "p95": first_attempt_ms.quantile(95),
            "p99": first_attempt_ms.quantile(99),
        },
    });
    Ok(answer::json(StatusCode::OK, &body))
}

//! How it goes: what happened to a tenant's events of late.

use axum::extract::{RawQuery, State};
use domain::tenant::stats::Window;
use domain::timestamp::Timestamp;
use http::StatusCode;
use runtime::answer;
use serde_json::json;

use crate::body::{invalid, query_value};
use crate::caller::{Caller, InboxRead};
use crate::deps::ApiState;
use crate::failure::Outcome;
use store::ports::Ports;

/// `GET /api/stats`: the counts of a window that ends now, and how many events wait.
pub(crate) async fn stats<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxRead>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let window =
        query_value(query.as_deref(), "window").map_or(Some(Window::HOUR), |text| Window::parse(&text));
    let window = window.ok_or_else(|| invalid(format!("\"window\" {}", Window::RULE), "/window"))?;
    let (first, last) = window.minutes(now);
    let stats = api.limits.stats(&bearer.tenant, first, last);
    let (stats, backlog) = tokio::try_join!(stats, api.limits.backlog(&bearer.tenant))?;
    let waited = &stats.first_attempt_ms;
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
        "first_attempt_ms": {
            "count": waited.count(),
            "p50": waited.quantile(50),
            "p95": waited.quantile(95),
            "p99": waited.quantile(99),
        },
    });
    Ok(answer::json(StatusCode::OK, &body))
}

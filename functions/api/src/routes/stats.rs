//! The statistics of a tenant.

use axum::extract::{RawQuery, State};
use domain::delivery::line::Line;
use domain::tenant::allowance;
use domain::tenant::stats::{Histogram, Window};
use domain::timestamp::Timestamp;
use http::StatusCode;
use runtime::answer;
use serde_json::{Value, json};
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
    let (stats, backlog, reserved_until) = tokio::try_join!(
        api.limits.stats(&bearer.tenant, first, last),
        api.limits.backlog(&bearer.tenant),
        api.limits.reserved_until(&bearer.tenant, Line::Allowance),
    )?;
    let used_until =
        reserved_until.map(|micros| Timestamp::from_millis(micros / 1000)).filter(|until| *until > now);
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
        "delivery_allowance": {
            "units_per_minute": allowance::units_per_minute(bearer.tier),
            "used_until": used_until.map(|until| until.to_string()),
        },
        "first_attempt_ms": to_json(&stats.first_attempt_ms),
    });
    Ok(answer::json(StatusCode::OK, &body))
}

/// Returns the percentiles of durations as JSON.
fn to_json(milliseconds: &Histogram) -> Value {
    json!({
        "count": milliseconds.count(),
        "p50": milliseconds.quantile(50),
        "p95": milliseconds.quantile(95),
        "p99": milliseconds.quantile(99),
    })
}

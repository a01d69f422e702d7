//! The statistics of a tenant.

use axum::extract::{RawQuery, State};
use domain::delivery::line::Line;
use domain::problem::Problem;
use domain::tenant::allowance;
use domain::tenant::stats::{Histogram, Stats};
use domain::tenant::window::{Step, Window};
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

/// Answers `GET /api/stats`: the counts of a time window that ends now, and the number of events in the inbox. With `step`,
/// also the counts of each bucket of the window; they are of the same items, so that they cost no further read.
pub(crate) async fn stats<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxRead>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let (window, step) = read_span(query.as_deref())?;
    let (first, last) = window.minutes(now);
    let first = step.map_or(first, |step| step.first_minute(first));
    let (minutes, backlog, reserved_until) = tokio::try_join!(
        api.limits.stats(&bearer.tenant, first, last),
        api.limits.backlog(&bearer.tenant),
        api.limits.reserved_until(&bearer.tenant, Line::Allowance),
    )?;
    let used_until =
        reserved_until.map(|micros| Timestamp::from_millis(micros / 1000)).filter(|until| *until > now);
    let span = json!({
        "window_seconds": window.seconds(),
        "since": start_of(first),
        "until": now.to_string(),
    });
    let mut body = with_counts(span, &minutes.sum());
    body["pending"] = backlog.count(bearer.tier, now).into();
    body["max_pending"] = bearer.tier.limits().undelivered_events.into();
    body["delivery_allowance"] = json!({
        "units_per_minute": allowance::units_per_minute(bearer.tier),
        "used_until": used_until.map(|until| until.to_string()),
    });
    if let Some(step) = step {
        let buckets = minutes.buckets(step, first, last);
        let series = buckets.iter().map(|(start, stats)| with_counts(json!({"at": start_of(*start)}), stats));
        body["step_seconds"] = step.seconds().into();
        body["series"] = series.collect();
    }
    Ok(answer::json(StatusCode::OK, &body))
}

/// Reads the window, and the step of the series if the request asks for one.
///
/// # Errors
/// 422 for a value that is not valid.
fn read_span(query: Option<&str>) -> Result<(Window, Option<Step>), Problem> {
    let window = match query_value(query, "window") {
        None => Window::HOUR,
        Some(text) => Window::parse(&text).ok_or_else(|| invalid(parameter("window"), Window::RULE))?,
    };
    let step = match query_value(query, "step") {
        None => None,
        Some(text) => Some(Step::parse(&text).ok_or_else(|| invalid(parameter("step"), Step::RULE))?),
    };
    Ok((window, step))
}

/// Returns these members and the numbers of the same span of time.
fn with_counts(mut members: Value, stats: &Stats) -> Value {
    let counts = [
        ("accepted", stats.accepted),
        ("stored", stats.stored),
        ("delivered", stats.delivered),
        ("failed", stats.failed),
        ("acked", stats.acked),
    ];
    for (name, count) in counts {
        members[name] = count.into();
    }
    members["first_attempt_ms"] = to_json(&stats.first_attempt_ms);
    members
}

/// Returns the beginning of a minute since the epoch.
fn start_of(minute: u64) -> String {
    Timestamp::from_seconds(minute * 60).to_string()
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

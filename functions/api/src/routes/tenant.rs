//! A tenant's own settings. What they say holds for events that are accepted from then on; what is stored keeps its end.

use std::time::Duration;

use axum::extract::State;
use domain::problem::Problem;
use domain::tenant::Tenant;
use domain::timestamp::Timestamp;
use http::{HeaderMap, StatusCode};
use runtime::answer;
use runtime::answer::Answer;
use serde::Deserialize;
use serde_json::Value;
use store::items::Updated;
use store::unavailable::Unavailable;

use super::keys::{tenant_members, tier_of};
use crate::access::admin_only;
use crate::body::Json;
use crate::body::invalid;
use crate::caller::{Caller, FreshCaller, InboxRead, TenantAdmin};
use crate::deps::ApiState;
use crate::failure::Outcome;
use store::ports::Ports;

/// How often a raced change is decided again before the client is asked to.
const MAX_RACES: usize = 10;

/// `GET /api/tenant`.
pub(crate) async fn read<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<InboxRead>,
) -> Outcome {
    let tenant = api.control.tenant(&bearer.tenant).await?.ok_or_else(Problem::not_found)?;
    Ok(shown(&tenant))
}

/// What is to be changed; absent members stay as they are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    retention_days: Option<u64>,
    tier: Option<String>,
}

/// `PATCH /api/tenant`: how long events are kept, within the tier's days; and for the bearer of the admin token, the tier. The
/// instance that answers knows it at once, every other within a minute, as with keys.
pub(crate) async fn change<P: Ports>(
    State(api): ApiState<P>,
    FreshCaller(Caller { hash: asking, key: bearer, now, .. }): FreshCaller<TenantAdmin>,
    headers: HeaderMap,
    Json(wanted): Json<Change>,
) -> Outcome {
    if wanted.tier.is_some() && !api.admin.is_bearer(&headers) {
        return Err(admin_only().into());
    }
    for _ in 0..MAX_RACES {
        let seen = api.control.tenant(&bearer.tenant).await?.ok_or_else(Problem::not_found)?;
        let next = changed(seen.clone(), &wanted, now, api.environment.spread_delay())?;
        if next == seen || api.control.change_tenant(&seen, &next, now).await? == Updated::Done {
            api.authenticator.forget(&asking);
            return Ok(shown(&next));
        }
    }
    Err(Unavailable::new("changing a tenant", "too many races").into())
}

fn changed(
    tenant: Tenant,
    wanted: &Change,
    now: Timestamp,
    spread_delay: Duration,
) -> Result<Tenant, Problem> {
    let mut next = match wanted.tier.as_deref() {
        None => tenant,
        Some(name) => tenant.of_tier(tier_of(name)?, now, spread_delay),
    };
    if let Some(days) = wanted.retention_days {
        let most = next.tier.limits().retention_days;
        let days = u16::try_from(days).ok().filter(|days| (1..=most).contains(days));
        let detail = || format!("\"retention_days\" must be 1 to {most}");
        next.wanted_retention_days = Some(days.ok_or_else(|| invalid(detail(), "/retention_days"))?);
    }
    Ok(next)
}

fn shown(tenant: &Tenant) -> Answer {
    let mut members: Value = tenant_members(tenant);
    members["retention_days"] = tenant.retention_days().into();
    members["max_retention_days"] = tenant.tier.limits().retention_days.into();
    members["created_at"] = tenant.created_at.to_string().into();
    answer::json(StatusCode::OK, &members)
}

//! The settings of a tenant. A change applies to events that are accepted after it; stored events keep their retention.

use std::time::Duration;

use axum::extract::State;
use domain::problem::Problem;
use domain::tenant::tier::Tier;
use domain::tenant::{InboxMode, Tenant};
use domain::timestamp::Timestamp;
use http::{HeaderMap, StatusCode};
use runtime::answer;
use runtime::answer::Answer;
use serde::Deserialize;
use store::items::Updated;
use store::ports::Ports;
use store::races::{Round, until_won};

use super::keys::{read_tier, tenant_members};
use crate::access::admin_only;
use crate::body::{Json, Patch, check_range, invalid, member};
use crate::caller::{ActiveCaller, Caller, InboxRead, TenantAdmin};
use crate::deps::ApiState;
use crate::failure::Outcome;

/// Answers `GET /api/tenant`.
pub(crate) async fn read<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<InboxRead>,
) -> Outcome {
    let tenant = api.control.tenant(&bearer.tenant).await?.ok_or_else(Problem::not_found)?;
    Ok(answer(&tenant))
}

/// The changes. A missing member keeps its value; `null` sets the retention, the inbox or the handshake to its default.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Change {
    retention_days: Patch<u64>,
    inbox: Patch<String>,
    handshake: Patch<bool>,
    tier: Patch<String>,
}

/// Answers `PATCH /api/tenant`: changes the retention, the inbox and the handshake, and with the admin token the tier. This instance uses the change
/// at once, all others within one minute, as with API keys.
pub(crate) async fn change<P: Ports>(
    State(api): ApiState<P>,
    ActiveCaller(Caller { hash, key: bearer, now, .. }): ActiveCaller<TenantAdmin>,
    headers: HeaderMap,
    Json(request): Json<Change>,
) -> Outcome {
    let tier = request.tier.required("/tier")?.map(|name| read_tier(name)).transpose()?;
    if request.tier.is_present() && !api.admin.is_bearer(&headers) {
        return Err(admin_only().into());
    }
    let changed: Tenant = until_won("changing a tenant", || async {
        let seen = api.control.tenant(&bearer.tenant).await?.ok_or_else(Problem::not_found)?;
        let next = apply(&request, tier, seen.clone(), now, api.environment.spread_delay())?;
        let is_done = next == seen || api.control.change_tenant(&seen, &next, now).await? == Updated::Done;
        Ok::<_, Problem>(if is_done { Round::Ended(next) } else { Round::Lost })
    })
    .await?;
    api.authenticator.forget(&hash);
    Ok(answer(&changed))
}

/// Returns the tenant with the changes.
fn apply(
    request: &Change,
    tier: Option<Tier>,
    tenant: Tenant,
    now: Timestamp,
    spread_delay: Duration,
) -> Result<Tenant, Problem> {
    let mut next = match tier {
        None => tenant,
        Some(tier) => tenant.of_tier(tier, now, spread_delay),
    };
    match request.retention_days {
        Patch::Absent => {}
        Patch::Reset => next.wanted_retention_days = None,
        Patch::Set(days) => {
            check_range(days, 1..=next.tier.limits().retention_days.into(), "/retention_days")?;
            next.wanted_retention_days = u16::try_from(days).ok();
        }
    }
    match &request.inbox {
        Patch::Absent => {}
        Patch::Reset => next.inbox = InboxMode::default(),
        Patch::Set(name) => next.inbox = read_inbox(name)?,
    }
    match request.handshake {
        Patch::Absent => {}
        Patch::Reset => next.needs_handshake = false,
        Patch::Set(is_needed) => next.needs_handshake = is_needed,
    }
    Ok(next)
}

fn read_inbox(name: &str) -> Result<InboxMode, Problem> {
    let names = InboxMode::ALL.map(InboxMode::as_str).join(", ");
    InboxMode::parse(name)
        .ok_or_else(|| invalid(member("/inbox"), format!("must be one of {names}; correct it")))
}

fn answer(tenant: &Tenant) -> Answer {
    let mut members = tenant_members(tenant);
    members["retention_days"] = tenant.retention_days().into();
    members["max_retention_days"] = tenant.tier.limits().retention_days.into();
    members["inbox"] = tenant.inbox.as_str().into();
    members["handshake"] = tenant.needs_handshake.into();
    members["created_at"] = tenant.created_at.to_string().into();
    answer::json(StatusCode::OK, &members)
}

//! What the operator of the service does with tenants. The admin token names any tenant.

use axum::extract::{Path, RawQuery, State};
use domain::problem::{Kind, Problem};
use domain::tenant::Tenant;
use domain::tenant::api_key::Scope;
use domain::tenant::id::TenantId;
use http::StatusCode;
use runtime::answer;
use serde::Deserialize;
use serde_json::{Value, json};
use store::clock::Clock;
use store::control::api_keys::KeyChange;
use store::ports::Ports;

use super::keys::{Grant, new_key, read_name, tenant_members, to_json, too_many_keys};
use crate::audit::created;
use crate::body::Json;
use crate::caller::Operator;
use crate::cursor::Cursors;
use crate::deps::{Api, ApiState};
use crate::failure::Outcome;
use crate::query::query_limit;

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;

/// The filter of the cursors of the list.
const FILTER: &str = "tenants";

/// The name of a key that the operator made.
const KEY_NAME: &str = "made by the operator";

/// Answers `GET /api/admin/tenants`: a page of all tenants, newest first.
pub(crate) async fn list<P: Ports>(
    State(api): ApiState<P>,
    _: Operator,
    RawQuery(query): RawQuery,
) -> Outcome {
    let limit = query_limit(query.as_deref(), DEFAULT_LIMIT, MAX_LIMIT)?;
    let cursors = Cursors { peppers: api.authenticator.peppers(), tenant: None, filter: FILTER.to_owned() };
    let page = api.control.tenants(cursors.read(query.as_deref())?, limit).await?;
    let next = page.next.map(|place| cursors.write(&place));
    let tenants: Vec<Value> = page.tenants.iter().map(describe).collect();
    Ok(answer::json(StatusCode::OK, &json!({"tenants": tenants, "next_cursor": next})))
}

/// Answers `GET /api/admin/tenants/{id}`.
pub(crate) async fn read<P: Ports>(State(api): ApiState<P>, _: Operator, Path(id): Path<String>) -> Outcome {
    Ok(answer::json(StatusCode::OK, &describe(&find(&api, &id).await?)))
}

/// Answers `POST /api/admin/tenants/{id}/keys`: makes a key with all scopes and without an end, for a tenant that has lost
/// its own. The other keys stay.
pub(crate) async fn create_key<P: Ports>(
    State(api): ApiState<P>,
    _: Operator,
    Path(id): Path<String>,
) -> Outcome {
    let tenant = find(&api, &id).await?;
    let grant = Grant {
        name: KEY_NAME.to_owned(),
        scopes: Scope::ALL.to_vec(),
        expires_at: None,
        events_per_minute: None,
    };
    let (key, record) = new_key(&tenant.id, (tenant.tier, tenant.spread), grant, api.clock.now());
    let hash = key.hash(api.authenticator.peppers().current());
    match api.control.add_key_by_operator(&hash, &record).await? {
        KeyChange::Done => {}
        KeyChange::KeyGone => return Err(no_tenant().into()), // it was erased meanwhile
        KeyChange::TooMany => return Err(too_many_keys().into()),
    }
    let mut answer = to_json(&record);
    answer["api_key"] = key.expose().into();
    Ok(created(answer::json(StatusCode::CREATED, &answer), &record.id))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suspend {
    reason: String,
}

/// Answers `POST /api/admin/tenants/{id}/suspend`: refuses the tenant's events and changes, and parks its deliveries, within
/// one minute everywhere. A repeat completes a suspension that was written in part, and replaces the reason.
pub(crate) async fn suspend<P: Ports>(
    State(api): ApiState<P>,
    _: Operator,
    Path(id): Path<String>,
    Json(request): Json<Suspend>,
) -> Outcome {
    let reason = read_name(&request.reason, "/reason")?;
    let id = TenantId::named_by_operator(&id).ok_or_else(no_tenant)?;
    let suspended = api.control.suspend(&id, &reason, api.clock.now()).await?.ok_or_else(no_tenant)?;
    Ok(answer::json(StatusCode::OK, &describe(&suspended)))
}

/// Answers `POST /api/admin/tenants/{id}/resume`: ends the suspension. The parked deliveries follow at the rates of their
/// endpoints.
pub(crate) async fn resume<P: Ports>(
    State(api): ApiState<P>,
    _: Operator,
    Path(id): Path<String>,
) -> Outcome {
    let id = TenantId::named_by_operator(&id).ok_or_else(no_tenant)?;
    let resumed = api.control.resume(&id, api.clock.now()).await?.ok_or_else(no_tenant)?;
    Ok(answer::json(StatusCode::OK, &describe(&resumed)))
}

async fn find<P: Ports>(api: &Api<P>, id: &str) -> Result<Tenant, Problem> {
    let id = TenantId::named_by_operator(id).ok_or_else(no_tenant)?;
    api.control.tenant(&id).await?.ok_or_else(no_tenant)
}

fn no_tenant() -> Problem {
    Problem::new(
        Kind::NotFound,
        "Not found: no tenant has this id, or it is erased; list the tenants with `GET /api/admin/tenants`",
    )
}

fn describe(tenant: &Tenant) -> Value {
    let mut members = tenant_members(tenant);
    members["created_at"] = tenant.created_at.to_string().into();
    let suspension = tenant.suspension.as_ref();
    members["suspended_at"] = suspension.map(|suspension| suspension.at.to_string()).into();
    members["suspended_reason"] = suspension.map(|suspension| suspension.reason.as_str()).into();
    members
}

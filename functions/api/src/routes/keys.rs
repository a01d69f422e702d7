//! API keys: creation of a tenant with its first key, more keys, their list, rotation and deletion.

use std::net::IpAddr;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use domain::endpoint::id::EndpointId;
use domain::id::hex;
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::{ApiKey, KeyRecord, MAX_KEYS, Scope};
use domain::tenant::id::TenantId;
use domain::tenant::key_deletion::Refusal;
use domain::tenant::signup::client;
use domain::tenant::spread::Spread;
use domain::tenant::tier::Tier;
use domain::tenant::{InboxMode, Tenant};
use domain::timestamp::Timestamp;
use http::{HeaderMap, StatusCode};
use runtime::answer;
use runtime::request::SourceAddress;
use serde::Deserialize;
use serde_json::{Value, json};
use store::clock::Clock;
use store::control::api_keys::{KeyChange, KeyDeletion};
use store::ports::Ports;

use crate::access::signup_tier;
use crate::audit::{Admitted, created, record_signup};
use crate::body::{self, Json, OptionalJson, check_plain, check_range, invalid, member, time};
use crate::caller::{ActiveCaller, Caller, KeysAdmin};
use crate::deps::{Api, ApiState};
use crate::failure::Outcome;

const MAX_NAME_CHARS: usize = 255;

/// The longest overlap of an old and a new key: one week.
const MAX_OVERLAP_SECONDS: u64 = 7 * 24 * 3600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Generate {
    #[serde(alias = "org_name")]
    organization_name: String,
    tier: Option<String>,
}

/// Answers `POST /api/keys/generate`: creates a tenant and its first API key, which has all scopes.
pub(crate) async fn generate<P: Ports>(
    State(api): ApiState<P>,
    address: Option<Extension<SourceAddress>>,
    Extension(admitted): Extension<Admitted>,
    headers: HeaderMap,
    body: Body,
) -> Outcome {
    let is_admin = api.admin.is_bearer(&headers);
    signup_tier(api.signup, api.environment, is_admin, Tier::Free)?; // 401 before the body is read
    let request: Generate = body::json(&headers, body).await?;
    let organization_name = read_name(&request.organization_name, "/organization_name")?;
    let requested = request.tier.as_deref().map_or(Ok(Tier::default()), read_tier)?;
    let tier = signup_tier(api.signup, api.environment, is_admin, requested)?;
    let now = api.clock.now();
    if !is_admin {
        count_signup(&api, address.map(|Extension(SourceAddress(address))| address), now).await?;
    }
    let tenant = new_tenant(organization_name, tier, now);
    let grant = Grant {
        name: "default".to_owned(),
        scopes: Scope::ALL.to_vec(),
        expires_at: None,
        events_per_minute: None,
    };
    let (key, record) = new_key(&tenant.id, (tier, tenant.spread), grant, now);
    let change = record_signup(&api, &tenant.id, is_admin, admitted.request_id).await?;
    api.control.create_tenant(&tenant, &key.hash(api.authenticator.peppers().current()), &record).await?;
    let mut answer = tenant_members(&tenant);
    answer["api_key"] = key.expose().into();
    let mut answer = created(answer::json(StatusCode::CREATED, &answer), &record.id);
    answer.extensions_mut().insert(change);
    Ok(answer)
}

/// Counts a signup without the admin token.
///
/// # Errors
/// 429 if the client, or all clients, have created as many tenants as a day allows.
async fn count_signup<P: Ports>(
    api: &Api<P>,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), Problem> {
    let pepper = api.authenticator.peppers().current();
    let client = hex(&pepper.tag("signup", client(address).as_bytes()));
    let taken = api.limits.take_signup(&client, api.environment.signup_limits(), now).await?;
    taken.map_err(|exhausted| exhausted.to_problem(now))
}

fn new_tenant(organization_name: String, tier: Tier, now: Timestamp) -> Tenant {
    Tenant {
        id: TenantId::generate(now, &mut rand::rng()),
        organization_name,
        tier,
        spread: Spread::of(tier),
        inbox: InboxMode::All,
        wanted_retention_days: None,
        needs_handshake: false,
        suspension: None,
        created_at: now,
        rev: 1,
    }
}

/// Answers `GET /api/keys`: the tenant and its valid API keys, without their secret text.
pub(crate) async fn list<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<KeysAdmin>,
) -> Outcome {
    let found = api.control.tenant_with_keys(&bearer.tenant).await?;
    let (tenant, keys) = found.ok_or_else(Problem::not_found)?;
    let endpoint = api.control.endpoint(&tenant.id, &EndpointId::default_of(&tenant.id)).await?;
    let mut answer = tenant_members(&tenant);
    answer["webhook_url"] = endpoint.map(|endpoint| endpoint.url).into();
    answer["keys"] = keys.iter().filter(|key| key.is_live(now)).map(to_json).collect();
    Ok(answer::json(StatusCode::OK, &answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    name: String,
    scopes: Vec<String>,
    expires_at: Option<String>,
    rate_limit_per_minute: Option<u32>,
}

/// Answers `POST /api/keys`: creates an API key. Its scopes, its rate limit and its end are within those of the key of
/// the request.
pub(crate) async fn create<P: Ports>(
    State(api): ApiState<P>,
    ActiveCaller(Caller { hash: bearer_hash, key: bearer, now, .. }): ActiveCaller<KeysAdmin>,
    Json(request): Json<Create>,
) -> Outcome {
    let name = read_name(&request.name, "/name")?;
    let scopes = read_scopes(&request.scopes, &bearer)?;
    let expires_at = request.expires_at.as_deref().map(|text| read_expiry(text, now)).transpose()?;
    let grant = Grant {
        name,
        scopes,
        expires_at: earlier(expires_at, bearer.expires_at),
        events_per_minute: read_rate_limit(request.rate_limit_per_minute, &bearer)?,
    };
    let (key, record) = new_key(&bearer.tenant, (bearer.tier, bearer.spread), grant, now);
    let hash = key.hash(api.authenticator.peppers().current());
    check_made(api.control.add_key(&bearer_hash, &hash, &record).await?)?;
    let mut answer = to_json(&record);
    answer["api_key"] = key.expose().into();
    Ok(created(answer::json(StatusCode::CREATED, &answer), &record.id))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotate {
    #[serde(default)]
    overlap_seconds: u64,
}

/// Answers `POST /api/keys/rotate`: replaces the API key of the request by a new key with the same name and scopes. The
/// old key ends after the overlap. Without an overlap this instance refuses it at once, and all others within one
/// minute.
pub(crate) async fn rotate<P: Ports>(
    State(api): ApiState<P>,
    ActiveCaller(Caller { hash: old_hash, key: old, now, .. }): ActiveCaller<KeysAdmin>,
    OptionalJson(request): OptionalJson<Rotate>,
) -> Outcome {
    let overlap_seconds = request.overlap_seconds;
    check_range(overlap_seconds, 0..=MAX_OVERLAP_SECONDS, "/overlap_seconds")?;
    let old_ends = match overlap_seconds {
        0 => None,
        seconds => earlier(Some(now.after(Duration::from_secs(seconds))), old.expires_at),
    };
    let grant = Grant {
        name: old.name.clone(),
        scopes: old.scopes.clone(),
        expires_at: old.expires_at,
        events_per_minute: old.events_per_minute,
    };
    let (key, new) = new_key(&old.tenant, (old.tier, old.spread), grant, now);
    let new_hash = key.hash(api.authenticator.peppers().current());
    check_made(api.control.rotate_key((&old_hash, &old), (&new_hash, &new), old_ends).await?)?;
    api.authenticator.forget(&old_hash);
    let mut answer = to_json(&new);
    answer["api_key"] = key.expose().into();
    Ok(created(answer::json(StatusCode::OK, &answer), &new.id))
}

/// Answers `DELETE /api/keys/{id}`: deletes the API key. This instance refuses it at once, all others within one
/// minute.
pub(crate) async fn delete<P: Ports>(
    State(api): ApiState<P>,
    ActiveCaller(Caller { hash: bearer_hash, key: bearer, now, .. }): ActiveCaller<KeysAdmin>,
    Path(id): Path<String>,
) -> Outcome {
    let deleted = match api.control.delete_key((&bearer_hash, &bearer), &id, now).await? {
        KeyDeletion::Done(hash) => hash,
        KeyDeletion::NoSuchKey => return Err(Problem::not_found().into()),
        KeyDeletion::AskingGone => return Err(Problem::unauthorized().into()),
        KeyDeletion::Refused(refusal) => return Err(not_deleted(refusal).into()),
    };
    api.authenticator.forget(&deleted);
    Ok(answer::no_content())
}

/// Returns the problem of an API key that is not deleted.
fn not_deleted(refusal: Refusal) -> Problem {
    let (kind, detail) = match refusal {
        Refusal::LacksScope(scope) => (
            Kind::Forbidden,
            format!(
                "this API key lacks the scope {} and cannot delete a key that has it; use a key that has it",
                scope.as_str()
            ),
        ),
        Refusal::EndsEarlier(end) => (
            Kind::Forbidden,
            format!(
                "this API key ends at {end} and cannot delete a key that lasts longer; use a key that lasts as long"
            ),
        ),
        Refusal::LastAdmin => (
            Kind::LastAdminKey,
            "no other key with the scope keys:admin lasts as long; create one without `expires_at` first, or replace this one with `POST /api/keys/rotate`"
                .to_owned(),
        ),
    };
    Problem::new(kind, detail)
}

/// The properties of a new API key that the caller decides.
pub(super) struct Grant {
    pub(super) name: String,
    pub(super) scopes: Vec<Scope>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) events_per_minute: Option<u32>,
}

/// Draws an API key, and makes its record.
pub(super) fn new_key(
    tenant: &TenantId,
    (tier, spread): (Tier, Spread),
    grant: Grant,
    now: Timestamp,
) -> (ApiKey, KeyRecord) {
    let key = ApiKey::generate(&mut rand::rng());
    let Grant { name, scopes, expires_at, events_per_minute } = grant;
    let record = KeyRecord {
        id: format!("key_{:032x}", rand::random::<u128>()),
        tenant: tenant.clone(),
        tier,
        spread,
        is_suspended: false, // the transaction that writes the key knows
        name,
        scopes,
        last4: key.last4().to_owned(),
        created_at: now,
        expires_at,
        events_per_minute,
        last_used_at: None,
    };
    (key, record)
}

/// Returns the earlier of two times. `None` means never.
fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}

/// Checks that the new API key was written.
///
/// # Errors
/// 401 if the key of the request was revoked after its authentication, 422 if the tenant has too many keys.
fn check_made(written: KeyChange) -> Result<(), Problem> {
    match written {
        KeyChange::Done => Ok(()),
        KeyChange::KeyGone => Err(Problem::unauthorized()),
        KeyChange::TooMany => Err(too_many_keys()),
    }
}

/// Returns the problem of a tenant that has as many valid API keys as it may have.
pub(super) fn too_many_keys() -> Problem {
    let detail = format!("the tenant has {MAX_KEYS} valid API keys, the maximum; delete one first");
    Problem::new(Kind::Invalid, detail)
}

/// Reads the name of a tier.
///
/// # Errors
/// 422 for an unknown name.
pub(super) fn read_tier(name: &str) -> Result<Tier, Problem> {
    let names = Tier::ALL.map(Tier::as_str).join(", ");
    Tier::parse(name).ok_or_else(|| invalid(member("/tier"), format!("must be one of {names}; correct it")))
}

/// Returns the members of a tenant that several responses share.
pub(crate) fn tenant_members(tenant: &Tenant) -> Value {
    json!({
        "organization_id": tenant.id.as_str(),
        "organization_name": tenant.organization_name,
        "tier": tenant.tier.as_str(),
        "rate_limit_per_minute": tenant.tier.limits().events_per_minute,
    })
}

/// Returns an API key as JSON, without its secret text.
pub(crate) fn to_json(key: &KeyRecord) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "scopes": key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
        "rate_limit_per_minute": key.events_per_minute.unwrap_or(key.tier.limits().events_per_minute),
        "last4": key.last4,
        "created_at": key.created_at.to_string(),
        "last_used_at": key.last_used_at.map(|at| at.to_string()),
        "expires_at": key.expires_at.map(|end| end.to_string()),
    })
}

/// Reads a name, or another short text.
///
/// # Errors
/// 422 if it is empty, too long, or has control characters.
pub(super) fn read_name(text: &str, pointer: &str) -> Result<String, Problem> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
        let rule =
            format!("must have 1 to {MAX_NAME_CHARS} characters besides spaces at its ends; correct it");
        return Err(invalid(member(pointer), rule));
    }
    check_plain(name, pointer)?;
    Ok(name.to_owned())
}

/// Reads the scopes of a new API key.
///
/// # Errors
/// 422 for an unknown scope or no scope, 403 for a scope that the key of the request lacks.
fn read_scopes(names: &[String], bearer: &KeyRecord) -> Result<Vec<Scope>, Problem> {
    let parsed: Option<Vec<Scope>> = names.iter().map(|name| Scope::parse(name)).collect();
    let mut scopes = parsed.unwrap_or_default();
    if scopes.is_empty() {
        let known = Scope::ALL.map(Scope::as_str).join(", ");
        return Err(invalid(member("/scopes"), format!("must have one or more of {known}; correct it")));
    }
    scopes.sort_unstable();
    scopes.dedup();
    match scopes.iter().find(|scope| !bearer.allows(**scope)) {
        None => Ok(scopes),
        Some(scope) => {
            let detail = format!(
                "this API key lacks the scope {scope} and cannot give it; leave it out, or use a key that has it",
                scope = scope.as_str(),
            );
            Err(Problem::new(Kind::Forbidden, detail))
        }
    }
}

/// Reads the rate limit of a new API key. It is at most that of the key of the request.
fn read_rate_limit(requested: Option<u32>, bearer: &KeyRecord) -> Result<Option<u32>, Problem> {
    let Some(limit) = requested else { return Ok(bearer.events_per_minute) };
    let max = bearer.events_per_minute.unwrap_or(bearer.tier.limits().events_per_minute);
    check_range(limit, 1..=max, "/rate_limit_per_minute")?;
    Ok(Some(limit))
}

fn read_expiry(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    let expires_at = time(text, member("/expires_at"))?;
    if expires_at <= now {
        return Err(invalid(member("/expires_at"), "must be in the future; correct it or leave it out"));
    }
    Ok(expires_at)
}

//! API keys: a tenant's first, further ones, their list, rotation and deletion.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use domain::endpoint::id::EndpointId;
use domain::problem::{Kind, Problem};
use domain::tenant::Tenant;
use domain::tenant::api_key::{ApiKey, KeyRecord, MAX_KEYS, Scope};
use domain::tenant::id::TenantId;
use domain::tenant::spread::Spread;
use domain::tenant::tier::Tier;
use domain::timestamp::Timestamp;
use http::{HeaderMap, StatusCode};
use runtime::answer;
use serde::Deserialize;
use serde_json::{Value, json};
use store::clock::Clock;
use store::control::api_keys::KeyChange;

use crate::access::signup_tier;
use crate::body::{self, invalid};
use crate::body::{Json, OptionalJson};
use crate::caller::{Caller, FreshCaller, KeysAdmin};
use crate::deps::ApiState;
use crate::failure::Outcome;
use store::ports::Ports;

const MAX_NAME_CHARS: usize = 255;

/// An old key may live on for at most a week.
const MAX_OVERLAP_SECONDS: u64 = 7 * 24 * 3600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Generate {
    #[serde(alias = "org_name")]
    organization_name: String,
    tier: Option<String>,
}

/// `POST /api/keys/generate`: a new tenant and its first key, which may do everything.
pub(crate) async fn generate<P: Ports>(State(api): ApiState<P>, headers: HeaderMap, body: Body) -> Outcome {
    let is_admin = api.admin.is_bearer(&headers);
    signup_tier(api.signup, api.environment, is_admin, Tier::Free)?; // refused before its body is read
    let wanted: Generate = body::json(&headers, body).await?;
    let organization_name = name(&wanted.organization_name, "/organization_name")?;
    let tier = wanted.tier.as_deref().map_or(Ok(Tier::default()), tier_of)?;
    let tier = signup_tier(api.signup, api.environment, is_admin, tier)?;
    let now = api.clock.now();
    let tenant = Tenant {
        id: TenantId::generate(now, &mut rand::rng()),
        organization_name,
        tier,
        spread: Spread::of(tier),
        wanted_retention_days: None,
        created_at: now,
        rev: 1,
    };
    let grant = Grant {
        name: "default".to_owned(),
        scopes: Scope::ALL.to_vec(),
        expires_at: None,
        events_per_minute: None,
    };
    let (key, record) = new_key(&tenant.id, (tier, tenant.spread), grant, now);
    api.control.create_tenant(&tenant, &key.hash(api.authenticator.peppers().current()), &record).await?;
    let mut answer = tenant_members(&tenant);
    answer["api_key"] = key.expose().into();
    Ok(answer::json(StatusCode::CREATED, &answer))
}

/// `GET /api/keys`: the tenant and its keys, never a key itself.
pub(crate) async fn list<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<KeysAdmin>,
) -> Outcome {
    let found = api.control.tenant_with_keys(&bearer.tenant).await?;
    let (tenant, keys) = found.ok_or_else(Problem::not_found)?;
    let endpoint = api.control.endpoint(&tenant.id, &EndpointId::default_of(&tenant.id)).await?;
    let mut answer = tenant_members(&tenant);
    answer["webhook_url"] = endpoint.map(|endpoint| endpoint.url).into();
    answer["keys"] = keys.iter().filter(|key| key.is_live(now)).map(listed).collect();
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

/// `POST /api/keys`: a further key, with no more scopes than the one that asks, no higher limit and no longer life.
pub(crate) async fn create<P: Ports>(
    State(api): ApiState<P>,
    FreshCaller(Caller { hash: asking, key: bearer, now, .. }): FreshCaller<KeysAdmin>,
    Json(wanted): Json<Create>,
) -> Outcome {
    let name = name(&wanted.name, "/name")?;
    let scopes = scopes(&wanted.scopes, &bearer)?;
    let expires_at = wanted.expires_at.as_deref().map(|text| expiry(text, now)).transpose()?;
    let grant = Grant {
        name,
        scopes,
        expires_at: earlier(expires_at, bearer.expires_at),
        events_per_minute: limit(wanted.rate_limit_per_minute, &bearer)?,
    };
    let (key, record) = new_key(&bearer.tenant, (bearer.tier, bearer.spread), grant, now);
    let hash = key.hash(api.authenticator.peppers().current());
    made(api.control.add_key(&asking, &hash, &record).await?)?;
    let mut answer = listed(&record);
    answer["api_key"] = key.expose().into();
    Ok(answer::json(StatusCode::CREATED, &answer))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotate {
    #[serde(default)]
    overlap_seconds: u64,
}

/// `POST /api/keys/rotate`: another key of the same name and scopes. The old one is dead here at once and
/// everywhere within a minute, or after the overlap.
pub(crate) async fn rotate<P: Ports>(
    State(api): ApiState<P>,
    FreshCaller(Caller { hash: old_hash, key: old, now, .. }): FreshCaller<KeysAdmin>,
    OptionalJson(wanted): OptionalJson<Rotate>,
) -> Outcome {
    if wanted.overlap_seconds > MAX_OVERLAP_SECONDS {
        let detail = format!("\"overlap_seconds\" must be at most {MAX_OVERLAP_SECONDS}");
        return Err(invalid(detail, "/overlap_seconds").into());
    }
    let overlap =
        (wanted.overlap_seconds > 0).then(|| now.after(Duration::from_secs(wanted.overlap_seconds)));
    let old_ends = overlap.and_then(|end| earlier(Some(end), old.expires_at));
    let grant = Grant {
        name: old.name.clone(),
        scopes: old.scopes.clone(),
        expires_at: old.expires_at,
        events_per_minute: old.events_per_minute,
    };
    let (key, new) = new_key(&old.tenant, (old.tier, old.spread), grant, now);
    let new_hash = key.hash(api.authenticator.peppers().current());
    made(api.control.rotate_key((&old_hash, &old), (&new_hash, &new), old_ends).await?)?;
    api.authenticator.forget(&old_hash);
    let mut answer = listed(&new);
    answer["api_key"] = key.expose().into();
    Ok(answer::json(StatusCode::OK, &answer))
}

/// `DELETE /api/keys/{id}`: the key is refused from now on.
pub(crate) async fn delete<P: Ports>(
    State(api): ApiState<P>,
    FreshCaller(Caller { key: bearer, .. }): FreshCaller<KeysAdmin>,
    Path(id): Path<String>,
) -> Outcome {
    let hash = api.control.delete_key(&bearer.tenant, &id).await?.ok_or_else(Problem::not_found)?;
    api.authenticator.forget(&hash);
    Ok(answer::no_content())
}

/// What a key is to be: all but what is made for it.
struct Grant {
    name: String,
    scopes: Vec<Scope>,
    expires_at: Option<Timestamp>,
    events_per_minute: Option<u32>,
}

fn new_key(
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

/// The earlier of two moments, where an absent one never comes.
fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}

/// Whether the key was made. One that was revoked between its authentication and the change it asked for is no key.
fn made(written: KeyChange) -> Result<(), Problem> {
    match written {
        KeyChange::Done => Ok(()),
        KeyChange::KeyGone => Err(Problem::unauthorized()),
        KeyChange::TooMany => {
            let detail = format!("a tenant may have {MAX_KEYS} keys that are good; delete one first");
            Err(Problem::new(Kind::Invalid, detail))
        }
    }
}

/// The tier of this name.
///
/// # Errors
/// 422 where there is none.
pub(super) fn tier_of(name: &str) -> Result<Tier, Problem> {
    let names = || Tier::ALL.map(Tier::as_str).join(", ");
    Tier::parse(name).ok_or_else(|| invalid(format!("\"tier\" must be one of {}", names()), "/tier"))
}

/// What keys and settings both tell of a tenant.
pub(crate) fn tenant_members(tenant: &Tenant) -> Value {
    json!({
        "organization_id": tenant.id.as_str(),
        "organization_name": tenant.organization_name,
        "tier": tenant.tier.as_str(),
        "rate_limit_per_minute": tenant.tier.limits().events_per_minute,
    })
}

pub(crate) fn listed(key: &KeyRecord) -> Value {
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

fn name(text: &str, pointer: &str) -> Result<String, Problem> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
        return Err(invalid(format!("a name must have 1 to {MAX_NAME_CHARS} characters"), pointer));
    }
    Ok(name.to_owned())
}

fn scopes(names: &[String], bearer: &KeyRecord) -> Result<Vec<Scope>, Problem> {
    let known = Scope::ALL.map(Scope::as_str).join(", ");
    let parsed: Option<Vec<Scope>> = names.iter().map(|name| Scope::parse(name)).collect();
    let mut scopes = parsed
        .filter(|scopes| !scopes.is_empty())
        .ok_or_else(|| invalid(format!("\"scopes\" must be some of {known}"), "/scopes"))?;
    scopes.sort_unstable();
    scopes.dedup();
    match scopes.iter().find(|scope| !bearer.allows(**scope)) {
        None => Ok(scopes),
        Some(scope) => {
            let detail = format!("this API key lacks the scope {} and cannot give it", scope.as_str());
            Err(Problem::new(Kind::Forbidden, detail))
        }
    }
}

/// The limit of a new key: no higher than the one that asks has itself.
fn limit(wanted: Option<u32>, bearer: &KeyRecord) -> Result<Option<u32>, Problem> {
    let highest = bearer.events_per_minute.unwrap_or(bearer.tier.limits().events_per_minute);
    match wanted {
        None => Ok(bearer.events_per_minute),
        Some(wanted) if (1..=highest).contains(&wanted) => Ok(Some(wanted)),
        Some(_) => {
            let detail = format!("\"rate_limit_per_minute\" must be 1 to {highest}");
            Err(invalid(detail, "/rate_limit_per_minute"))
        }
    }
}

fn expiry(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    let detail = "\"expires_at\" must be a moment in the future, as RFC 3339";
    Timestamp::parse(text).filter(|end| *end > now).ok_or_else(|| invalid(detail, "/expires_at"))
}

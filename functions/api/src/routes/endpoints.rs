//! Endpoints: creation, changes, deletion and secrets.

use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use domain::endpoint::headers::Headers;
use domain::endpoint::health::Health;
use domain::endpoint::id::EndpointId;
use domain::endpoint::pace::Pace;
use domain::endpoint::pattern::Pattern;
use domain::endpoint::private::Private;
use domain::endpoint::secret::{Secret, Secrets};
use domain::endpoint::{DEFAULT_RATE_PER_SECOND, Endpoint, EndpointState, MAX_ENDPOINTS, Signing};
use domain::problem::{Kind, Problem};
use domain::sealed::Sealed;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use futures_util::future::try_join_all;
use http::{HeaderMap, StatusCode};
use runtime::answer;
use serde::Deserialize;
use serde_json::{Value, json};
use store::clock::Clock;
use store::control::endpoints::Added;
use store::items::Updated;
use store::ports::Ports;
use store::races::{Round, until_won};
use store::unavailable::{PortResult, Unavailable};

use super::duplicates::{check_change, check_no_duplicate};
use super::handshake::{Handshake, Wanted};
use super::settings::{Settings, change_headers, configure, read_secret, read_url};
use crate::audit::created;
use crate::body::{Json, OptionalJson, check_range, invalid, member};
use crate::caller::{ActiveCaller, Caller, EndpointsAdmin};
use crate::deps::{Api, ApiState};
use crate::failure::Outcome;
use crate::query::query_bool;

/// The longest overlap of two secrets: one week.
const MAX_OVERLAP_SECONDS: u64 = 7 * 24 * 3600;

/// The default overlap of two secrets: one day.
const DEFAULT_OVERLAP_SECONDS: u64 = 24 * 3600;

/// The largest number of parked deliveries that are counted where one endpoint is read.
const MAX_COUNTED: usize = 10_000;

/// The largest number of parked deliveries that a list counts for each endpoint: at most ten pages of 4 KB each.
const MAX_COUNTED_IN_LIST: usize = 100;

/// Answers `POST /api/endpoints`: creates an endpoint. Only this response and a rotation have the secret.
pub(crate) async fn create<P: Ports>(
    State(api): ApiState<P>,
    ActiveCaller(Caller { key: bearer, .. }): ActiveCaller<EndpointsAdmin>,
    request_headers: HeaderMap,
    Json(settings): Json<Settings>,
) -> Outcome {
    let Some(url) = settings.url.value() else {
        return Err(invalid(member("/url"), "is missing; add it").into());
    };
    let url = read_url(&api, &request_headers, url, "/url").await?;
    let id = EndpointId::generate(&mut rand::rng());
    let secret = secret_or_new(settings.secret.value().map(String::as_str))?;
    let headers = change_headers(&Headers::default(), &settings)?;
    let private = Private { secrets: Secrets::new(secret.clone()), headers };
    let mut endpoint = new(&api, &bearer.tenant, id, &private, api.clock.now()).await?;
    configure(&mut endpoint, &settings, Some(&url))?;
    let wanted = Wanted { seen: None, settings: &settings, url: Some(&url), pointer: "/url" };
    let handshake = Handshake::perform(&api, &bearer, &request_headers, wanted).await?;
    handshake.apply(&settings, None, &mut endpoint)?;
    check_no_duplicate(&api, &bearer.tenant, &endpoint).await?;
    match api.control.add_endpoint(&bearer.tenant, &endpoint).await? {
        Added::Done => {}
        Added::Exists => return Err(Unavailable::new("adding an endpoint", "its id exists already").into()),
        Added::TooMany => return Err(too_many().into()),
        Added::Suspended => return Err(Problem::suspended().into()),
    }
    let mut answer = to_json_with_pending(&api, &bearer.tenant, &endpoint).await?;
    answer["secret"] = secret.expose().into();
    Ok(created(answer::json(StatusCode::CREATED, &answer), endpoint.id.as_str()))
}

/// Answers `GET /api/endpoints`: all endpoints, oldest first. With `pending=true`, also the number of their parked deliveries.
pub(crate) async fn list<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<EndpointsAdmin>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let counts_pending = query_bool(query.as_deref(), "pending")?;
    let endpoints = oldest_first(&api, &bearer.tenant).await?;
    let listed = endpoints.iter().map(async |endpoint| {
        let mut members = to_json(&api, &bearer.tenant, endpoint).await?;
        if counts_pending {
            let parked = api.schedule.count_parked(&bearer.tenant, &endpoint.id, MAX_COUNTED_IN_LIST);
            members["pending"] = parked.await?.into();
        }
        PortResult::Ok(members)
    });
    let listed = try_join_all(listed).await?;
    Ok(answer::json(StatusCode::OK, &json!({"endpoints": listed, "next_cursor": null})))
}

/// Returns the endpoints of a tenant, oldest first.
pub(super) async fn oldest_first<P: Ports>(api: &Api<P>, tenant: &TenantId) -> PortResult<Vec<Endpoint>> {
    let mut endpoints = api.control.endpoints(tenant).await?;
    endpoints.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    Ok(endpoints)
}

/// Answers `GET /api/endpoints/{id}`.
pub(crate) async fn read<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<EndpointsAdmin>,
    Path(id): Path<String>,
) -> Outcome {
    let endpoint = find(&api, &bearer.tenant, &id).await?;
    Ok(answer::json(StatusCode::OK, &to_json_with_pending(&api, &bearer.tenant, &endpoint).await?))
}

/// Answers `PATCH /api/endpoints/{id}`: changes the members that the request has.
pub(crate) async fn change<P: Ports>(
    State(api): ApiState<P>,
    ActiveCaller(Caller { key: bearer, .. }): ActiveCaller<EndpointsAdmin>,
    request_headers: HeaderMap,
    Path(id): Path<String>,
    Json(settings): Json<Settings>,
) -> Outcome {
    if settings.secret.is_present() {
        let rule = "cannot be changed here; send it to `POST /api/endpoints/{id}/rotate-secret`";
        return Err(invalid(member("/secret"), rule).into());
    }
    let url = match settings.url.required("/url")? {
        None => None,
        Some(url) => Some(read_url(&api, &request_headers, url, "/url").await?),
    };
    let seen =
        if settings.may_need_handshake() { Some(find(&api, &bearer.tenant, &id).await?) } else { None };
    let pointer = if url.is_some() { "/url" } else { "/handshake" };
    let wanted = Wanted { seen: seen.as_ref(), settings: &settings, url: url.as_ref(), pointer };
    let handshake = Handshake::perform(&api, &bearer, &request_headers, wanted).await?;
    let changed = update(&api, &bearer.tenant, &id, |endpoint, private| {
        private.headers = change_headers(&private.headers, &settings)?;
        let seen = endpoint.clone();
        configure(endpoint, &settings, url.as_ref())?;
        handshake.apply(&settings, Some(&seen), endpoint)
    })
    .await?;
    Ok(answer::json(StatusCode::OK, &to_json_with_pending(&api, &bearer.tenant, &changed).await?))
}

/// Answers `DELETE /api/endpoints/{id}`: deletes the endpoint. Its open deliveries are cancelled, and their events are
/// in the inbox then. A repeat has the same answer; only an id that no endpoint can have is a 404.
pub(crate) async fn delete<P: Ports>(
    State(api): ApiState<P>,
    ActiveCaller(Caller { key: bearer, .. }): ActiveCaller<EndpointsAdmin>,
    Path(id): Path<String>,
) -> Outcome {
    let id = EndpointId::parse(&id).ok_or_else(no_endpoint)?;
    api.control.delete_endpoint(&bearer.tenant, &id).await?;
    Ok(answer::no_content())
}

/// Answers `POST /api/endpoints/{id}/enable`: makes the endpoint active and closes its circuit breaker.
pub(crate) async fn enable<P: Ports>(
    State(api): ApiState<P>,
    ActiveCaller(Caller { key: bearer, .. }): ActiveCaller<EndpointsAdmin>,
    Path(id): Path<String>,
) -> Outcome {
    let enabled = update(&api, &bearer.tenant, &id, |endpoint, _| {
        endpoint.state = EndpointState::Active;
        endpoint.health.close();
        Ok(())
    })
    .await?;
    Ok(answer::json(StatusCode::OK, &to_json_with_pending(&api, &bearer.tenant, &enabled).await?))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateSecret {
    overlap_seconds: Option<u64>,
    secret: Option<String>,
}

/// Answers `POST /api/endpoints/{id}/rotate-secret`: sets a new secret. Until the overlap ends, requests are signed
/// with both.
pub(crate) async fn rotate<P: Ports>(
    State(api): ApiState<P>,
    ActiveCaller(Caller { key: bearer, .. }): ActiveCaller<EndpointsAdmin>,
    Path(id): Path<String>,
    OptionalJson(request): OptionalJson<RotateSecret>,
) -> Outcome {
    let overlap_seconds = request.overlap_seconds.unwrap_or(DEFAULT_OVERLAP_SECONDS);
    check_range(overlap_seconds, 0..=MAX_OVERLAP_SECONDS, "/overlap_seconds")?;
    let secret = secret_or_new(request.secret.as_deref())?;
    let now = api.clock.now();
    let overlap_ends = now.after(Duration::from_secs(overlap_seconds));
    let rotated = update(&api, &bearer.tenant, &id, |_, private| {
        private.secrets = private.secrets.rotate(secret.clone(), now, overlap_ends);
        Ok(())
    })
    .await?;
    let mut answer = to_json_with_pending(&api, &bearer.tenant, &rotated).await?;
    answer["secret"] = secret.expose().into();
    Ok(answer::json(StatusCode::OK, &answer))
}

/// Reads the secret of the request, or draws a new one.
fn secret_or_new(text: Option<&str>) -> Result<Secret, Problem> {
    match text {
        None => Ok(Secret::generate(&mut rand::rng())),
        Some(text) => read_secret(text),
    }
}

/// Returns the problem of a tenant that has [`MAX_ENDPOINTS`].
pub(super) fn too_many() -> Problem {
    let detail = format!("the tenant has {MAX_ENDPOINTS} endpoints, the maximum; delete one first");
    Problem::new(Kind::Invalid, detail)
}

/// Returns the endpoint with this id.
///
/// # Errors
/// 404 if it does not exist, or belongs to another tenant.
pub(super) async fn find<P: Ports>(api: &Api<P>, tenant: &TenantId, id: &str) -> Result<Endpoint, Problem> {
    let id = EndpointId::parse(id).ok_or_else(no_endpoint)?;
    api.control.endpoint(tenant, &id).await?.ok_or_else(no_endpoint)
}

/// Returns the problem of an endpoint that does not exist.
pub(super) fn no_endpoint() -> Problem {
    Problem::new(
        Kind::NotFound,
        "Not found: no endpoint has this id; list the endpoints with `GET /api/endpoints`",
    )
}

/// Changes the current endpoint by a conditional write, and returns the endpoint as it is stored.
async fn update<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    id: &str,
    change: impl Fn(&mut Endpoint, &mut Private) -> Result<(), Problem>,
) -> Result<Endpoint, Problem> {
    until_won("changing an endpoint", || async {
        let seen = find(api, tenant, id).await?;
        let seen_private = open(api, tenant, &seen).await?;
        let mut next = seen.clone();
        let mut private = seen_private.clone();
        change(&mut next, &mut private)?;
        check_change(api, tenant, &seen, &next).await?;
        if private != seen_private {
            next.sealed = seal(api, tenant, &seen.id, &private).await?;
        }
        Ok(match api.control.change_endpoint(tenant, &seen, &next).await? {
            Updated::Done => Round::Ended(find(api, tenant, id).await?),
            Updated::Raced => Round::Lost,
        })
    })
    .await
}

/// Makes an endpoint with default settings and an empty URL.
pub(super) async fn new<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    id: EndpointId,
    private: &Private,
    now: Timestamp,
) -> PortResult<Endpoint> {
    let sealed = seal(api, tenant, &id, private).await?;
    Ok(Endpoint {
        id,
        url: String::new(),
        description: String::new(),
        event_types: vec![Pattern::any()],
        signing: Signing::default(),
        sealed,
        created_at: now,
        rev: 1,
        state: EndpointState::Active,
        is_paused: false,
        is_suspended: false,
        rate_per_second: DEFAULT_RATE_PER_SECOND,
        health: Health::default(),
        last_delivered_at: None,
        slowness: None,
        needs_handshake: false,
        permission: None,
    })
}

/// Decrypts the secrets and headers of an endpoint.
pub(super) async fn open<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    endpoint: &Endpoint,
) -> PortResult<Private> {
    let failed = |reason: &str| Unavailable::new("decrypting an endpoint", reason);
    let key = api.keys.key(tenant).await?.ok_or_else(|| {
        failed("the tenant has no data key, although it has an endpoint; restore the key from a backup")
    })?;
    Private::open(&key, tenant, &endpoint.id, &endpoint.sealed).map_err(|error| failed(&error.to_string()))
}

/// Encrypts the secrets and headers of an endpoint.
async fn seal<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    id: &EndpointId,
    private: &Private,
) -> PortResult<Sealed> {
    let key = api.keys.key_or_new(tenant).await?;
    let sealed = private.seal(&key, tenant, id, rand::random());
    sealed.map_err(|error| Unavailable::new("encrypting an endpoint", error))
}

/// Returns an endpoint as JSON with `pending`, the number of its parked deliveries. It costs a query for each endpoint, so
/// lists have the number only on request.
async fn to_json_with_pending<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    endpoint: &Endpoint,
) -> PortResult<Value> {
    let mut members = to_json(api, tenant, endpoint).await?;
    members["pending"] = api.schedule.count_parked(tenant, &endpoint.id, MAX_COUNTED).await?.into();
    Ok(members)
}

/// Returns an endpoint as JSON, without its secrets and without the values of its headers.
pub(crate) async fn to_json<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    endpoint: &Endpoint,
) -> PortResult<Value> {
    let private = open(api, tenant, endpoint).await?;
    let now = api.clock.now();
    let overlaps = private.secrets.previous.iter().map(|(_, until)| *until);
    let overlap_ends = overlaps.filter(|until| now < *until).max();
    let headers: Vec<&str> = private.headers.iter().map(|(name, _)| name).collect();
    let public_key = match endpoint.signing {
        Signing::Ed25519 => api.signing.keys_of(&endpoint.id).public(),
        Signing::Hmac => None,
    };
    let (health, permission) = (&endpoint.health, endpoint.permission);
    Ok(json!({
        "id": endpoint.id.as_str(),
        "url": endpoint.url,
        "description": endpoint.description,
        "event_types": endpoint.event_types.iter().map(Pattern::as_str).collect::<Vec<_>>(),
        "header_names": headers,
        "rate_per_second": endpoint.rate_per_second,
        "throttled_rate_per_minute": endpoint.throttled_pace(now).map(Pace::to_per_minute),
        "signing": endpoint.signing.as_str(),
        "public_key": public_key,
        "previous_secret_until": overlap_ends.map(|until| until.to_string()),
        "handshake": endpoint.needs_handshake,
        "handshake_at": permission.map(|permission| permission.at.to_string()),
        "allowed_rate_per_minute": permission.and_then(|permission| permission.rate_per_minute),
        "paused": endpoint.is_paused,
        "state": state(endpoint),
        "failures": health.failures,
        "failing_since": health.failing_since.map(|since| since.to_string()),
        "last_error": health.last_error,
        "last_delivered_at": endpoint.last_delivered_at.map(|at| at.to_string()),
        "next_probe_at": health.open.map(|open| open.next_probe_at.to_string()),
        "created_at": endpoint.created_at.to_string(),
    }))
}

/// Returns the name of the state in JSON.
fn state(endpoint: &Endpoint) -> &'static str {
    match endpoint.state {
        EndpointState::Disabled => "disabled",
        EndpointState::Active if endpoint.health.open.is_some() => "open",
        EndpointState::Active => "active",
    }
}

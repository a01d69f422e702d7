//! Endpoints: what their owner configures.

use std::time::Duration;

use axum::extract::{Path, State};
use domain::endpoint::headers::Headers;
use domain::endpoint::health::Health;
use domain::endpoint::id::EndpointId;
use domain::endpoint::pattern::Pattern;
use domain::endpoint::private::Private;
use domain::endpoint::secret::{Secret, Secrets};
use domain::endpoint::url::EndpointUrl;
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
use store::unavailable::{PortResult, Unavailable};

use super::settings::{Settings, configure, read_headers, read_secret, read_url};
use crate::body::invalid;
use crate::body::{Json, OptionalJson};
use crate::caller::{Caller, EndpointsAdmin};
use crate::deps::Api;
use crate::deps::ApiState;
use crate::failure::Outcome;
use store::ports::Ports;

/// An old secret may sign for at most a week more.
const MAX_OVERLAP_SECONDS: u64 = 7 * 24 * 3600;

/// Unless the owner says otherwise, both secrets sign for a day.
const DEFAULT_OVERLAP_SECONDS: u64 = 24 * 3600;

/// How often a raced change is decided again before the client is asked to.
const MAX_RACES: usize = 10;

/// Parked deliveries are counted up to here.
const MAX_COUNTED: usize = 10_000;

/// `POST /api/endpoints`: a further endpoint. Its secret is shown here, and never again.
pub(crate) async fn create<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<EndpointsAdmin>,
    _headers: HeaderMap,
    Json(wanted): Json<Settings>,
) -> Outcome {
    let url = read_url(&api, wanted.url.as_deref(), "/url").await?;
    if url.is_none() {
        return Err(invalid("\"url\" is needed", "/url").into());
    }
    let now = api.clock.now();
    let id = EndpointId::generate(&mut rand::rng());
    let secret = match &wanted.secret {
        None => Secret::generate(&mut rand::rng()),
        Some(text) => read_secret(text)?,
    };
    let private = Private {
        secrets: Secrets::new(secret.clone()),
        headers: read_headers(&wanted)?.unwrap_or_default(),
    };
    let mut endpoint = new(&api, &bearer.tenant, id, &private, now).await?;
    configure(&mut endpoint, &wanted, url.as_ref())?;
    match api.control.add_endpoint(&bearer.tenant, &endpoint).await? {
        Added::Done => {}
        Added::Exists => return Err(Unavailable::new("adding an endpoint", "its id is taken").into()),
        Added::TooMany => {
            let detail = format!("a tenant may have {MAX_ENDPOINTS} endpoints; delete one first");
            return Err(Problem::new(Kind::Invalid, detail).into());
        }
    }
    let mut answer = shown_with_backlog(&api, &bearer.tenant, &endpoint).await?;
    answer["secret"] = secret.expose().into();
    Ok(answer::json(StatusCode::CREATED, &answer))
}

/// `GET /api/endpoints`: all of them, the oldest first.
pub(crate) async fn list<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<EndpointsAdmin>,
) -> Outcome {
    let mut endpoints = api.control.endpoints(&bearer.tenant).await?;
    endpoints.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    let shown = endpoints.iter().map(|endpoint| shown(&api, &bearer.tenant, endpoint));
    let shown = try_join_all(shown).await?;
    Ok(answer::json(StatusCode::OK, &json!({"endpoints": shown, "next_cursor": null})))
}

/// `GET /api/endpoints/{id}`.
pub(crate) async fn read<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<EndpointsAdmin>,
    Path(id): Path<String>,
) -> Outcome {
    let endpoint = found(&api, &bearer.tenant, &id).await?;
    Ok(answer::json(StatusCode::OK, &shown_with_backlog(&api, &bearer.tenant, &endpoint).await?))
}

/// `PATCH /api/endpoints/{id}`: changes what is named, and nothing else.
pub(crate) async fn change<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<EndpointsAdmin>,
    _headers: HeaderMap,
    Path(id): Path<String>,
    Json(wanted): Json<Settings>,
) -> Outcome {
    if wanted.secret.is_some() {
        return Err(invalid("a secret is changed by its rotation", "/secret").into());
    }
    let url = read_url(&api, wanted.url.as_deref(), "/url").await?;
    let owners = read_headers(&wanted)?;
    let endpoint = update(&api, &bearer.tenant, &id, |endpoint, private| {
        if let Some(owners) = &owners {
            private.headers = owners.clone();
        }
        configure(endpoint, &wanted, url.as_ref())
    });
    Ok(answer::json(StatusCode::OK, &shown_with_backlog(&api, &bearer.tenant, &endpoint.await?).await?))
}

/// `DELETE /api/endpoints/{id}`: what is open for it is cancelled, and those events stay in the inbox.
pub(crate) async fn delete<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<EndpointsAdmin>,
    Path(id): Path<String>,
) -> Outcome {
    if let Some(id) = EndpointId::parse(&id) {
        api.control.delete_endpoint(&bearer.tenant, &id).await?;
    }
    Ok(answer::no_content())
}

/// `POST /api/endpoints/{id}/enable`: takes deliveries again, with a good health.
pub(crate) async fn enable<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<EndpointsAdmin>,
    Path(id): Path<String>,
) -> Outcome {
    let enabled = update(&api, &bearer.tenant, &id, |endpoint, _| {
        endpoint.state = EndpointState::Active;
        Ok(())
    });
    Ok(answer::json(StatusCode::OK, &shown_with_backlog(&api, &bearer.tenant, &enabled.await?).await?))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotate {
    overlap_seconds: Option<u64>,
    secret: Option<String>,
}

/// `POST /api/endpoints/{id}/rotate-secret`: another secret; until the overlap ends, requests carry the signatures of both.
pub(crate) async fn rotate<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<EndpointsAdmin>,
    Path(id): Path<String>,
    OptionalJson(wanted): OptionalJson<Rotate>,
) -> Outcome {
    let overlap = wanted.overlap_seconds.unwrap_or(DEFAULT_OVERLAP_SECONDS);
    if overlap > MAX_OVERLAP_SECONDS {
        let detail = format!("\"overlap_seconds\" must be at most {MAX_OVERLAP_SECONDS}");
        return Err(invalid(detail, "/overlap_seconds").into());
    }
    let secret = match &wanted.secret {
        None => Secret::generate(&mut rand::rng()),
        Some(text) => read_secret(text)?,
    };
    let now = api.clock.now();
    let overlap_ends = now.after(Duration::from_secs(overlap));
    let endpoint = update(&api, &bearer.tenant, &id, |_, private| {
        private.secrets = private.secrets.rotate(secret.clone(), now, overlap_ends);
        Ok(())
    });
    let mut answer = shown_with_backlog(&api, &bearer.tenant, &endpoint.await?).await?;
    answer["secret"] = secret.expose().into();
    Ok(answer::json(StatusCode::OK, &answer))
}

/// Points the tenant's default endpoint at `url` and lets it take deliveries; creates it where there is none, and then gives
/// its secret.
pub(super) async fn set_default<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    url: &EndpointUrl,
) -> Result<Option<Secret>, Problem> {
    let id = EndpointId::default_of(tenant);
    for _ in 0..MAX_RACES {
        let Some(seen) = api.control.endpoint(tenant, &id).await? else {
            let secret = Secret::generate(&mut rand::rng());
            let private = Private { secrets: Secrets::new(secret.clone()), headers: Headers::default() };
            let blank = new(api, tenant, id.clone(), &private, api.clock.now()).await?;
            match api
                .control
                .add_endpoint(tenant, &Endpoint { url: url.as_str().to_owned(), ..blank })
                .await?
            {
                Added::Done => return Ok(Some(secret)),
                Added::Exists => continue, // somebody else was first
                Added::TooMany => {
                    let detail = format!("a tenant may have {MAX_ENDPOINTS} endpoints; delete one first");
                    return Err(Problem::new(Kind::Invalid, detail));
                }
            }
        };
        let next = Endpoint { url: url.as_str().to_owned(), state: EndpointState::Active, ..seen.clone() };
        if api.control.change_endpoint(tenant, &seen, &next).await? == Updated::Done {
            return Ok(None);
        }
    }
    Err(Unavailable::new("changing an endpoint", "too many races").into())
}

/// The endpoint of this id, if it is the tenant's.
pub(super) async fn found<P: Ports>(api: &Api<P>, tenant: &TenantId, id: &str) -> Result<Endpoint, Problem> {
    let id = EndpointId::parse(id).ok_or_else(no_endpoint)?;
    api.control.endpoint(tenant, &id).await?.ok_or_else(no_endpoint)
}

fn no_endpoint() -> Problem {
    Problem::new(Kind::NotFound, "there is no such endpoint")
}

/// Changes an endpoint as it is now, until nobody else changed it at the same time.
async fn update<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    id: &str,
    change: impl Fn(&mut Endpoint, &mut Private) -> Result<(), Problem>,
) -> Result<Endpoint, Problem> {
    for _ in 0..MAX_RACES {
        let seen = found(api, tenant, id).await?;
        let known = open(api, tenant, &seen).await?;
        let (mut next, mut private) = (seen.clone(), known.clone());
        change(&mut next, &mut private)?;
        if private != known {
            next.sealed = seal(api, tenant, &seen.id, &private).await?;
        }
        if api.control.change_endpoint(tenant, &seen, &next).await? == Updated::Done {
            return found(api, tenant, id).await;
        }
    }
    Err(Unavailable::new("changing an endpoint", "too many races").into())
}

/// An endpoint with its defaults and no URL yet.
async fn new<P: Ports>(
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
        rate_per_second: DEFAULT_RATE_PER_SECOND,
        health: Health::default(),
    })
}

/// The private part of an endpoint.
pub(super) async fn open<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    endpoint: &Endpoint,
) -> PortResult<Private> {
    let failed = |reason: &str| Unavailable::new("opening an endpoint", reason);
    let key = api.keys.key(tenant).await?.ok_or_else(|| failed("its tenant has no data key"))?;
    Private::open(&key, tenant, &endpoint.id, &endpoint.sealed).map_err(|error| failed(&error.to_string()))
}

async fn seal<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    id: &EndpointId,
    private: &Private,
) -> PortResult<Sealed> {
    let key = api.keys.key_or_new(tenant).await?;
    let sealed = private.seal(&key, tenant, id, rand::random());
    sealed.map_err(|error| Unavailable::new("sealing an endpoint", error))
}

/// Returns an endpoint as it is shown alone: with how many deliveries are parked. A list leaves that out: it would pay for the backlog
/// of each endpoint.
pub(crate) async fn shown_with_backlog<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    endpoint: &Endpoint,
) -> PortResult<Value> {
    let mut shown = shown(api, tenant, endpoint).await?;
    shown["pending"] = api.schedule.count_parked(tenant, &endpoint.id, MAX_COUNTED).await?.into();
    Ok(shown)
}

/// Returns an endpoint as lists show it: without its secrets, and of its headers only the names.
pub(crate) async fn shown<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    endpoint: &Endpoint,
) -> PortResult<Value> {
    let private = open(api, tenant, endpoint).await?;
    let now = api.clock.now();
    let overlaps = private.secrets.previous.iter().map(|(_, until)| *until);
    let overlap = overlaps.filter(|until| now < *until).max().map(|until| until.to_string());
    let patterns: Vec<&str> = endpoint.event_types.iter().map(Pattern::as_str).collect();
    let headers: Vec<&str> = private.headers.iter().map(|(name, _)| name).collect();
    let public_key =
        (endpoint.signing == Signing::Ed25519).then(|| api.signing.keys_of(&endpoint.id).public()).flatten();
    let health = &endpoint.health;
    Ok(json!({
        "id": endpoint.id.as_str(),
        "url": endpoint.url,
        "description": endpoint.description,
        "event_types": patterns,
        "header_names": headers,
        "rate_per_second": endpoint.rate_per_second,
        "signing": endpoint.signing.as_str(),
        "public_key": public_key,
        "previous_secret_until": overlap,
        "paused": endpoint.is_paused,
        "state": match endpoint.state {
            EndpointState::Disabled => "disabled",
            EndpointState::Active if health.open.is_some() => "open",
            EndpointState::Active => "active",
        },
        "failures": health.failures,
        "failing_since": health.failing_since.map(|since| since.to_string()),
        "last_error": health.last_error,
        "next_probe_at": health.open.map(|open| open.next_probe_at.to_string()),
        "created_at": endpoint.created_at.to_string(),
    }))
}

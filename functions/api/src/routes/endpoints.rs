//! Endpoints: what their owner configures.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use futures_util::future::try_join_all;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use triggers::adapters::control::Added;
use triggers::answer::{self, Answer};
use triggers::api_key::{KeyRecord, Scope};
use triggers::breaker::Health;
use triggers::endpoint::{
    DEFAULT_RATE_PER_SECOND, Endpoint, EndpointId, EndpointState, EndpointUrl, Headers, MAX_ENDPOINTS,
    MAX_RATE_PER_SECOND, Pattern, Private, Secret, Secrets, Signing,
};
use triggers::ports::{Clock, Control, PortResult, Unavailable, Updated, Vault};
use triggers::problem::{Kind, Problem};
use triggers::sealed::Sealed;
use triggers::tenant::TenantId;
use triggers::timestamp::Timestamp;

use crate::body::{self, invalid};
use crate::deps::Api;
use crate::failure::Outcome;

/// The most patterns of one endpoint.
const MAX_PATTERNS: usize = 50;

const MAX_DESCRIPTION_CHARS: usize = 255;

/// An old secret may sign for at most a week more.
const MAX_OVERLAP_SECONDS: u64 = 7 * 24 * 3600;

/// Unless the owner says otherwise, both secrets sign for a day.
const DEFAULT_OVERLAP_SECONDS: u64 = 24 * 3600;

/// How often a raced change is decided again before the client is asked to.
const MOST_RACES: usize = 10;

/// Parked deliveries are counted up to here.
const MOST_COUNTED: i32 = 10_000;

/// What an owner says about an endpoint; absent members stay as they are, or get their defaults.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    #[serde(alias = "target_url")]
    url: Option<String>,
    description: Option<String>,
    event_types: Option<Vec<String>>,
    headers: Option<BTreeMap<String, String>>,
    rate_per_second: Option<u32>,
    signing: Option<String>,
    paused: Option<bool>,
    secret: Option<String>,
}

/// `POST /api/endpoints`: a further endpoint. Its secret is shown here, and never again.
pub(crate) async fn create(State(api): State<Arc<Api>>, headers: HeaderMap, body: Body) -> Outcome {
    let bearer = bearer(&api, &headers).await?;
    let wanted: Settings = body::json(&headers, body).await?;
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
    configure(&api, &mut endpoint, &wanted)?;
    if endpoint.url.is_empty() {
        return Err(invalid("\"url\" is needed", "/url").into());
    }
    match api.control.add_endpoint(&bearer.tenant, &endpoint).await? {
        Added::Done => {}
        Added::Exists => return Err(Unavailable::new("adding an endpoint", "its id is taken").into()),
        Added::TooMany => {
            let detail = format!("a tenant may have {MAX_ENDPOINTS} endpoints; delete one first");
            return Err(Problem::new(Kind::Invalid, detail).into());
        }
    }
    let mut answer = shown(&api, &bearer.tenant, &endpoint).await?;
    answer["secret"] = secret.expose().into();
    Ok(answer::json(StatusCode::CREATED, &answer))
}

/// `GET /api/endpoints`: all of them, the oldest first.
pub(crate) async fn list(State(api): State<Arc<Api>>, headers: HeaderMap) -> Outcome {
    let bearer = bearer(&api, &headers).await?;
    let mut endpoints = api.control.endpoints(&bearer.tenant).await?;
    endpoints.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    let shown = endpoints.iter().map(|endpoint| shown(&api, &bearer.tenant, endpoint));
    let shown = try_join_all(shown).await?;
    Ok(answer::json(StatusCode::OK, &json!({"endpoints": shown, "next_cursor": null})))
}

/// `GET /api/endpoints/{id}`.
pub(crate) async fn read(State(api): State<Arc<Api>>, headers: HeaderMap, Path(id): Path<String>) -> Outcome {
    let bearer = bearer(&api, &headers).await?;
    let endpoint = found(&api, &bearer.tenant, &id).await?;
    Ok(answer::json(StatusCode::OK, &shown(&api, &bearer.tenant, &endpoint).await?))
}

/// `PATCH /api/endpoints/{id}`: changes what is named, and nothing else.
pub(crate) async fn change(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Outcome {
    let bearer = bearer(&api, &headers).await?;
    let wanted: Settings = body::json(&headers, body).await?;
    if wanted.secret.is_some() {
        return Err(invalid("a secret is changed by its rotation", "/secret").into());
    }
    let owners = read_headers(&wanted)?;
    let endpoint = update(&api, &bearer.tenant, &id, |endpoint, private| {
        if let Some(owners) = &owners {
            private.headers = owners.clone();
        }
        configure(&api, endpoint, &wanted)
    });
    Ok(answer::json(StatusCode::OK, &shown(&api, &bearer.tenant, &endpoint.await?).await?))
}

/// `DELETE /api/endpoints/{id}`: what is open for it is cancelled, and those events stay in the inbox.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Outcome {
    let bearer = bearer(&api, &headers).await?;
    if let Some(id) = EndpointId::parse(&id) {
        api.control.delete_endpoint(&bearer.tenant, &id).await?;
    }
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    Ok(answer)
}

/// `POST /api/endpoints/{id}/enable`: takes deliveries again, with a good health.
pub(crate) async fn enable(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Outcome {
    let bearer = bearer(&api, &headers).await?;
    let enabled = update(&api, &bearer.tenant, &id, |endpoint, _| {
        endpoint.state = EndpointState::Active;
        Ok(())
    });
    Ok(answer::json(StatusCode::OK, &shown(&api, &bearer.tenant, &enabled.await?).await?))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotate {
    overlap_seconds: Option<u64>,
    secret: Option<String>,
}

/// `POST /api/endpoints/{id}/rotate-secret`: another secret; until the overlap ends, requests carry the signatures of both.
pub(crate) async fn rotate(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Outcome {
    let bearer = bearer(&api, &headers).await?;
    let wanted: Rotate = body::optional_json(&headers, body).await?;
    let overlap = wanted.overlap_seconds.unwrap_or(DEFAULT_OVERLAP_SECONDS);
    if overlap > MAX_OVERLAP_SECONDS {
        let detail = format!("\"overlap_seconds\" must be at most {MAX_OVERLAP_SECONDS}");
        return Err(invalid(detail, "/overlap_seconds").into());
    }
    let secret = match &wanted.secret {
        None => Secret::generate(&mut rand::rng()),
        Some(text) => read_secret(text)?,
    };
    let overlap_ends = api.clock.now().after(Duration::from_secs(overlap));
    let endpoint = update(&api, &bearer.tenant, &id, |_, private| {
        private.secrets = private.secrets.rotate(secret.clone(), overlap_ends);
        Ok(())
    });
    let mut answer = shown(&api, &bearer.tenant, &endpoint.await?).await?;
    answer["secret"] = secret.expose().into();
    Ok(answer::json(StatusCode::OK, &answer))
}

/// Points the tenant's default endpoint at `url` and lets it take deliveries; creates it where there is none, and then gives
/// its secret.
pub(super) async fn set_default(
    api: &Api,
    tenant: &TenantId,
    url: &EndpointUrl,
) -> Result<Option<Secret>, Problem> {
    let id = EndpointId::default_of(tenant);
    for _ in 0..MOST_RACES {
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

async fn bearer(api: &Api, headers: &HeaderMap) -> Result<KeyRecord, Problem> {
    let (_, bearer) = api.authenticator.authenticate(headers, Scope::EndpointsAdmin, api.clock.now()).await?;
    Ok(bearer)
}

/// The endpoint of this id, if it is the tenant's.
pub(super) async fn found(api: &Api, tenant: &TenantId, id: &str) -> Result<Endpoint, Problem> {
    let id = EndpointId::parse(id).ok_or_else(no_endpoint)?;
    api.control.endpoint(tenant, &id).await?.ok_or_else(no_endpoint)
}

fn no_endpoint() -> Problem {
    Problem::new(Kind::NotFound, "there is no such endpoint")
}

/// Changes an endpoint as it is now, until nobody else changed it at the same time.
async fn update(
    api: &Api,
    tenant: &TenantId,
    id: &str,
    change: impl Fn(&mut Endpoint, &mut Private) -> Result<(), Problem>,
) -> Result<Endpoint, Problem> {
    for _ in 0..MOST_RACES {
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
async fn new(
    api: &Api,
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

/// Sets what its owner named.
fn configure(api: &Api, endpoint: &mut Endpoint, wanted: &Settings) -> Result<(), Problem> {
    if let Some(url) = &wanted.url {
        let url = EndpointUrl::parse(url, api.url_policy)
            .map_err(|refused| invalid(format!("the URL is refused: {refused}"), "/url"))?;
        url.as_str().clone_into(&mut endpoint.url);
    }
    if let Some(description) = &wanted.description {
        if description.chars().count() > MAX_DESCRIPTION_CHARS {
            let detail = format!("\"description\" may have {MAX_DESCRIPTION_CHARS} characters");
            return Err(invalid(detail, "/description"));
        }
        endpoint.description.clone_from(description);
    }
    if let Some(patterns) = &wanted.event_types {
        if !(1..=MAX_PATTERNS).contains(&patterns.len()) {
            return Err(invalid(format!("there must be 1 to {MAX_PATTERNS} patterns"), "/event_types"));
        }
        let pattern = |(place, text): (usize, &String)| {
            Pattern::parse(text).map_err(|error| invalid(error.to_string(), &format!("/event_types/{place}")))
        };
        endpoint.event_types = patterns.iter().enumerate().map(pattern).collect::<Result<_, _>>()?;
    }
    if let Some(rate) = wanted.rate_per_second {
        if !(1..=MAX_RATE_PER_SECOND).contains(&rate) {
            let detail = format!("\"rate_per_second\" must be 1 to {MAX_RATE_PER_SECOND}");
            return Err(invalid(detail, "/rate_per_second"));
        }
        endpoint.rate_per_second = rate;
    }
    if let Some(name) = &wanted.signing {
        let names = Signing::ALL.map(Signing::as_str).join(", ");
        endpoint.signing = Signing::parse(name)
            .ok_or_else(|| invalid(format!("\"signing\" must be one of {names}"), "/signing"))?;
    }
    endpoint.is_paused = wanted.paused.unwrap_or(endpoint.is_paused);
    Ok(())
}

fn read_headers(wanted: &Settings) -> Result<Option<Headers>, Problem> {
    let parse = |headers: &BTreeMap<String, String>| Headers::parse(headers.clone());
    let parsed = wanted.headers.as_ref().map(parse).transpose();
    parsed.map_err(|(name, error)| {
        let pointer = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
        invalid(error.to_string(), &pointer)
    })
}

fn read_secret(text: &str) -> Result<Secret, Problem> {
    let detail = "a secret must be whsec_ and the base64 of 24 to 64 bytes";
    Secret::parse(text).ok_or_else(|| invalid(detail, "/secret"))
}

/// The private part of an endpoint.
pub(super) async fn open(api: &Api, tenant: &TenantId, endpoint: &Endpoint) -> PortResult<Private> {
    let failed = |reason: &str| Unavailable::new("opening an endpoint", reason);
    let key = api.vault.key(tenant).await?.ok_or_else(|| failed("its tenant has no data key"))?;
    Private::open(&key, tenant, &endpoint.id, &endpoint.sealed).map_err(|error| failed(&error.to_string()))
}

async fn seal(api: &Api, tenant: &TenantId, id: &EndpointId, private: &Private) -> PortResult<Sealed> {
    let key = api.vault.key_or_new(tenant).await?;
    let sealed = private.seal(&key, tenant, id, rand::random());
    sealed.map_err(|error| Unavailable::new("sealing an endpoint", error))
}

/// An endpoint as its owner is shown it: all but its secrets, and of its headers the names alone.
async fn shown(api: &Api, tenant: &TenantId, endpoint: &Endpoint) -> PortResult<Value> {
    let private = open(api, tenant, endpoint).await?;
    let parked = api.schedule.count_parked(tenant, &endpoint.id, MOST_COUNTED).await?;
    let now = api.clock.now();
    let overlap =
        private.secrets.previous.filter(|(_, until)| now < *until).map(|(_, until)| until.to_string());
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
        "pending": parked,
        "created_at": endpoint.created_at.to_string(),
    }))
}

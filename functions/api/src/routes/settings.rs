//! The settings of an endpoint in a request. Each member is checked.

use std::collections::BTreeMap;

use domain::endpoint::headers::Headers;
use domain::endpoint::own_hosts::OwnHosts;
use domain::endpoint::pattern::Pattern;
use domain::endpoint::secret::Secret;
use domain::endpoint::url::EndpointUrl;
use domain::endpoint::{DEFAULT_RATE_PER_SECOND, Endpoint, MAX_RATE_PER_SECOND, Signing};
use domain::problem::Problem;
use http::HeaderMap;
use http::header::HOST;
use serde::Deserialize;
use store::ports::Ports;
use store::webhook_sender::WebhookSender;

use crate::body::{Patch, check_plain, check_range, invalid, member};
use crate::deps::Api;

/// The largest number of patterns of one endpoint.
const MAX_PATTERNS: usize = 50;

const MAX_DESCRIPTION_CHARS: usize = 255;

/// The settings in a request. A missing member keeps its value; `null` sets it to its default, which a new endpoint has.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    #[serde(alias = "target_url")]
    pub(super) url: Patch<String>,
    description: Patch<String>,
    event_types: Patch<Vec<String>>,
    pub(super) headers: Patch<BTreeMap<String, Option<String>>>,
    pub(super) rate_per_second: Patch<u32>,
    signing: Patch<String>,
    paused: Patch<bool>,
    pub(super) handshake: Patch<bool>,
    pub(super) secret: Patch<String>,
}

impl Settings {
    /// Returns whether the request can need an ownership handshake.
    pub(super) const fn may_need_handshake(&self) -> bool {
        self.url.is_present() || self.handshake.is_present()
    }
}

/// Changes the members of the endpoint that the request has.
pub(super) fn configure(
    endpoint: &mut Endpoint,
    settings: &Settings,
    url: Option<&EndpointUrl>,
) -> Result<(), Problem> {
    if let Some(url) = url {
        url.as_str().clone_into(&mut endpoint.url);
    }
    match &settings.description {
        Patch::Absent => {}
        Patch::Reset => endpoint.description.clear(),
        Patch::Set(text) => endpoint.description = read_description(text)?,
    }
    match &settings.event_types {
        Patch::Absent => {}
        Patch::Reset => endpoint.event_types = vec![Pattern::any()],
        Patch::Set(texts) => endpoint.event_types = read_patterns(texts)?,
    }
    match settings.rate_per_second {
        Patch::Absent => {}
        Patch::Reset => endpoint.rate_per_second = DEFAULT_RATE_PER_SECOND,
        Patch::Set(rate) => {
            check_range(rate, 1..=MAX_RATE_PER_SECOND, "/rate_per_second")?;
            endpoint.rate_per_second = rate;
        }
    }
    match &settings.signing {
        Patch::Absent => {}
        Patch::Reset => endpoint.signing = Signing::default(),
        Patch::Set(name) => endpoint.signing = read_signing(name)?,
    }
    match settings.paused {
        Patch::Absent => {}
        Patch::Set(true) => endpoint.is_paused = true,
        Patch::Reset | Patch::Set(false) => resume(endpoint),
    }
    Ok(())
}

/// Ends the pause, and closes the circuit breaker: the owner says that the endpoint gets deliveries.
fn resume(endpoint: &mut Endpoint) {
    endpoint.is_paused = false;
    endpoint.health.close();
}

fn read_description(text: &str) -> Result<String, Problem> {
    if text.chars().count() > MAX_DESCRIPTION_CHARS {
        let rule = format!("must have at most {MAX_DESCRIPTION_CHARS} characters; shorten it");
        return Err(invalid(member("/description"), rule));
    }
    check_plain(text, "/description")?;
    Ok(text.to_owned())
}

fn read_patterns(texts: &[String]) -> Result<Vec<Pattern>, Problem> {
    if !(1..=MAX_PATTERNS).contains(&texts.len()) {
        let rule = format!("must have 1 to {MAX_PATTERNS} patterns; add or remove patterns");
        return Err(invalid(member("/event_types"), rule));
    }
    let mut patterns = Vec::with_capacity(texts.len());
    for (place, text) in texts.iter().enumerate() {
        let source = member(format!("/event_types/{place}"));
        patterns
            .push(Pattern::parse(text).map_err(|error| invalid(source, format!("is not valid: {error}")))?);
    }
    Ok(patterns)
}

fn read_signing(name: &str) -> Result<Signing, Problem> {
    let names = Signing::ALL.map(Signing::as_str).join(", ");
    Signing::parse(name)
        .ok_or_else(|| invalid(member("/signing"), format!("must be one of {names}; correct it")))
}

/// Reads a URL, and checks its form, that its host is not of this API, and the current addresses of its host.
pub(super) async fn read_url<P: Ports>(
    api: &Api<P>,
    headers: &HeaderMap,
    text: &str,
    pointer: &str,
) -> Result<EndpointUrl, Problem> {
    let url = EndpointUrl::parse(text, api.url_policy)
        .map_err(|refused| invalid(member(pointer), format!("is refused: {refused}")))?;
    if api.own_hosts.has(&url) || called_host(headers).has(&url) {
        let rule = "is refused: its host is that of this API; use the URL of your own receiver";
        return Err(invalid(member(pointer), rule));
    }
    if api.webhooks.check(&url).await.is_err() {
        let rule = "is refused: its host has an address that is not public; use a public host";
        return Err(invalid(member(pointer), rule));
    }
    Ok(url)
}

/// Returns the host to which the client sent this request.
fn called_host(headers: &HeaderMap) -> OwnHosts {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok());
    host.and_then(OwnHosts::parse).unwrap_or_default()
}

/// Returns the headers with the changes of the request: a name with a value is set, a name with `null` is removed, and
/// other headers stay (RFC 7396).
pub(super) fn change_headers(headers: &Headers, settings: &Settings) -> Result<Headers, Problem> {
    let changes = match &settings.headers {
        Patch::Absent => return Ok(headers.clone()),
        Patch::Reset => return Ok(Headers::default()),
        Patch::Set(changes) => changes,
    };
    let is_kept = |name: &str| !changes.keys().any(|changed| changed.eq_ignore_ascii_case(name));
    let kept = headers.iter().filter(|(name, _)| is_kept(name));
    let mut all: BTreeMap<String, String> =
        kept.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for (name, value) in changes {
        if let Some(value) = value {
            all.insert(name.clone(), value.clone());
        }
    }
    Headers::parse(all).map_err(|(name, error)| {
        let name = name.replace('~', "~0").replace('/', "~1"); // RFC 6901
        invalid(member(format!("/headers/{name}")), format!("is not valid: {error}"))
    })
}

/// Reads a secret that the owner chose.
pub(super) fn read_secret(text: &str) -> Result<Secret, Problem> {
    let rule = "must be whsec_ and the base64 form of 24 to 64 bytes; correct it or leave it out";
    let secret = Secret::parse(text).ok_or_else(|| invalid(member("/secret"), rule))?;
    if secret.is_guessable() {
        let rule =
            "must have random bytes: these repeat or count; draw others, or leave it out and get a secret";
        return Err(invalid(member("/secret"), rule));
    }
    Ok(secret)
}

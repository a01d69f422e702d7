//! The settings of an endpoint in a request. Each member is checked.

use std::collections::BTreeMap;

use domain::endpoint::headers::Headers;
use domain::endpoint::pattern::Pattern;
use domain::endpoint::secret::Secret;
use domain::endpoint::url::EndpointUrl;
use domain::endpoint::{Endpoint, MAX_RATE_PER_SECOND, Signing};
use domain::problem::Problem;
use serde::Deserialize;
use store::ports::Ports;
use store::webhook_sender::WebhookSender;

use crate::body::{check_range, invalid, member};
use crate::deps::Api;

/// The largest number of patterns of one endpoint.
const MAX_PATTERNS: usize = 50;

const MAX_DESCRIPTION_CHARS: usize = 255;

/// The settings in a request. A missing member keeps its value, or gets its default in a new endpoint.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    #[serde(alias = "target_url")]
    pub(super) url: Option<String>,
    description: Option<String>,
    event_types: Option<Vec<String>>,
    pub(super) headers: Option<BTreeMap<String, String>>,
    rate_per_second: Option<u32>,
    signing: Option<String>,
    paused: Option<bool>,
    pub(super) secret: Option<String>,
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
    if let Some(description) = &settings.description {
        if description.chars().count() > MAX_DESCRIPTION_CHARS {
            let rule = format!("must have at most {MAX_DESCRIPTION_CHARS} characters; shorten it");
            return Err(invalid(member("/description"), rule));
        }
        endpoint.description.clone_from(description);
    }
    if let Some(patterns) = &settings.event_types {
        endpoint.event_types = read_patterns(patterns)?;
    }
    if let Some(rate) = settings.rate_per_second {
        check_range(rate, 1..=MAX_RATE_PER_SECOND, "/rate_per_second")?;
        endpoint.rate_per_second = rate;
    }
    if let Some(name) = &settings.signing {
        endpoint.signing = read_signing(name)?;
    }
    if let Some(is_paused) = settings.paused {
        endpoint.is_paused = is_paused;
        if !is_paused {
            endpoint.health.open = None; // the owner says that the endpoint gets deliveries
        }
    }
    Ok(())
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

/// Reads a URL, and checks its form and the current addresses of its host.
pub(super) async fn read_url<P: Ports>(
    api: &Api<P>,
    text: &str,
    pointer: &str,
) -> Result<EndpointUrl, Problem> {
    let url = EndpointUrl::parse(text, api.url_policy)
        .map_err(|refused| invalid(member(pointer), format!("is refused: {refused}")))?;
    if api.webhooks.check(&url).await.is_err() {
        let rule = "is refused: its host has an address that is not public; use a public host";
        return Err(invalid(member(pointer), rule));
    }
    Ok(url)
}

/// Reads the headers, if the request has them.
pub(super) fn read_headers(settings: &Settings) -> Result<Option<Headers>, Problem> {
    let Some(headers) = &settings.headers else { return Ok(None) };
    Headers::parse(headers.clone()).map(Some).map_err(|(name, error)| {
        let name = name.replace('~', "~0").replace('/', "~1"); // RFC 6901
        invalid(member(format!("/headers/{name}")), format!("is not valid: {error}"))
    })
}

/// Reads a secret that the owner chose.
pub(super) fn read_secret(text: &str) -> Result<Secret, Problem> {
    let rule = "must be whsec_ and the base64 form of 24 to 64 bytes; correct it or leave it out";
    Secret::parse(text).ok_or_else(|| invalid(member("/secret"), rule))
}

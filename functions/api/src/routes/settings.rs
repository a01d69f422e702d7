//! What an owner says about an endpoint, checked member by member.

use std::collections::BTreeMap;

use domain::endpoint::headers::Headers;
use domain::endpoint::pattern::Pattern;
use domain::endpoint::secret::Secret;
use domain::endpoint::url::EndpointUrl;
use domain::endpoint::{Endpoint, MAX_RATE_PER_SECOND, Signing};
use domain::problem::Problem;
use serde::Deserialize;

use crate::body::invalid;
use crate::deps::Api;
use store::ports::Ports;
use store::webhook_sender::WebhookSender;

/// The most patterns of one endpoint.
const MAX_PATTERNS: usize = 50;

const MAX_DESCRIPTION_CHARS: usize = 255;

/// What an owner says about an endpoint; absent members stay as they are, or get their defaults.
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

/// Sets what its owner named.
pub(super) fn configure(
    endpoint: &mut Endpoint,
    wanted: &Settings,
    url: Option<&EndpointUrl>,
) -> Result<(), Problem> {
    if let Some(url) = url {
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

/// Checks a URL by its form and by the addresses that its name has now.
pub(super) async fn read_url<P: Ports>(
    api: &Api<P>,
    text: Option<&str>,
    pointer: &str,
) -> Result<Option<EndpointUrl>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let url = EndpointUrl::parse(text, api.url_policy)
        .map_err(|refused| invalid(format!("the URL is refused: {refused}"), pointer))?;
    match api.webhooks.check(&url).await {
        Ok(()) => Ok(Some(url)),
        Err(_) => {
            Err(invalid("the URL is refused: its name leads to an address that is not public", pointer))
        }
    }
}

/// The owner's headers, where they are named.
pub(super) fn read_headers(wanted: &Settings) -> Result<Option<Headers>, Problem> {
    let parse = |headers: &BTreeMap<String, String>| Headers::parse(headers.clone());
    let parsed = wanted.headers.as_ref().map(parse).transpose();
    parsed.map_err(|(name, error)| {
        let pointer = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
        invalid(error.to_string(), &pointer)
    })
}

/// A secret of the owner's own.
pub(super) fn read_secret(text: &str) -> Result<Secret, Problem> {
    let detail = "a secret must be whsec_ and the base64 of 24 to 64 bytes";
    Secret::parse(text).ok_or_else(|| invalid(detail, "/secret"))
}

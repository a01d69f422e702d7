//! The default endpoint of a tenant.

use axum::extract::State;
use domain::endpoint::headers::Headers;
use domain::endpoint::id::EndpointId;
use domain::endpoint::private::Private;
use domain::endpoint::secret::{Secret, Secrets};
use domain::endpoint::url::EndpointUrl;
use domain::endpoint::{Endpoint, EndpointState};
use domain::problem::Problem;
use domain::tenant::id::TenantId;
use http::{HeaderMap, StatusCode};
use runtime::answer;
use serde::Deserialize;
use serde_json::json;
use store::clock::Clock;
use store::control::endpoints::Added;
use store::items::Updated;
use store::ports::Ports;
use store::races::{Round, until_won};

use super::duplicates::{check_change, check_no_duplicate};
use super::endpoints::{new, too_many};
use super::handshake::{Handshake, Wanted};
use super::settings::{Settings, read_url};
use crate::body::Json;
use crate::caller::{ActiveCaller, Caller, EndpointsAdmin};
use crate::deps::{Api, ApiState};
use crate::failure::Outcome;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configure {
    webhook_url: String,
}

/// Answers `POST /api/webhook/config`: sets the URL of the default endpoint. Only the request that creates the endpoint
/// returns its signing secret.
pub(crate) async fn configure<P: Ports>(
    State(api): ApiState<P>,
    ActiveCaller(Caller { key: bearer, .. }): ActiveCaller<EndpointsAdmin>,
    headers: HeaderMap,
    Json(request): Json<Configure>,
) -> Outcome {
    let url = read_url(&api, &headers, &request.webhook_url, "/webhook_url").await?;
    let id = EndpointId::default_of(&bearer.tenant);
    let seen = api.control.endpoint(&bearer.tenant, &id).await?;
    let none = Settings::default();
    let wanted = Wanted { seen: seen.as_ref(), settings: &none, url: Some(&url), pointer: "/webhook_url" };
    let handshake = Handshake::perform(&api, &bearer, &headers, wanted).await?;
    let created = set_default(&api, &bearer.tenant, &url, &handshake).await?;
    let mut answer = json!({"success": true, "webhook_url": url.as_str()});
    if let Some(secret) = created {
        answer["secret"] = secret.expose().into();
    }
    Ok(answer::json(StatusCode::OK, &answer))
}

/// Sets the URL of the default endpoint and makes it active. If there is no default endpoint, creates it, and only in
/// that case returns its secret.
async fn set_default<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    url: &EndpointUrl,
    handshake: &Handshake,
) -> Result<Option<Secret>, Problem> {
    let id = EndpointId::default_of(tenant);
    let none = Settings::default();
    until_won("setting the default endpoint", || async {
        let url = url.as_str().to_owned();
        if let Some(seen) = api.control.endpoint(tenant, &id).await? {
            let mut next = Endpoint { url, state: EndpointState::Active, ..seen.clone() };
            handshake.apply(&none, Some(&seen), &mut next)?;
            check_change(api, tenant, &seen, &next).await?;
            return Ok(match api.control.change_endpoint(tenant, &seen, &next).await? {
                Updated::Done => Round::Ended(None),
                Updated::Raced => Round::Lost,
            });
        }
        let secret = Secret::generate(&mut rand::rng());
        let private = Private { secrets: Secrets::new(secret.clone()), headers: Headers::default() };
        let mut endpoint = Endpoint { url, ..new(api, tenant, id.clone(), &private, api.clock.now()).await? };
        handshake.apply(&none, None, &mut endpoint)?;
        check_no_duplicate(api, tenant, &endpoint).await?;
        match api.control.add_endpoint(tenant, &endpoint).await? {
            Added::Done => Ok(Round::Ended(Some(secret))),
            Added::Exists => Ok(Round::Lost),
            Added::TooMany => Err(too_many()),
            Added::Suspended => Err(Problem::suspended()),
        }
    })
    .await
}

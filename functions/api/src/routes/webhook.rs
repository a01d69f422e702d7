//! The default endpoint of a tenant.

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use runtime::answer;
use serde::Deserialize;
use serde_json::json;
use store::ports::Ports;

use super::endpoints::set_default;
use super::settings::read_url;
use crate::body::Json;
use crate::caller::{ActiveCaller, Caller, EndpointsAdmin};
use crate::deps::ApiState;
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
    let created = set_default(&api, &bearer.tenant, &url).await?;
    let mut answer = json!({"success": true, "webhook_url": url.as_str()});
    if let Some(secret) = created {
        answer["secret"] = secret.expose().into();
    }
    Ok(answer::json(StatusCode::OK, &answer))
}

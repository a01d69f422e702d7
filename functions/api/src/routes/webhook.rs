//! The tenant's default endpoint.

use axum::extract::State;
use http::StatusCode;
use runtime::answer;
use serde::Deserialize;
use serde_json::json;

use super::endpoints::set_default;
use super::settings::read_url;
use crate::body::Json;
use crate::body::invalid;
use crate::caller::{Caller, EndpointsAdmin};
use crate::deps::ApiState;
use crate::failure::Outcome;
use store::ports::Ports;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configure {
    webhook_url: String,
}

/// `POST /api/webhook/config`: where the tenant's events go. The signing secret is shown by the call that creates
/// the endpoint, and never again.
pub(crate) async fn configure<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<EndpointsAdmin>,
    Json(wanted): Json<Configure>,
) -> Outcome {
    let url = read_url(&api, Some(&wanted.webhook_url), "/webhook_url").await?;
    let url = url.ok_or_else(|| invalid("\"webhook_url\" is needed", "/webhook_url"))?;
    let created = set_default(&api, &bearer.tenant, &url).await?;
    let mut answer = json!({"success": true, "webhook_url": url.as_str()});
    if let Some(secret) = created {
        answer["secret"] = secret.expose().into();
    }
    Ok(answer::json(StatusCode::OK, &answer))
}

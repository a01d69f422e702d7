//! The tenant's default endpoint.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use domain::tenant::api_key::Scope;
use http::{HeaderMap, StatusCode};
use runtime::answer;
use serde::Deserialize;
use serde_json::json;
use store::ports::Clock;

use super::endpoints::set_default;
use super::settings::read_url;
use crate::body::{self, invalid};
use crate::deps::Api;
use crate::failure::Outcome;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configure {
    webhook_url: String,
}

/// `POST /api/webhook/config`: where the tenant's events go. The signing secret is shown by the call that creates
/// the endpoint, and never again.
pub(crate) async fn configure(State(api): State<Arc<Api>>, headers: HeaderMap, body: Body) -> Outcome {
    let now = api.clock.now();
    let (_, bearer) = api.authenticator.authenticate(&headers, Scope::EndpointsAdmin, now).await?;
    let wanted: Configure = body::json(&headers, body).await?;
    let url = read_url(&api, Some(&wanted.webhook_url), "/webhook_url").await?;
    let url = url.ok_or_else(|| invalid("\"webhook_url\" is needed", "/webhook_url"))?;
    let created = set_default(&api, &bearer.tenant, &url).await?;
    let mut answer = json!({"success": true, "webhook_url": url.as_str()});
    if let Some(secret) = created {
        answer["secret"] = secret.expose().into();
    }
    Ok(answer::json(StatusCode::OK, &answer))
}

//! What would become of an event, without an event: nothing is stored, and nothing is sent.

use axum::body::{self, Body};
use axum::extract::State;
use domain::delivery::gate::{Gate, gate};
use domain::delivery::webhook_request::WebhookRequest;
use domain::delivery::{Bypass, webhook_request};
use domain::endpoint::pattern::Pattern;
use domain::endpoint::url::EndpointUrl;
use domain::endpoint::{Endpoint, EndpointState};
use domain::event::id::EventId;
use domain::event::{Event, NewEvent};
use domain::inbox::Head;
use domain::problem::{Kind, Problem};
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use futures_util::future::try_join_all;
use http::{HeaderMap, StatusCode};
use runtime::answer;
use runtime::request::require_json;
use serde_json::{Map, Value, json};
use store::unavailable::PortResult;

use super::endpoints::open;
use crate::caller::{Caller, EndpointsAdmin};
use crate::deps::{Api, ApiState};
use crate::failure::Outcome;
use store::ports::Ports;

/// So much of an answer the bodies of requests may take; Lambda's own bound is 6 MB.
const MAX_BODIES_BYTES: usize = 4 * 1024 * 1024;

/// What stands in the place of a header that is its owner's secret.
const HIDDEN: &str = "(hidden)";

/// `POST /api/explain`: which endpoints an event would go to, and the signed request that each would get now.
pub(crate) async fn explain<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<EndpointsAdmin>,
    headers: HeaderMap,
    body: Body,
) -> Outcome {
    require_json(&headers)?;
    let body = body::to_bytes(body, usize::MAX).await; // Lambda has bounded it: an event says itself how large it may be
    let body = body.map_err(|_| Problem::new(Kind::Malformed, "the body could not be read"))?;
    let new = NewEvent::parse(&body)?;
    let event = new.into_event(
        EventId::generate(now, bearer.spread.write_at(now), &mut rand::rng()),
        bearer.tenant,
        bearer.tier,
    );
    let mut endpoints = api.control.endpoints(&event.tenant).await?;
    endpoints.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    let asked = Asked { head: Head::new(&event, []), event, now };
    let mut explained: Vec<Value> =
        try_join_all(endpoints.iter().map(|endpoint| asked.of(&api, endpoint))).await?;
    leave_out_repeated_bodies(&mut explained);
    let body = json!({"type": asked.event.event_type.as_str(), "endpoints": explained});
    Ok(answer::json(StatusCode::OK, &body))
}

/// An event that is asked about.
struct Asked {
    event: Event,
    head: Head,
    now: Timestamp,
}

impl Asked {
    /// What would become of it at one endpoint.
    async fn of<P: Ports>(&self, api: &Api<P>, endpoint: &Endpoint) -> PortResult<Value> {
        let pattern = endpoint.matching_pattern(&self.event.event_type);
        let (state, gate) = (state(endpoint), gate(endpoint, Bypass::None));
        let request = match gate {
            Gate::Open | Gate::Parked if pattern.is_some() => self.request(api, endpoint).await?,
            _ => None,
        };
        let would = match gate {
            _ if pattern.is_none() => "nothing",
            Gate::Open if request.is_some() => "send",
            Gate::Parked => "park",
            Gate::Open | Gate::Disabled => "fail",
        };
        Ok(json!({
            "endpoint_id": endpoint.id.as_str(),
            "url": endpoint.url,
            "matches": pattern.is_some(),
            "matched_pattern": pattern.map(Pattern::as_str),
            "state": state,
            "would": would,
            "request": request,
        }))
    }

    /// The request that the endpoint would get; `None` where its URL is no longer one that may be asked.
    async fn request<P: Ports>(&self, api: &Api<P>, endpoint: &Endpoint) -> PortResult<Option<Value>> {
        let Ok(url) = EndpointUrl::parse(&endpoint.url, api.url_policy) else { return Ok(None) };
        let tenant: &TenantId = &self.event.tenant;
        let private = open(api, tenant, endpoint).await?;
        let content = self.head.content(&self.event.payload);
        let request = webhook_request::request(url, endpoint, &private, &api.signing, content, self.now);
        let is_owners = |name: &str| private.headers.iter().any(|(owners, _)| owners == name);
        Ok(Some(shown(&request, is_owners)))
    }
}

fn state(endpoint: &Endpoint) -> &'static str {
    match endpoint.state {
        EndpointState::Disabled => "disabled",
        EndpointState::Active if endpoint.is_paused => "paused",
        EndpointState::Active if endpoint.health.open.is_some() => "open",
        EndpointState::Active => "active",
    }
}

/// A request as the owner is shown it. The owner's own headers often carry a credential: they are named only.
fn shown(request: &WebhookRequest, is_secret: impl Fn(&str) -> bool) -> Value {
    let value = |name: &str, value: &str| if is_secret(name) { HIDDEN.into() } else { value.into() };
    let headers = request.headers.iter().map(|(name, text)| (name.clone(), value(name, text)));
    let headers: Map<String, Value> = headers.collect();
    let body = String::from_utf8_lossy(&request.body);
    json!({"method": "POST", "url": request.url.as_str(), "headers": headers, "body": body})
}

/// The body is the same in every request. Where not all of them fit into one answer, it stands in the first requests only, and is
/// null in the others.
fn leave_out_repeated_bodies(explained: &mut [Value]) {
    let mut bytes = 0;
    for endpoint in explained {
        let Some(body) = endpoint["request"].get_mut("body") else { continue };
        let written = body.as_str().map_or(0, written_bytes);
        if bytes > 0 && bytes + written > MAX_BODIES_BYTES {
            *body = Value::Null;
        } else {
            bytes += written;
        }
    }
}

/// What a text takes of Lambda's bound: it is a JSON string within a JSON string, so each quote and each backslash becomes
/// four characters, each end of a line and each tab three.
fn written_bytes(text: &str) -> usize {
    let more = |byte| match byte {
        b'"' | b'\\' => 3,
        b'\n' | b'\r' | b'\t' => 2,
        _ => 0,
    };
    text.len() + text.bytes().map(more).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_body_stands_in_as_many_requests_as_an_answer_takes() {
        let explained = |body: &str, endpoints: usize| {
            let one = json!({"request": {"body": body}});
            let mut explained = vec![json!({"request": null})];
            explained.resize(endpoints + 1, one);
            leave_out_repeated_bodies(&mut explained);
            explained.iter().filter(|one| one["request"]["body"].is_string()).count()
        };
        assert_eq!(explained("{}", 50), 50);
        assert_eq!(explained(&"x".repeat(256 * 1024), 50), 16);
        let answer = json!({"body": "\"\\".repeat(1000)}).to_string();
        let within_lambdas = json!(answer).to_string();
        assert!(within_lambdas.len() - written_bytes(&"\"\\".repeat(1000)) < 50);
        assert_eq!(explained(&"\"".repeat(256 * 1024), 50), 4);
        assert_eq!(explained(&"\n".repeat(256 * 1024), 50), 5);
    }
}

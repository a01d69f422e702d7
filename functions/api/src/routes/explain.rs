//! Explains which endpoints would get an event. The event is not stored and not sent.

use axum::body::{self, Body};
use axum::extract::State;
use domain::delivery::gate::{Gate, gate};
use domain::delivery::webhook_request::{AttemptOf, WebhookRequest};
use domain::delivery::{Bypass, webhook_request};
use domain::endpoint::pattern::Pattern;
use domain::endpoint::{Endpoint, EndpointState};
use domain::event::id::EventId;
use domain::event::json::without_mark;
use domain::event::{Event, MAX_BODY_BYTES, NewEvent};
use domain::inbox::{Head, notice, notice_type};
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::Scope;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use futures_util::future::try_join_all;
use http::{HeaderMap, StatusCode};
use runtime::answer;
use runtime::encoding;
use runtime::request::require_json;
use serde_json::{Map, Value, json};
use store::events::budget::ResponseBudget;
use store::ports::Ports;
use store::unavailable::PortResult;

use super::endpoints::{oldest_first, open};
use crate::caller::{Caller, EndpointsAdmin};
use crate::deps::{Api, ApiState};
use crate::failure::Outcome;

/// The header with which a request could be sent to the endpoint as if this API had sent it.
const SIGNATURE: &str = "webhook-signature";

/// The text in place of the value of a secret header.
const HIDDEN: &str = "(hidden)";

/// Answers `POST /api/explain`: which endpoints would get the event, or the notice if it has the type of one, and the request that each would get now. Its signature is
/// shown only to a key that can post events, because it makes the receiver take the event as accepted.
pub(crate) async fn explain<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<EndpointsAdmin>,
    headers: HeaderMap,
    body: Body,
) -> Outcome {
    require_json(&headers)?;
    let bytes = body::to_bytes(body, usize::MAX) // Lambda limits the request, and `NewEvent::parse` the event
        .await
        .map_err(|_| Problem::new(Kind::Malformed, "the body cannot be read; send the request again"))?;
    let id = EventId::generate(now, bearer.spread.write_at(now), &mut rand::rng());
    let bytes = encoding::decode(&headers, &bytes, MAX_BODY_BYTES)?;
    let hidden: &[&str] = if bearer.allows(Scope::EventsWrite) { &[] } else { &[SIGNATURE] };
    let event = NewEvent::parse(without_mark(&bytes))?.into_event(id, bearer.tenant, bearer.tier);
    let endpoints = oldest_first(&api, &event.tenant).await?;
    let is_notice = notice_type::is_notice(&event.event_type);
    let candidate = Candidate { head: Head::new(&event, []), event, is_notice, now };
    let explanations = endpoints.iter().map(|endpoint| candidate.explain(&api, endpoint));
    let mut explanations: Vec<Value> = try_join_all(explanations).await?;
    leave_out_headers(&mut explanations, hidden);
    leave_out_repeated_bodies(&mut explanations);
    let body = json!({
        "type": candidate.event.event_type.as_str(),
        "notice": is_notice,
        "hidden_headers": hidden,
        "endpoints": explanations,
    });
    Ok(answer::json(StatusCode::OK, &body))
}

/// The event to explain.
struct Candidate {
    event: Event,
    head: Head,
    /// Whether the type is that of a notice. Then the notice is explained.
    is_notice: bool,
    now: Timestamp,
}

impl Candidate {
    /// Explains what one endpoint would get.
    async fn explain<P: Ports>(&self, api: &Api<P>, endpoint: &Endpoint) -> PortResult<Value> {
        let event_type = &self.event.event_type;
        let pattern = if self.is_notice {
            notice::pattern_of_recipient(endpoint, event_type)
        } else {
            endpoint.matching_pattern(event_type)
        };
        let gate = gate(endpoint, Bypass::None);
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
            "state": state(endpoint),
            "would": would,
            "request": request,
        }))
    }

    /// Returns the request that the endpoint would get; `None` if its URL is no longer allowed, or leads to this API.
    async fn request<P: Ports>(&self, api: &Api<P>, endpoint: &Endpoint) -> PortResult<Option<Value>> {
        let url = api.own_hosts.url_elsewhere(&endpoint.url, api.url_policy);
        let Some(url) = url else { return Ok(None) };
        let tenant: &TenantId = &self.event.tenant;
        let private = open(api, tenant, endpoint).await?;
        let content = self.head.content(&self.event.payload);
        let request = webhook_request::request(
            url,
            endpoint,
            &private,
            &api.signing,
            content,
            AttemptOf::FIRST,
            self.now,
        );
        let is_secret = |name: &str| private.headers.iter().any(|(secret, _)| secret == name);
        Ok(Some(to_json(&request, is_secret)))
    }
}

/// Returns the state of an endpoint as the response names it.
fn state(endpoint: &Endpoint) -> &'static str {
    match endpoint.state {
        EndpointState::Disabled => "disabled",
        EndpointState::Active if endpoint.is_paused => "paused",
        EndpointState::Active if endpoint.health.open.is_some() => "open",
        EndpointState::Active => "active",
    }
}

/// Returns a request as JSON. The values of the owner's headers are hidden, because they are often credentials.
fn to_json(request: &WebhookRequest, is_secret: impl Fn(&str) -> bool) -> Value {
    let mut headers = Map::new();
    for (name, value) in &request.headers {
        let value = if is_secret(name) { HIDDEN } else { value };
        headers.insert(name.clone(), value.into());
    }
    let body = String::from_utf8_lossy(&request.body);
    json!({"method": "POST", "url": request.url.as_str(), "headers": headers, "body": body})
}

/// Removes these headers from all requests.
fn leave_out_headers(explanations: &mut [Value], names: &[&str]) {
    for endpoint in explanations {
        let headers = endpoint["request"].get_mut("headers").and_then(Value::as_object_mut);
        if let Some(headers) = headers {
            headers.retain(|name, _| !names.contains(&name.as_str()));
        }
    }
}

/// Keeps the body in the first requests, as many as fit into the response, and sets it to null in the others. The body
/// is the same in all requests.
fn leave_out_repeated_bodies(explanations: &mut [Value]) {
    let mut budget = ResponseBudget::default();
    for endpoint in explanations {
        let Some(body) = endpoint["request"].get_mut("body") else { continue };
        if !budget.takes_json(&body.to_string()) {
            *body = Value::Null;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_body_is_in_as_many_requests_as_fit_into_the_response() {
        let explained = |body: &str, endpoints: usize| {
            let one = json!({"request": {"body": body}});
            let mut explained = vec![json!({"request": null})];
            explained.resize(endpoints + 1, one);
            leave_out_repeated_bodies(&mut explained);
            explained.iter().filter(|one| one["request"]["body"].is_string()).count()
        };
        assert_eq!(explained("{}", 50), 50);
        assert_eq!(explained(&"x".repeat(256 * 1024), 50), 15);
        assert_eq!(explained(&"\"".repeat(256 * 1024), 50), 3);
        assert_eq!(explained(&"\n".repeat(256 * 1024), 50), 5);
        assert_eq!(explained(&"\u{1}".repeat(256 * 1024), 50), 2);
    }
}

//! What is tried at an endpoint: a test by its owner's hand, the log of attempts, and samples of what it gets.

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use domain::delivery::verdict::failure::Failure;
use domain::delivery::verdict::{Answer, Verdict};
use domain::delivery::{ORIGINAL_RUN, webhook_request};
use domain::endpoint::url::EndpointUrl;
use domain::event::Event;
use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::inbox::Head;
use domain::problem::{Kind, Problem};
use http::StatusCode;
use runtime::answer;
use serde_json::{Value, json};
use store::clock::Clock;
use store::events::attempt_item::LoggedAttempt;
use store::webhook_sender::WebhookSender;

use super::endpoints::{found, open};
use crate::body::{query_limit, query_value};
use crate::caller::{Caller, EndpointsAdmin};
use crate::cursor;
use crate::deps::ApiState;
use crate::failure::Outcome;
use store::ports::Ports;

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;

/// So many events are a sample.
const SAMPLES: usize = 3;

/// The type of the event that a test sends.
const TEST_TYPE: &str = "endpoint.test";

/// `POST /api/endpoints/{id}/test`: sends one signed event that is stored nowhere, now, and tells what came of it.
pub(crate) async fn test<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<EndpointsAdmin>,
    Path(id): Path<String>,
    _: Body,
) -> Outcome {
    let endpoint = found(&api, &bearer.tenant, &id).await?;
    let private = open(&api, &bearer.tenant, &endpoint).await?;
    let event = Event {
        id: EventId::generate(now, 1, &mut rand::rng()),
        tenant: bearer.tenant.clone(),
        tier: bearer.tier,
        event_type: EventType::parse(TEST_TYPE)?,
        payload: json!({"test": true, "endpoint_id": endpoint.id.as_str()}).to_string(),
        dedup_id: None,
    };
    let head = Head::new(&event, []);
    let answer = match EndpointUrl::parse(&endpoint.url, api.url_policy) {
        Err(_) => Answer::None(Failure::Refused),
        Ok(url) => {
            let content = head.content(&event.payload);
            let request = webhook_request::request(url, &endpoint, &private, &api.signing, content, now);
            api.webhooks.post(&request, now).await
        }
    };
    let ended = api.clock.now();
    let verdict = Verdict::on(&answer, 1, ended, &mut rand::rng());
    let (status, error, excerpt) = match &answer {
        Answer::Status { code, excerpt, .. } => (Some(code), None, Some(excerpt)),
        Answer::None(failure) => (None, Some(failure.as_str()), None),
    };
    let attempt = json!({
        "event_id": event.id.to_string(),
        "at": now.to_string(),
        "duration_ms": ended.millis_since(now),
        "status": status,
        "verdict": verdict.as_str(),
        "error": error,
        "answer": excerpt,
    });
    Ok(answer::json(StatusCode::OK, &attempt))
}

/// `GET /api/endpoints/{id}/attempts`: the newest first. A success at the first attempt stands in its event alone.
pub(crate) async fn list<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<EndpointsAdmin>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let endpoint = found(&api, &bearer.tenant, &id).await?;
    let limit = query_limit(query.as_deref(), DEFAULT_LIMIT, MAX_LIMIT)?;
    let (peppers, filter) = (api.authenticator.peppers(), format!("attempts {}", endpoint.id));
    let after = query_value(query.as_deref(), "cursor")
        .map(|text| cursor::read(peppers, &bearer.tenant, &filter, &text))
        .transpose()?;
    let page = api.events.attempts(&bearer.tenant, &endpoint.id, after.as_deref(), limit).await?;
    let next = page.next.map(|place| cursor::write(peppers.current(), &bearer.tenant, &filter, &place));
    let attempts: Vec<Value> = page.attempts.iter().map(shown).collect();
    Ok(answer::json(StatusCode::OK, &json!({"attempts": attempts, "next_cursor": next})))
}

/// `GET /api/endpoints/{id}/sample`: recent events that it wants, as the bodies of its requests, the newest first.
pub(crate) async fn sample<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<EndpointsAdmin>,
    Path(id): Path<String>,
) -> Outcome {
    let endpoint = found(&api, &bearer.tenant, &id).await?;
    let shards = bearer.spread.read();
    let wanted = |head: &Head| endpoint.matches(&head.event_type) && !head.is_expired_or_deleted(now);
    let recent = api.events.recent(&bearer.tenant, shards, wanted, SAMPLES).await?;
    let bodies: Vec<String> = recent.iter().map(|(head, payload)| head.content(payload).body()).collect();
    Ok(answer::typed(StatusCode::OK, "application/json", format!("[{}]", bodies.join(","))))
}

/// `GET /.well-known/webhook-keys?endpoint_id=`: with which public keys an endpoint's `v1a` signatures are checked.
pub(crate) async fn public_keys<P: Ports>(State(api): ApiState<P>, RawQuery(query): RawQuery) -> Outcome {
    let id = query_value(query.as_deref(), "endpoint_id");
    let id = id.and_then(|text| domain::endpoint::id::EndpointId::parse(&text));
    let detail = "name the endpoint: each has keys of its own, at ?endpoint_id=ep_...";
    let id = id.ok_or_else(|| Problem::new(Kind::Invalid, detail).at("/endpoint_id"))?;
    Ok(answer::json(StatusCode::OK, &api.signing.keys_of(&id).key_set()))
}

/// An attempt as its endpoint's log, its event and the export show it.
pub(crate) fn shown(attempt: &LoggedAttempt) -> Value {
    json!({
        "event_id": attempt.event.to_string(),
        "endpoint_id": attempt.endpoint.as_str(),
        "replay_id": replay_of(&attempt.generation),
        "n": attempt.n,
        "probe": attempt.is_probe,
        "at": attempt.at.to_string(),
        "duration_ms": attempt.duration_ms,
        "status": attempt.code,
        "verdict": attempt.verdict,
        "error": attempt.error,
        "answer": attempt.answer,
    })
}

/// The replay that a delivery or an attempt belongs to; none for the original run.
pub(crate) fn replay_of(generation: &str) -> Option<&str> {
    (generation != ORIGINAL_RUN).then_some(generation)
}

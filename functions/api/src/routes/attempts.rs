//! The attempts of an endpoint: test attempts, the log of attempts, sample events, and the public keys of its
//! signatures.

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use domain::delivery::line::Line;
use domain::delivery::verdict::failure::Failure;
use domain::delivery::verdict::{Answer, Verdict};
use domain::delivery::webhook_request::{self, AttemptOf};
use domain::endpoint::health::window::Window;
use domain::endpoint::id::EndpointId;
use domain::endpoint::private::Private;
use domain::endpoint::{Endpoint, EndpointState};
use domain::event::Event;
use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::inbox::Head;
use domain::inbox::notice::is_sample;
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::Scope;
use domain::tenant::id::TenantId;
use domain::tenant::tier::Tier;
use domain::timestamp::Timestamp;
use http::StatusCode;
use runtime::answer;
use serde_json::{Value, json};
use store::authentication::require;
use store::clock::Clock;
use store::events::attempt_item::LoggedAttempt;
use store::items::Updated;
use store::ports::Ports;
use store::races::{Round, until_won};
use store::unavailable::PortResult;
use store::webhook_sender::WebhookSender;
use tokio::time::timeout;

use super::endpoints::{find, open};
use super::turn;
use crate::body::{invalid, parameter};
use crate::caller::{ActiveCaller, Caller, EndpointsAdmin};
use crate::cursor::Cursors;
use crate::deps::{Api, ApiState};
use crate::failure::Outcome;
use crate::query::{query_limit, query_value};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;

/// The number of events in a sample.
const SAMPLES: usize = 3;

/// The type of the event that a test sends.
const TEST_TYPE: &str = "endpoint.test";

/// Answers `POST /api/endpoints/{id}/test`: sends one signed test event now, and returns the attempt. The event is not
/// stored. A success closes an open circuit breaker. An endpoint that is paused or disabled gets no test.
pub(crate) async fn test<P: Ports>(
    State(api): ApiState<P>,
    ActiveCaller(Caller { key: bearer, now, .. }): ActiveCaller<EndpointsAdmin>,
    Path(id): Path<String>,
    _: Body,
) -> Outcome {
    let endpoint = find(&api, &bearer.tenant, &id).await?;
    check_active(&endpoint)?;
    let private = open(&api, &bearer.tenant, &endpoint).await?;
    let event = Event {
        id: EventId::generate(now, 1, &mut rand::rng()),
        tenant: bearer.tenant.clone(),
        tier: bearer.tier,
        event_type: EventType::parse(TEST_TYPE)?,
        payload: json!({"test": true, "endpoint_id": endpoint.id.as_str()}).to_string(),
        dedup_id: None,
        trace: None,
    };
    let answer = turn::take(&api, &bearer.tenant, async {
        count_delivery(&api, &bearer.tenant, bearer.tier, &endpoint).await?;
        Ok(send_test(&api, &endpoint, &private, &event, now).await)
    })
    .await?;
    let ended_at = api.clock.now();
    let attempt = test_attempt(event.id, &answer, now, ended_at);
    if matches!(answer, Answer::Status { code: 200..=299, .. }) {
        close_breaker(&api, &bearer.tenant, &endpoint, ended_at).await?;
    }
    Ok(answer::json(StatusCode::OK, &attempt))
}

/// Checks that an endpoint may be tested.
///
/// # Errors
/// 409 for an endpoint that is disabled or paused.
fn check_active(endpoint: &Endpoint) -> Result<(), Problem> {
    let detail = match endpoint.state {
        EndpointState::Disabled => {
            "the endpoint is disabled and gets no requests; enable it with `POST /api/endpoints/{id}/enable`, then test it"
        }
        EndpointState::Active if endpoint.is_paused => {
            "the endpoint is paused and gets no requests; resume it with `PATCH /api/endpoints/{id}` and `\"paused\": false`, then test it"
        }
        EndpointState::Active => return Ok(()),
    };
    Err(Problem::new(Kind::EndpointInactive, detail))
}

/// Counts a test as a delivery: in the rate of its endpoint, and in the allowance of its tenant.
///
/// # Errors
/// 429 if one of them allows no request now, 503 if the table does not answer.
async fn count_delivery<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    tier: Tier,
    endpoint: &Endpoint,
) -> Result<(), Problem> {
    turn::count_in_allowance(api, tenant, tier).await?;
    let now = api.clock.now();
    let latest = now.millis().saturating_mul(1000);
    // While the circuit breaker is open, times may be reserved for deliveries that are parked by now.
    let of_endpoint = endpoint.full_pace().span(1, now);
    let line = Line::Endpoint(&endpoint.id);
    if endpoint.health.open.is_none() && !api.limits.reserve_before(tenant, line, of_endpoint, latest).await?
    {
        return Err(turn::not_now("the rate of the endpoint is used up"));
    }
    Ok(())
}

/// Sends the event of a test, and waits at most [`turn::REQUEST_TIME`] for the answer.
async fn send_test<P: Ports>(
    api: &Api<P>,
    endpoint: &Endpoint,
    private: &Private,
    event: &Event,
    now: Timestamp,
) -> Answer {
    let Some(url) = api.own_hosts.url_elsewhere(&endpoint.url, api.url_policy) else {
        return Answer::None(Failure::Refused);
    };
    let head = Head::new(event, []);
    let content = head.content(&event.payload);
    let request =
        webhook_request::request(url, endpoint, private, &api.signing, content, AttemptOf::FIRST, now);
    let answer = timeout(turn::REQUEST_TIME, api.webhooks.post(&request, now)).await;
    answer.unwrap_or(Answer::None(Failure::TimedOut))
}

/// Closes the circuit breaker of an endpoint that answered a test with success, if the breaker is still open and the
/// endpoint still has the URL that was tested.
async fn close_breaker<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    tested: &Endpoint,
    now: Timestamp,
) -> PortResult<()> {
    if tested.health.is_closed() {
        return Ok(());
    }
    until_won("closing a circuit breaker", || async {
        let current = api.control.endpoint(tenant, &tested.id).await?;
        let current = current.filter(|current| current.url == tested.url && !current.health.is_closed());
        let closed =
            current.and_then(|seen| Some((seen.health.after_success(&Window::default(), now)?, seen)));
        let Some((change, seen)) = closed else { return Ok(Round::Ended(())) };
        Ok(match api.control.change_health(tenant, &seen, &change).await? {
            Updated::Done => Round::Ended(()),
            Updated::Raced => Round::Lost,
        })
    })
    .await
}

/// Returns the attempt of a test as JSON.
fn test_attempt(event: EventId, answer: &Answer, started_at: Timestamp, ended_at: Timestamp) -> Value {
    let (status, error, excerpt) = match answer {
        Answer::Status { code, excerpt, .. } => (Some(code), None, Some(excerpt)),
        Answer::None(failure) => (None, Some(failure.as_str()), None),
    };
    json!({
        "event_id": event.to_string(),
        "at": started_at.to_string(),
        "duration_ms": ended_at.millis_since(started_at),
        "status": status,
        "verdict": Verdict::on(answer, 1, None, ended_at, &mut rand::rng()).kind().as_str(),
        "error": error,
        "answer": excerpt,
    })
}

/// Answers `GET /api/endpoints/{id}/attempts`: a page of logged attempts, newest first. A first attempt that succeeds
/// is not logged; `GET /api/events/{id}` returns it.
pub(crate) async fn list<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<EndpointsAdmin>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let endpoint = find(&api, &bearer.tenant, &id).await?;
    let limit = query_limit(query.as_deref(), DEFAULT_LIMIT, MAX_LIMIT)?;
    let cursors = Cursors {
        peppers: api.authenticator.peppers(),
        tenant: Some(&bearer.tenant),
        filter: format!("attempts {}", endpoint.id),
    };
    let after = cursors.read(query.as_deref())?;
    let page = api.events.attempts(&bearer.tenant, &endpoint.id, after.as_deref(), limit).await?;
    let next = page.next.map(|place| cursors.write(&place));
    let attempts: Vec<Value> = page.attempts.iter().map(to_json).collect();
    Ok(answer::json(StatusCode::OK, &json!({"attempts": attempts, "next_cursor": next})))
}

/// Answers `GET /api/endpoints/{id}/sample`: recent events that the endpoint gets, as the bodies of its requests,
/// newest first. Shows payloads, so the key must also have the scope `inbox:read`.
pub(crate) async fn sample<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<EndpointsAdmin>,
    Path(id): Path<String>,
) -> Outcome {
    require(Scope::InboxRead, &bearer)?;
    let endpoint = find(&api, &bearer.tenant, &id).await?;
    let shards = bearer.spread.read();
    let wanted = |head: &Head| is_sample(&endpoint, head) && !head.is_expired_or_deleted(now);
    let recent = api.events.recent(&bearer.tenant, shards, wanted, SAMPLES).await?;
    let bodies: Vec<String> = recent.iter().map(|(head, payload)| head.content(payload).body()).collect();
    Ok(answer::typed(StatusCode::OK, "application/json", format!("[{}]", bodies.join(","))))
}

/// Answers `GET /.well-known/webhook-keys?endpoint_id=`: the public keys that verify the `v1a` signatures of an
/// endpoint.
pub(crate) async fn public_keys<P: Ports>(State(api): ApiState<P>, RawQuery(query): RawQuery) -> Outcome {
    let text = query_value(query.as_deref(), "endpoint_id");
    let rule = "must be the id of an endpoint (ep_...), because each endpoint has its own keys; add it or correct it";
    let id = text
        .and_then(|text| EndpointId::parse(&text))
        .ok_or_else(|| invalid(parameter("endpoint_id"), rule))?;
    Ok(answer::json(StatusCode::OK, &api.signing.keys_of(&id).key_set()))
}

/// Returns a logged attempt as JSON.
pub(crate) fn to_json(attempt: &LoggedAttempt) -> Value {
    json!({
        "event_id": attempt.event.to_string(),
        "endpoint_id": attempt.endpoint.as_str(),
        "replay_id": attempt.run.replay_id(),
        "n": attempt.n,
        "probe": attempt.is_probe,
        "at": attempt.at.to_string(),
        "duration_ms": attempt.duration_ms,
        "status": attempt.code,
        "verdict": attempt.verdict.as_str(),
        "error": attempt.error,
        "answer": attempt.answer,
    })
}

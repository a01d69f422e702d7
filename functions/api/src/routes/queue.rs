//! The inbox as a queue: lease events, acknowledge them, release them, and extend a lease.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::State;
use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::event::json::pointer::shortened;
use domain::inbox::lease::{LeaseId, LeaseTerms};
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::KeyRecord;
use domain::timestamp::Timestamp;
use http::StatusCode;
use runtime::answer;
use serde::Deserialize;
use serde_json::{Value, json};
use store::ports::Ports;

use super::inbox::{read_type, to_json_with};
use crate::body::{Json, OptionalJson, check_range, invalid, member};
use crate::caller::{Caller, InboxAck};
use crate::deps::{Api, ApiState};
use crate::failure::Outcome;
use crate::leasing::{self, Act, Ended};

/// The longest duration of a lease.
const MAX_LEASE_SECONDS: u64 = 3600;

/// The largest number of events in one request.
const MAX_EVENTS: usize = 100;

/// The largest number of types in the filter of a lease.
const MAX_TYPES: usize = 20;

/// The longest delay of a released event: 12 hours.
const MAX_DELAY_SECONDS: u64 = 12 * 3600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Lease {
    #[serde(rename = "lease_seconds")]
    seconds: u64,
    #[serde(rename = "lease_limit")]
    limit: usize,
    types: Vec<String>,
    include_open: bool,
}

impl Default for Lease {
    fn default() -> Self {
        Self { seconds: 300, limit: 10, types: Vec::new(), include_open: false }
    }
}

/// Answers `POST /api/inbox/lease`: leases the oldest free events. Other clients cannot lease them until the lease
/// ends.
pub(crate) async fn lease<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxAck>,
    OptionalJson(request): OptionalJson<Lease>,
) -> Outcome {
    check_range(request.seconds, 1..=MAX_LEASE_SECONDS, "/lease_seconds")?;
    check_range(request.limit, 1..=MAX_EVENTS, "/lease_limit")?;
    let types = read_types(&request.types)?;
    let terms = LeaseTerms {
        holder: LeaseId::generate(&mut rand::rng()),
        until: now.after(Duration::from_secs(request.seconds)),
        include_open: request.include_open,
        max_leases: api.max_leases,
    };
    let events = leasing::lease(&api, &bearer, &terms, types, request.limit, now).await?;
    let mut results = Vec::with_capacity(events.len());
    for (head, payload) in &events {
        results.push(to_json_with(head, payload, &[("lease_count", json!(head.lease_count))]));
    }
    let is_leased = !results.is_empty();
    let lease_id = json!(is_leased.then_some(terms.holder.as_str()));
    let until = json!(is_leased.then(|| terms.until.to_string()));
    let results = results.join(",");
    let body = format!(r#"{{"lease_id":{lease_id},"leased_until":{until},"results":[{results}]}}"#);
    Ok(answer::typed(StatusCode::OK, "application/json", body))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acknowledge {
    lease_id: Option<String>,
    event_ids: Option<Vec<String>>,
}

/// Answers `POST /api/inbox/ack`: acknowledges the events of a lease, or events by their ids, and ends their open
/// deliveries.
pub(crate) async fn acknowledge<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxAck>,
    Json(request): Json<Acknowledge>,
) -> Outcome {
    let Named { ids, malformed } = read_event_ids(request.event_ids.as_deref())?;
    let (act, ended) = match (request.lease_id, ids) {
        (None, None) => {
            return Err(invalid(member("/lease_id"), "is missing; send it or `/event_ids`").into());
        }
        (None, Some(ids)) => {
            let act = Act::Acknowledge;
            let ended = leasing::act(&api, &bearer.tenant, &act, &ids, now).await?;
            (act, ended)
        }
        (Some(lease), ids) => {
            let lease = read_lease_id(&lease)?;
            let act = Act::AcknowledgeAs(lease.clone());
            let ended = under_lease(&api, &bearer, &lease, ids, now, &act).await?;
            (act, ended)
        }
    };
    Ok(answer::json(StatusCode::OK, &outcome("acked", &act, &ended, &malformed)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    lease_id: Option<String>,
    event_ids: Option<Vec<String>>,
    #[serde(default)]
    delay_seconds: u64,
}

/// Answers `POST /api/inbox/release`: ends the lease of events; without a lease id, ends the
/// quarantine of events. In both cases the events can be leased again after `delay_seconds`.
pub(crate) async fn release<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxAck>,
    Json(request): Json<Release>,
) -> Outcome {
    let Named { ids, malformed } = read_event_ids(request.event_ids.as_deref())?;
    check_range(request.delay_seconds, 0..=MAX_DELAY_SECONDS, "/delay_seconds")?;
    let delay = Duration::from_secs(request.delay_seconds);
    let (act, ended) = match (request.lease_id, ids) {
        (None, None) => {
            let rule = "is missing; send it, or `/event_ids` of quarantined events";
            return Err(invalid(member("/lease_id"), rule).into());
        }
        (None, Some(ids)) => {
            let act = Act::ReleaseFromQuarantine(delay);
            let ended = leasing::act(&api, &bearer.tenant, &act, &ids, now).await?;
            (act, ended)
        }
        (Some(lease), ids) => {
            let lease = read_lease_id(&lease)?;
            let act = Act::Release(lease.clone(), delay);
            let ended = under_lease(&api, &bearer, &lease, ids, now, &act).await?;
            (act, ended)
        }
    };
    Ok(answer::json(StatusCode::OK, &outcome("released", &act, &ended, &malformed)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extend {
    lease_id: String,
    lease_seconds: u64,
}

/// Answers `POST /api/inbox/extend`: sets a new end for a lease, counted from now.
pub(crate) async fn extend<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxAck>,
    Json(request): Json<Extend>,
) -> Outcome {
    check_range(request.lease_seconds, 1..=MAX_LEASE_SECONDS, "/lease_seconds")?;
    let until = now.after(Duration::from_secs(request.lease_seconds));
    let lease = read_lease_id(&request.lease_id)?;
    let act = Act::Extend(lease.clone(), until);
    let ended = under_lease(&api, &bearer, &lease, None, now, &act).await?;
    let leased: Vec<EventId> = ended.iter().map(|(id, _)| *id).collect();
    // The list of the events must be stored as long as the lease holds them.
    api.events.record_lease(&bearer.tenant, &lease, &leased, until).await?;
    let mut answer = outcome("extended", &act, &ended, &[]);
    answer["leased_until"] = until.to_string().into();
    Ok(answer::json(StatusCode::OK, &answer))
}

/// Acts on the named events of a lease, or on all its events.
///
/// # Errors
/// 409 if the lease holds none of them. All reasons get the same answer.
async fn under_lease<P: Ports>(
    api: &Api<P>,
    bearer: &KeyRecord,
    lease: &LeaseId,
    ids: Option<Vec<EventId>>,
    now: Timestamp,
    act: &Act,
) -> Result<Vec<(EventId, Ended)>, Problem> {
    let leased = match ids {
        Some(ids) => ids,
        None => api.events.events_of_lease(&bearer.tenant, lease).await?,
    };
    let ended = leasing::act(api, &bearer.tenant, act, &leased, now).await?;
    if ended.iter().any(|(_, ended)| ended.is_ok()) { Ok(ended) } else { Err(lease_lost()) }
}

/// Reads a lease id. A malformed id gets the same answer as an unknown or expired lease.
fn read_lease_id(text: &str) -> Result<LeaseId, Problem> {
    LeaseId::parse(text).ok_or_else(lease_lost)
}

fn lease_lost() -> Problem {
    let detail = "the lease has expired, does not exist, or does not hold these events; lease events again";
    Problem::new(Kind::LeaseLost, detail)
}

/// Returns the events that are as requested under the name `done`, and the others with their reasons. A malformed id has
/// the reason of an event that does not exist.
fn outcome(done: &str, act: &Act, ended: &[(EventId, Ended)], malformed: &[String]) -> Value {
    let mut succeeded = Vec::new();
    let mut failed: Vec<Value> =
        malformed.iter().map(|id| json!({"id": id, "reason": act.on_absent().reason()})).collect();
    for (id, ended) in ended {
        match ended {
            Ok(()) => succeeded.push(id.to_string()),
            Err(refused) => failed.push(json!({"id": id.to_string(), "reason": refused.reason()})),
        }
    }
    json!({done: succeeded, "failed": failed})
}

/// The events that a request names.
#[derive(Default)]
struct Named {
    /// The ids; `None` if the request names no events.
    ids: Option<Vec<EventId>>,
    /// The texts that are not the id of an event. They fail one by one.
    malformed: Vec<String>,
}

/// Reads the ids of events, and removes repeated ids.
///
/// # Errors
/// 422 for an empty list, and for one that is too long.
fn read_event_ids(texts: Option<&[String]>) -> Result<Named, Problem> {
    let Some(texts) = texts else { return Ok(Named::default()) };
    if !(1..=MAX_EVENTS).contains(&texts.len()) {
        let rule = format!(
            "must have 1 to {MAX_EVENTS} ids; send at least one id, and more than {MAX_EVENTS} in several requests"
        );
        return Err(invalid(member("/event_ids"), rule));
    }
    let (mut ids, mut malformed) = (BTreeSet::new(), BTreeSet::new());
    for text in texts {
        match EventId::parse(text) {
            Some(id) => drop(ids.insert(id)),
            None => drop(malformed.insert(shortened(text))),
        }
    }
    Ok(Named { ids: Some(ids.into_iter().collect()), malformed: malformed.into_iter().collect() })
}

fn read_types(texts: &[String]) -> Result<Vec<EventType>, Problem> {
    if texts.len() > MAX_TYPES {
        return Err(invalid(member("/types"), format!("must have at most {MAX_TYPES} types; remove some")));
    }
    let types = texts.iter().enumerate();
    types.map(|(place, text)| read_type(text, member(format!("/types/{place}")))).collect()
}

//! The inbox as a queue: lease, acknowledge, give back, hold longer.

use std::time::Duration;

use axum::extract::State;
use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::inbox::lease::{LeaseId, LeaseTerms};
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::KeyRecord;
use domain::timestamp::Timestamp;
use http::StatusCode;
use runtime::answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::inbox::shown_with;
use crate::body::invalid;
use crate::body::{Json, OptionalJson};
use crate::caller::{Caller, InboxAck};
use crate::deps::Api;
use crate::deps::ApiState;
use crate::failure::Outcome;
use crate::leasing::{self, Act, Ended};
use store::ports::Ports;

/// The longest lease.
const MAX_LEASE_SECONDS: u64 = 3600;

/// The most events of one lease, and of one acknowledgement.
const MAX_EVENTS: usize = 100;

/// The most types that a lease may be limited to.
const MAX_TYPES: usize = 20;

/// An event that is given back may wait for at most half a day.
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

/// `POST /api/inbox/lease`: the oldest events that nobody has, for as long as asked; nobody else gets them meanwhile.
pub(crate) async fn lease<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxAck>,
    OptionalJson(wanted): OptionalJson<Lease>,
) -> Outcome {
    let seconds = lease_seconds(wanted.seconds)?;
    if !(1..=MAX_EVENTS).contains(&wanted.limit) {
        return Err(invalid(format!("\"lease_limit\" must be 1 to {MAX_EVENTS}"), "/lease_limit").into());
    }
    let terms = LeaseTerms {
        holder: LeaseId::generate(&mut rand::rng()),
        until: now.after(seconds),
        include_open: wanted.include_open,
        max_leases: api.max_leases,
    };
    let types = types(&wanted.types)?;
    let events = leasing::lease(&api, &bearer, &terms, types, wanted.limit, now).await?;
    let results: Vec<String> = events
        .iter()
        .map(|(head, payload)| shown_with(head, payload, &[("lease_count", json!(head.lease_count))]))
        .collect();
    let is_leased = !events.is_empty();
    let (lease_id, until) = (
        json!(is_leased.then_some(terms.holder.as_str())),
        json!(is_leased.then(|| terms.until.to_string())),
    );
    let body =
        format!(r#"{{"lease_id":{lease_id},"leased_until":{until},"results":[{}]}}"#, results.join(","));
    Ok(answer::typed(StatusCode::OK, "application/json", body))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acknowledge {
    lease_id: Option<String>,
    event_ids: Option<Vec<String>>,
}

/// `POST /api/inbox/ack`: the events of a lease, or any by their ids. Deliveries still open for them end.
pub(crate) async fn acknowledge<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxAck>,
    Json(wanted): Json<Acknowledge>,
) -> Outcome {
    let ids = event_ids(wanted.event_ids)?;
    let ended = match (wanted.lease_id, ids) {
        (None, None) => return Err(invalid("name a lease or events", "/lease_id").into()),
        (None, Some(ids)) => leasing::act(&api, &bearer.tenant, &Act::Acknowledge, &ids, now).await?,
        (Some(lease), ids) => {
            let lease = lease_id(&lease)?;
            under_lease(&api, &bearer, &lease, ids, now, &Act::AcknowledgeAs(lease.clone())).await?
        }
    };
    Ok(answer::json(StatusCode::OK, &outcome("acked", &ended)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    lease_id: Option<String>,
    event_ids: Option<Vec<String>>,
    #[serde(default)]
    delay_seconds: u64,
}

/// `POST /api/inbox/release`: others may have the events, now or after a delay. Without a lease: out of quarantine.
pub(crate) async fn release<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxAck>,
    Json(wanted): Json<Release>,
) -> Outcome {
    let ids = event_ids(wanted.event_ids)?;
    if wanted.delay_seconds > MAX_DELAY_SECONDS {
        let detail = format!("\"delay_seconds\" must be at most {MAX_DELAY_SECONDS}");
        return Err(invalid(detail, "/delay_seconds").into());
    }
    let delay = Duration::from_secs(wanted.delay_seconds);
    let ended = match (wanted.lease_id, ids) {
        (None, None) => return Err(invalid("name a lease or quarantined events", "/lease_id").into()),
        (None, Some(ids)) => {
            leasing::act(&api, &bearer.tenant, &Act::ReleaseFromQuarantine(delay), &ids, now).await?
        }
        (Some(lease), ids) => {
            let lease = lease_id(&lease)?;
            under_lease(&api, &bearer, &lease, ids, now, &Act::Release(lease.clone(), delay)).await?
        }
    };
    Ok(answer::json(StatusCode::OK, &outcome("released", &ended)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extend {
    lease_id: String,
    lease_seconds: u64,
}

/// `POST /api/inbox/extend`: a lease holds its events until another moment, counted from now.
pub(crate) async fn extend<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxAck>,
    Json(wanted): Json<Extend>,
) -> Outcome {
    let until = now.after(lease_seconds(wanted.lease_seconds)?);
    let lease = lease_id(&wanted.lease_id)?;
    let ended = under_lease(&api, &bearer, &lease, None, now, &Act::Extend(lease.clone(), until)).await?;
    let leased: Vec<EventId> = ended.iter().map(|(id, _)| *id).collect();
    api.events.record_lease(&bearer.tenant, &lease, &leased, until).await?; // what it holds is told as long as it does
    let mut answer = outcome("extended", &ended);
    answer["leased_until"] = until.to_string().into();
    Ok(answer::json(StatusCode::OK, &answer))
}

/// Acts on the events of a lease, or on those of them that are named.
///
/// # Errors
/// 409 where the lease holds none of them, whatever the reason: the answer does not tell which.
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

/// A lease by its id. One that is none holds nothing, as any other that is lost.
fn lease_id(text: &str) -> Result<LeaseId, Problem> {
    LeaseId::parse(text).ok_or_else(lease_lost)
}

fn lease_lost() -> Problem {
    Problem::new(Kind::LeaseLost, "the lease does not hold these events, or not any more; lease again")
}

/// What became of each event: the list of those that went well, and why the others did not.
fn outcome(done: &str, ended: &[(EventId, Ended)]) -> Value {
    let went_well = ended.iter().filter(|(_, ended)| ended.is_ok()).map(|(id, _)| id.to_string());
    let failed = |(id, ended): &(EventId, Ended)| {
        ended.err().map(|refused| json!({"id": id.to_string(), "reason": refused.reason()}))
    };
    json!({
        done: went_well.collect::<Vec<_>>(),
        "failed": ended.iter().filter_map(failed).collect::<Vec<_>>(),
    })
}

fn lease_seconds(seconds: u64) -> Result<Duration, Problem> {
    let is_valid = (1..=MAX_LEASE_SECONDS).contains(&seconds);
    let detail = || format!("\"lease_seconds\" must be 1 to {MAX_LEASE_SECONDS}");
    if is_valid { Ok(Duration::from_secs(seconds)) } else { Err(invalid(detail(), "/lease_seconds")) }
}

fn event_ids(ids: Option<Vec<String>>) -> Result<Option<Vec<EventId>>, Problem> {
    let Some(ids) = ids else { return Ok(None) };
    if !(1..=MAX_EVENTS).contains(&ids.len()) {
        return Err(invalid(format!("\"event_ids\" must be 1 to {MAX_EVENTS}"), "/event_ids"));
    }
    let parse = |(place, id): (usize, &String)| {
        EventId::parse(id).ok_or_else(|| invalid("this is no event's id", &format!("/event_ids/{place}")))
    };
    let mut ids = ids.iter().enumerate().map(parse).collect::<Result<Vec<_>, _>>()?;
    ids.sort_unstable();
    ids.dedup();
    Ok(Some(ids))
}

fn types(names: &[String]) -> Result<Vec<EventType>, Problem> {
    if names.len() > MAX_TYPES {
        return Err(invalid(format!("\"types\" may be {MAX_TYPES} at most"), "/types"));
    }
    let parse = |(place, name): (usize, &String)| {
        let wrong =
            |error| invalid(domain::event::InvalidEvent::Type(error).to_string(), &format!("/types/{place}"));
        EventType::parse(name.as_str()).map_err(wrong)
    };
    names.iter().enumerate().map(parse).collect()
}

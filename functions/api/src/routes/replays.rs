//! Replays: many events sent again, in the background.

use axum::extract::{Path, State};
use domain::endpoint::MAX_RATE_PER_SECOND;
use domain::endpoint::id::EndpointId;
use domain::event::claim::{Claim, ClaimName, Claimed, Fingerprint};
use domain::event::event_type::EventType;
use domain::inbox::Status;
use domain::job::replay::{Filter, Progress, Replay};
use domain::job::{Job, JobId, Work};
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::KeyRecord;
use domain::timestamp::Timestamp;
use http::{HeaderMap, StatusCode};
use runtime::answer;
use runtime::answer::Answer;
use runtime::request::idempotency_key;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::events::page::Source;
use store::items::Updated;
use store::ports::Ports;
use store::unavailable::Unavailable;

use super::{events, inbox};
use crate::body::Json;
use crate::body::{invalid, moment};
use crate::caller::{Caller, EventsReplay};
use crate::deps::Api;
use crate::deps::ApiState;
use crate::failure::Outcome;

/// So many replays of one tenant may be under way.
const MAX_UNDER_WAY: usize = 10;

/// When it may be worth asking for another.
const RETRY_AFTER_SECONDS: u32 = 60;

/// How often a raced change is decided again before the client is asked to.
const MAX_RACES: usize = 20;

/// What is asked for. Absent members are not written: a repeat is known as one by a version that has more of them.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_per_second: Option<u32>,
    #[serde(default, skip_serializing)]
    dry_run: bool,
}

/// A client's own name for its request, and what it is to stand for.
struct Named {
    name: ClaimName,
    claim: Claim<JobId>,
}

/// `POST /api/replays`: how many events that would be, and, unless that was all that was asked, a replay of them. A repeat under
/// the same `Idempotency-Key` makes no other one.
pub(crate) async fn create<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<EventsReplay>,
    headers: HeaderMap,
    Json(wanted): Json<Create>,
) -> Outcome {
    let id = JobId::generate_replay(now, &mut rand::rng());
    let named = named(&headers, &wanted, &id, now)?;
    if let Some(answer) = answered_before(&api, &bearer, named.as_ref(), now).await? {
        return Ok(answer);
    }
    let filter = filter(&wanted, &bearer, now)?;
    let endpoint = endpoint(&api, &bearer, &wanted).await?;
    if wanted.rate_per_second.is_some_and(|rate| !(1..=MAX_RATE_PER_SECOND).contains(&rate)) {
        let detail = format!("\"rate_per_second\" must be 1 to {MAX_RATE_PER_SECOND}");
        return Err(invalid(detail, "/rate_per_second").into());
    }
    let (count, count_is_exact) = api.events.count(&bearer.tenant, &filter, now).await?;
    if wanted.dry_run {
        return Ok(answer::json(StatusCode::OK, &json!({"count": count, "count_is_exact": count_is_exact})));
    }
    if api.schedule.replays_under_way(&bearer.tenant).await? >= MAX_UNDER_WAY {
        // A repeat that overlaps with the first request may have counted that one.
        let before = answered_before(&api, &bearer, named.as_ref(), now).await?;
        return before.ok_or_else(|| too_many().into());
    }
    let (rate_per_second, progress) = (wanted.rate_per_second, Progress::default());
    let replay = Replay { filter, endpoint, rate_per_second, count, count_is_exact, progress };
    let job = Job::new(id, bearer.tenant.clone(), Work::Replay(Box::new(replay)), now);
    let claimed = match named {
        None => {
            api.schedule.put_job(&job).await?;
            Claimed::First
        }
        Some(Named { name, claim }) => api.schedule.put_named_job(&job, &name, &claim).await?,
    };
    let before = again(&api, &bearer, claimed).await?;
    Ok(before.unwrap_or_else(|| answer::json(StatusCode::ACCEPTED, &shown(&job))))
}

/// The answer where a request of this name was carried out before.
async fn answered_before<P: Ports>(
    api: &Api<P>,
    bearer: &KeyRecord,
    named: Option<&Named>,
    now: Timestamp,
) -> Result<Option<Answer>, Problem> {
    let Some(Named { name, claim }) = named else { return Ok(None) };
    let held = api.schedule.named_job(&bearer.tenant, name, now).await?;
    again(api, bearer, held.map_or(Claimed::First, |held| Claimed::decide(&held, claim))).await
}

/// The answer to a repeat: the replay that the first request made, as it is now. None to a first request.
async fn again<P: Ports>(
    api: &Api<P>,
    bearer: &KeyRecord,
    claimed: Claimed<JobId>,
) -> Result<Option<Answer>, Problem> {
    let first = match claimed {
        Claimed::First => return Ok(None),
        Claimed::Repeat(first) => first,
        Claimed::Mismatch => {
            let detail = "this name was used within 24 hours for another replay";
            return Err(Problem::new(Kind::IdempotencyMismatch, detail));
        }
    };
    let job = api.schedule.replay(&bearer.tenant, &first).await?.ok_or_else(no_replay)?;
    let mut answer = answer::json(StatusCode::ACCEPTED, &shown(&job));
    answer::mark_replayed(&mut answer);
    Ok(Some(answer))
}

/// The name of a request that is to make this replay.
fn named(headers: &HeaderMap, wanted: &Create, id: &JobId, now: Timestamp) -> Result<Option<Named>, Problem> {
    let key = idempotency_key(headers)?.filter(|_| !wanted.dry_run);
    let asked = Fingerprint::of_request(&json!(wanted).to_string());
    let claim = Claim::new(id.clone(), asked, now);
    Ok(key.map(|key| Named { name: ClaimName::Idempotency(key), claim }))
}

fn too_many() -> Problem {
    let detail = format!("{MAX_UNDER_WAY} replays are under way; cancel one, or wait for one to end");
    Problem { retry_after: Some(RETRY_AFTER_SECONDS), ..Problem::new(Kind::RateLimited, detail) }
}

fn no_replay() -> Problem {
    Problem::new(Kind::NotFound, "there is no such replay")
}

/// `GET /api/replays/{id}`: how far it has come.
pub(crate) async fn read<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<EventsReplay>,
    Path(id): Path<String>,
) -> Outcome {
    Ok(answer::json(StatusCode::OK, &shown(&found(&api, &bearer, &id).await?)))
}

/// `DELETE /api/replays/{id}`: it sends nothing more than what it has opened already. Asking twice changes nothing.
pub(crate) async fn cancel<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<EventsReplay>,
    Path(id): Path<String>,
) -> Outcome {
    for _ in 0..MAX_RACES {
        let seen = found(&api, &bearer, &id).await?;
        let Some(next) = seen.cancel() else { return Ok(answer::json(StatusCode::ACCEPTED, &shown(&seen))) };
        if api.schedule.save_job(&next).await? == Updated::Done {
            return Ok(answer::json(StatusCode::ACCEPTED, &shown(&next)));
        }
    }
    Err(Unavailable::new("cancelling a replay", "too many races").into())
}

async fn found<P: Ports>(api: &Api<P>, bearer: &KeyRecord, id: &str) -> Result<Job, Problem> {
    let id = JobId::parse_replay(id).ok_or_else(no_replay)?;
    api.schedule.replay(&bearer.tenant, &id).await?.ok_or_else(no_replay)
}

fn filter(wanted: &Create, bearer: &KeyRecord, now: Timestamp) -> Result<Filter, Problem> {
    let since = moment(&wanted.since, "/since")?;
    let until = wanted.until.as_deref().map(|text| moment(text, "/until")).transpose()?;
    let until = until.map_or(now, |until| until.min(now)); // what comes from now on is no replay
    if since >= until {
        return Err(invalid("\"since\" must be before \"until\", and in the past", "/since"));
    }
    let status = wanted.status.as_deref().map(|name| inbox::status(name, Source::Log)).transpose()?;
    Ok(Filter {
        shards: bearer.spread.read(),
        since,
        until,
        event_type: wanted.event_type.as_deref().map(EventType::parse).transpose()?,
        status,
    })
}

async fn endpoint<P: Ports>(
    api: &Api<P>,
    bearer: &KeyRecord,
    wanted: &Create,
) -> Result<Option<EndpointId>, Problem> {
    let Some(id) = &wanted.endpoint_id else { return Ok(None) };
    let endpoints = api.control.endpoints(&bearer.tenant).await?;
    events::named(id, endpoints.iter().map(|endpoint| &endpoint.id)).map(Some)
}

fn shown(job: &Job) -> Value {
    let Work::Replay(replay) = &job.work else { return Value::Null };
    let Replay { filter, progress, .. } = replay.as_ref();
    json!({
        "id": job.id.as_str(),
        "state": job.state(),
        "created_at": job.created_at.to_string(),
        "ended_at": job.ended_at.map(|at| at.to_string()),
        "since": filter.since.to_string(),
        "until": filter.until.to_string(),
        "type": filter.event_type.as_ref().map(EventType::as_str),
        "status": filter.status.map(Status::as_str),
        "endpoint_id": replay.endpoint.as_ref().map(EndpointId::as_str),
        "rate_per_second": replay.rate_per_second,
        "count": replay.count,
        "count_is_exact": replay.count_is_exact,
        "seen": progress.seen,
        "replayed": progress.replayed,
        "deliveries": progress.deliveries,
    })
}

//! Replays: jobs that send many events again in the background.

use axum::extract::{Path, RawQuery, State};
use domain::endpoint::MAX_RATE_PER_SECOND;
use domain::endpoint::id::EndpointId;
use domain::event::claim::{Claim, Claimed};
use domain::event::claim_name::ClaimName;
use domain::event::event_type::EventType;
use domain::event::fingerprint::Fingerprint;
use domain::inbox::Status;
use domain::job::id::JobId;
use domain::job::replay::{Filter, Progress, Replay};
use domain::job::{Job, Work};
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
use store::races::{Round, until_won};

use super::{events, inbox};
use crate::audit::created;
use crate::body::{Json, check_range, invalid, member, time};
use crate::caller::{ActiveCaller, Caller, EventsReplay};
use crate::cursor::{self, Cursors};
use crate::deps::{Api, ApiState};
use crate::failure::Outcome;
use crate::query::query_limit;

/// The largest number of replays of one tenant that run at the same time.
const MAX_UNDER_WAY: usize = 10;

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

/// The value of `Retry-After` when too many replays run.
const RETRY_AFTER_SECONDS: u32 = 60;

/// The body of `POST /api/replays`. Absent members are not part of its fingerprint, so that a later version with more
/// members recognizes a repeat.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateReplay {
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

/// The name that a client gave to its request (`Idempotency-Key`), and the claim of the name for a replay.
struct Named {
    name: ClaimName,
    claim: Claim<JobId>,
}

/// Answers `POST /api/replays`: counts the events, and creates a replay of them unless the request is a dry run. A
/// repeat with the same `Idempotency-Key` gets the first replay.
pub(crate) async fn create<P: Ports>(
    State(api): ApiState<P>,
    ActiveCaller(Caller { key: bearer, now, .. }): ActiveCaller<EventsReplay>,
    headers: HeaderMap,
    Json(request): Json<CreateReplay>,
) -> Outcome {
    // 1. Answer a repeat of an earlier request.
    let id = JobId::generate_replay(now, &mut rand::rng());
    let named = read_name(&headers, &request, &id, now)?;
    if let Some(answer) = answer_repeat(&api, &bearer, named.as_ref(), now).await? {
        return Ok(answer);
    }

    // 2. Refuse one replay too many before any event is read.
    if !request.dry_run && api.schedule.count_running_replays(&bearer.tenant).await? >= MAX_UNDER_WAY {
        // A repeat that runs at the same time as its first request may have counted the replay of that one.
        let repeat = answer_repeat(&api, &bearer, named.as_ref(), now).await?;
        return repeat.ok_or_else(|| too_many().into());
    }

    // 3. Check the request, and count the events.
    let replay = read_replay(&api, &bearer, &request, now).await?;
    if request.dry_run {
        let body = json!({"count": replay.count, "count_is_exact": replay.count_is_exact});
        return Ok(answer::json(StatusCode::OK, &body));
    }

    // 4. Store the job and claim its name in one transaction, so that only one of two repeats creates a replay.
    let job = Job::new(id, bearer.tenant.clone(), Work::Replay(Box::new(replay)), now);
    let claimed = match named {
        None => {
            api.schedule.put_job(&job).await?;
            Claimed::First
        }
        Some(Named { name, claim }) => api.schedule.put_named_job(&job, &name, &claim).await?,
    };
    let repeat = answer_claimed(&api, &bearer, claimed).await?;
    let started = || created(answer::json(StatusCode::ACCEPTED, &to_json(&job)), job.id.as_str());
    Ok(repeat.unwrap_or_else(started))
}

/// Returns the answer to a repeat; `None` if the name is not claimed, or the request has no name.
async fn answer_repeat<P: Ports>(
    api: &Api<P>,
    bearer: &KeyRecord,
    named: Option<&Named>,
    now: Timestamp,
) -> Result<Option<Answer>, Problem> {
    let Some(Named { name, claim }) = named else { return Ok(None) };
    match api.schedule.named_job(&bearer.tenant, name, now).await? {
        None => Ok(None),
        Some(held) => answer_claimed(api, bearer, Claimed::decide(&held, claim)).await,
    }
}

/// Returns the answer to a repeat: the current state of the replay that the first request created. Returns `None` for a
/// first request.
async fn answer_claimed<P: Ports>(
    api: &Api<P>,
    bearer: &KeyRecord,
    claimed: Claimed<JobId>,
) -> Result<Option<Answer>, Problem> {
    let first = match claimed {
        Claimed::First => return Ok(None),
        Claimed::Repeat(held) => held.id,
        Claimed::Mismatch(first) => {
            let detail = format!(
                "the header Idempotency-Key was used within 24 hours for another replay, `{first}`; send a new key"
            );
            return Err(Problem::new(Kind::IdempotencyMismatch, detail).of_first(first.as_str()));
        }
    };
    let job = api.schedule.replay(&bearer.tenant, &first).await?.ok_or_else(no_replay)?;
    let mut answer = answer::json(StatusCode::ACCEPTED, &to_json(&job));
    answer::mark_replayed(&mut answer);
    Ok(Some(answer))
}

/// Reads the name of the request. A dry run has none, because it creates nothing.
fn read_name(
    headers: &HeaderMap,
    request: &CreateReplay,
    id: &JobId,
    now: Timestamp,
) -> Result<Option<Named>, Problem> {
    let key = idempotency_key(headers)?.filter(|_| !request.dry_run);
    let fingerprint = Fingerprint::of_request(&json!(request).to_string());
    let claim = Claim::new(id.clone(), fingerprint, now);
    Ok(key.map(|key| Named { name: ClaimName::Idempotency(key), claim }))
}

fn too_many() -> Problem {
    let detail =
        format!("{MAX_UNDER_WAY} replays are running, the maximum; cancel one, or wait until one ends");
    Problem { retry_after: Some(RETRY_AFTER_SECONDS), ..Problem::new(Kind::RateLimited, detail) }
}

fn no_replay() -> Problem {
    Problem::new(Kind::NotFound, "Not found: no replay has this id; check the id")
}

/// Answers `GET /api/replays`: a page of the replays of the tenant, running and ended, newest first.
pub(crate) async fn list<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<EventsReplay>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let query = query.as_deref();
    let cursors = Cursors {
        peppers: api.authenticator.peppers(),
        tenant: Some(&bearer.tenant),
        filter: "replays".to_owned(),
    };
    let after = match cursors.read(query)? {
        None => None,
        Some(place) => Some(JobId::parse_replay(&place).ok_or_else(cursor::invalid)?),
    };
    let limit = query_limit(query, DEFAULT_LIMIT, MAX_LIMIT)?;
    let page = api.schedule.replays(&bearer.tenant, after.as_ref(), limit).await?;
    let last = page.jobs.last().filter(|_| page.has_more);
    let next = last.map(|job| cursors.write(job.id.as_str()));
    let replays: Vec<Value> = page.jobs.iter().map(to_json).collect();
    Ok(answer::json(StatusCode::OK, &json!({"replays": replays, "next_cursor": next})))
}

/// Answers `GET /api/replays/{id}`: the replay and its progress.
pub(crate) async fn read<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<EventsReplay>,
    Path(id): Path<String>,
) -> Outcome {
    Ok(answer::json(StatusCode::OK, &to_json(&find(&api, &bearer, &id).await?)))
}

/// Answers `DELETE /api/replays/{id}`: cancels the replay. It opens no more deliveries; the open ones are sent. A
/// repeat has no further effect.
pub(crate) async fn cancel<P: Ports>(
    State(api): ApiState<P>,
    ActiveCaller(Caller { key: bearer, .. }): ActiveCaller<EventsReplay>,
    Path(id): Path<String>,
) -> Outcome {
    let cancelled: Job = until_won("cancelling a replay", || async {
        let seen = find(&api, &bearer, &id).await?;
        let Some(next) = seen.cancel() else { return Ok::<_, Problem>(Round::Ended(seen)) };
        Ok(match api.schedule.save_job(&next).await? {
            Updated::Done => Round::Ended(next),
            Updated::Raced => Round::Lost,
        })
    })
    .await?;
    Ok(answer::json(StatusCode::ACCEPTED, &to_json(&cancelled)))
}

/// Returns the replay with this id.
///
/// # Errors
/// 404 if it does not exist, or belongs to another tenant.
async fn find<P: Ports>(api: &Api<P>, bearer: &KeyRecord, id: &str) -> Result<Job, Problem> {
    let id = JobId::parse_replay(id).ok_or_else(no_replay)?;
    api.schedule.replay(&bearer.tenant, &id).await?.ok_or_else(no_replay)
}

/// Reads the replay of a request, and counts its events.
///
/// # Errors
/// 422 for a member that is not valid, 404 for an unknown endpoint.
async fn read_replay<P: Ports>(
    api: &Api<P>,
    bearer: &KeyRecord,
    request: &CreateReplay,
    now: Timestamp,
) -> Result<Replay, Problem> {
    let filter = read_filter(request, bearer, now)?;
    let endpoint = match &request.endpoint_id {
        None => None,
        Some(id) => Some(events::find_id(id, &api.control.endpoints(&bearer.tenant).await?)?),
    };
    let rate_per_second = request.rate_per_second;
    if let Some(rate) = rate_per_second {
        check_range(rate, 1..=MAX_RATE_PER_SECOND, "/rate_per_second")?;
    }
    let (count, count_is_exact) = api.events.count(&bearer.tenant, &filter, now).await?;
    Ok(Replay { filter, endpoint, rate_per_second, count, count_is_exact, progress: Progress::default() })
}

/// Reads the filter of the events. It ends now at the latest, because later events are not replayed.
fn read_filter(request: &CreateReplay, bearer: &KeyRecord, now: Timestamp) -> Result<Filter, Problem> {
    let since = time(&request.since, member("/since"))?;
    let until = match &request.until {
        None => now,
        Some(text) => time(text, member("/until"))?.min(now),
    };
    if since >= until {
        return Err(invalid(member("/since"), "must be in the past and before `/until`; correct it"));
    }
    let status = match &request.status {
        None => None,
        Some(name) => Some(inbox::read_status(name, Source::Log, member("/status"))?),
    };
    let event_type = match &request.event_type {
        None => None,
        Some(text) => Some(inbox::read_type(text, member("/type"))?),
    };
    Ok(Filter { shards: bearer.spread.read(), since, until, event_type, status })
}

/// Returns a replay as JSON.
fn to_json(job: &Job) -> Value {
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

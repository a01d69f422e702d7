//! What a tenant may ask for by law: all that is kept of it, and that nothing is.

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use domain::job::erasure::Erasure;
use domain::job::{Job, JobId, Work};
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::Scope;
use domain::timestamp::Timestamp;
use http::{HeaderMap, StatusCode};
use runtime::answer;
use runtime::answer::Answer;
use serde::Deserialize;
use serde_json::{Value, json};
use store::clock::Clock;
use store::unavailable::PortResult;

use crate::body::{self, invalid, query_limit, query_value};
use crate::caller::{Caller, TenantAdmin};
use crate::cursor;
use crate::deps::Api;
use crate::deps::ApiState;
use crate::export::{Export, Place};
use crate::failure::Outcome;
use store::ports::Ports;

const DEFAULT_LIMIT: usize = 500;
const MAX_LIMIT: usize = 1000;

/// What a cursor of an export is bound to besides its tenant.
const FILTER: &str = "export";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Erase {
    confirm: String,
}

/// `DELETE /api/tenant` {confirm: the organization's name}: everything of the tenant is deleted, beginning with its keys; this
/// cannot be undone. The receipt is read by its id alone; who asks again with the same key is told it again, as long as there is
/// a receipt.
pub(crate) async fn erase<P: Ports>(State(api): ApiState<P>, headers: HeaderMap, body: Body) -> Outcome {
    let now = api.clock.now();
    let known = api.authenticator.authenticate_now(&headers, Scope::TenantAdmin, now).await;
    let (asking, bearer) = match known {
        Err(problem) if problem.kind == Kind::Unauthorized => {
            return begun_by_bearer(&api, &headers, now).await?.ok_or_else(|| problem.into());
        }
        known => known?,
    };
    let wanted: Erase = body::json(&headers, body).await?;
    let tenant = api.control.tenant(&bearer.tenant).await?;
    if tenant.is_some_and(|tenant| tenant.organization_name != wanted.confirm) {
        return Err(invalid("\"confirm\" must be the organization's name, exactly", "/confirm").into());
    }
    // The job stands before the mark: whatever dies in between, somebody erases what is marked.
    let job = Job::new(
        JobId::derive_erasure(&asking),
        bearer.tenant.clone(),
        Work::Erasure(Box::new(Erasure::begin())),
        now,
    );
    api.schedule.put_job(&job).await?;
    let erased_by = api.control.mark_erased(&bearer.tenant, &job.id, now).await?;
    if erased_by != job.id {
        api.schedule.save_job(&job.ended(now)).await?; // another request was first
    }
    if let Err(error) = api.control.purge(&bearer.tenant).await {
        tracing::warn!(cause = %error, "the scheduler deletes the keys in our place");
    }
    api.authenticator.forget(&asking);
    api.keys.forget(&bearer.tenant);
    Ok(started(&erased_by))
}

/// The answer to whoever asked for the erasure with this key before, though the key may be dead since then.
async fn begun_by_bearer<P: Ports>(
    api: &Api<P>,
    headers: &HeaderMap,
    now: Timestamp,
) -> PortResult<Option<Answer>> {
    for hash in api.authenticator.hashes(headers) {
        if let Some(job) = api.schedule.erasure(&JobId::derive_erasure(&hash)).await? {
            let erased_by = api.control.mark_erased(&job.tenant, &job.id, now).await?; // perhaps another was first
            return Ok(Some(started(&erased_by)));
        }
    }
    Ok(None)
}

fn started(erasure: &JobId) -> Answer {
    let body = json!({"erasure_id": erasure.as_str(), "receipt_url": format!("/api/erasures/{erasure}")});
    answer::json(StatusCode::ACCEPTED, &body)
}

/// `GET /api/erasures/{id}`: the receipt, for whoever knows the id.
pub(crate) async fn receipt<P: Ports>(State(api): ApiState<P>, Path(id): Path<String>) -> Outcome {
    let no_receipt = || Problem::new(Kind::NotFound, "there is no such erasure");
    let id = JobId::parse_erasure(&id).ok_or_else(no_receipt)?;
    let job = api.schedule.erasure(&id).await?.ok_or_else(no_receipt)?;
    Ok(answer::json(StatusCode::OK, &shown(&job)))
}

fn shown(job: &Job) -> Value {
    let Work::Erasure(erasure) = &job.work else { return Value::Null };
    json!({
        "erasure_id": job.id.as_str(),
        "organization_id": job.tenant.as_str(),
        "state": job.state(),
        "requested_at": job.created_at.to_string(),
        "completed_at": job.ended_at.map(|at| at.to_string()),
        "items_deleted": erasure.deleted,
        "times_looked_through": erasure.looks,
        "data_key_dropped_at": erasure.key_dropped_at.map(|at| at.to_string()),
        "lives_on": LIVES_ON.map(|(what, how_long)| json!({"what": what, "for": how_long})),
    })
}

/// What an erasure does not reach, and how long that lives on. What a table deletes by itself it deletes some days after its
/// time at the latest.
const LIVES_ON: [(&str, &str); 10] = [
    (
        "point-in-time backups of the tables: names, addresses, event types, dedup ids and excerpts of receivers' answers; \
         payloads, secrets and headers sealed, with the wrapped data key beside them",
        "35 days",
    ),
    ("the copy of the data key in the memory of running instances", "5 minutes"),
    (
        "accepted events still in a queue, payloads in them; each is dropped as soon as it is taken",
        "at most 14 days, usually seconds",
    ),
    (
        "a payload whose storing was cut off before its event was there: sealed under the data key that was dropped",
        "as long as the event would have been kept",
    ),
    ("digests (SHA-256) of dedup ids and idempotency keys, with those of the contents", "24 hours"),
    (
        "counters of the last minutes, ids of events and endpoints in leases, lines and rows of messages; no content",
        "a day after their end",
    ),
    ("on which days events were accepted; no content", "as long as those events would have been kept"),
    ("messages of ours that nobody could read, not even whose they are", "90 days"),
    ("log lines and access logs: ids, paths, status codes; no payload, address or key", "30 days"),
    (
        "the organization's id and the moment of its erasure, so that nothing comes back; this receipt for 90 days",
        "for ever",
    ),
];

/// `GET /api/export`: everything that is kept of the tenant as lines of JSON, page by page. The header `X-Next-Cursor` leads
/// to the next page; the last has none.
pub(crate) async fn export<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<TenantAdmin>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let limit = query_limit(query.as_deref(), DEFAULT_LIMIT, MAX_LIMIT)?;
    let peppers = api.authenticator.peppers();
    let place = match query_value(query.as_deref(), "cursor") {
        None => None,
        Some(text) => {
            let place = cursor::read(peppers, &bearer.tenant, FILTER, &text)?;
            Some(Place::read(&place).ok_or_else(cursor::invalid)?)
        }
    };
    let export = Export { api: &api, bearer: &bearer, now };
    let page = export.page(place, limit).await?;
    let mut answer = answer::typed(StatusCode::OK, "application/x-ndjson", page.lines);
    if let Some(next) = page.next {
        let next = cursor::write(peppers.current(), &bearer.tenant, FILTER, &next.to_string());
        answer::add_header(&mut answer, "x-next-cursor", &next);
    }
    Ok(answer)
}

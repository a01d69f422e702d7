//! Data protection: the erasure of a tenant, its receipt, and the export of all data of a tenant.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use domain::job::erasure::Erasure;
use domain::job::id::JobId;
use domain::job::{Job, Work};
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::Scope;
use domain::tenant::id::TenantId;
use domain::timestamp::Timestamp;
use http::{HeaderMap, StatusCode};
use runtime::answer;
use runtime::answer::Answer;
use serde::Deserialize;
use serde_json::{Value, json};
use store::clock::Clock;
use store::ports::Ports;
use store::unavailable::PortResult;

use crate::audit::Recorded;
use crate::body::{self, invalid, member};
use crate::caller::{Caller, TenantAdmin};
use crate::cursor::{self, Cursors};
use crate::deps::{Api, ApiState};
use crate::export::{Export, Place};
use crate::failure::Outcome;
use crate::query::query_limit;
use crate::receipt_id::{self, ReceiptId};

const DEFAULT_LIMIT: usize = 500;
const MAX_LIMIT: usize = 1000;

/// The filter of the cursors of an export.
const FILTER: &str = "export";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Erase {
    confirm: String,
}

/// Answers `DELETE /api/tenant` with `{confirm: organization_name}`: erases all data of the tenant, its API keys first.
/// The erasure cannot be undone. A repeat with the same API key gets the id of the same erasure, as long as its receipt
/// exists.
pub(crate) async fn erase<P: Ports>(
    State(api): ApiState<P>,
    recorded: Option<Extension<Recorded>>,
    headers: HeaderMap,
    body: Body,
) -> Outcome {
    let now = api.clock.now();

    // 1. Authenticate. An erasure deletes the API key, so a repeat is recognized by the hash of its key.
    let authenticated = api.authenticator.authenticate_now(&headers, Scope::TenantAdmin, now).await;
    let (hash, bearer) = match authenticated {
        Err(problem) if problem.kind == Kind::Unauthorized => {
            return answer_repeat(&api, &headers, now).await?.ok_or_else(|| problem.into());
        }
        Ok(_) if recorded.is_none() => return Err(Problem::unauthorized().into()), // no valid key when it was admitted
        other => other?,
    };
    let request: Erase = body::json(&headers, body).await?;
    check_name(&api, &bearer.tenant, &request.confirm).await?;

    // 2. Store the job before the mark, so that a marked tenant is always erased, also if this process ends in between.
    let id = JobId::derive_erasure(&hash);
    let job = Job::new(id, bearer.tenant.clone(), Work::Erasure(Box::new(Erasure::begin())), now);
    api.schedule.put_job(&job).await?;
    let erased_by = api.control.mark_erased(&bearer.tenant, &job.id, now).await?;
    if erased_by != job.id {
        api.schedule.save_job(&job.ended(now)).await?; // another request marked the tenant first, and its job erases it
    }

    // 3. Delete the API keys and endpoints now. The job deletes everything else, and what fails here.
    if let Err(error) = api.control.purge(&bearer.tenant).await {
        tracing::warn!(cause = %error, "some API keys of the erased tenant were not deleted yet; the scheduler will delete them");
    }
    api.authenticator.forget(&hash);
    api.keys.forget(&bearer.tenant);
    Ok(accepted(&receipt_id::write(&erased_by, api.authenticator.peppers())))
}

/// Checks that a request names the organization that it erases. A tenant that is erased already has no name.
///
/// # Errors
/// 422 for another name.
async fn check_name<P: Ports>(api: &Api<P>, tenant: &TenantId, name: &str) -> Result<(), Problem> {
    let tenant = api.control.tenant(tenant).await?;
    if tenant.is_some_and(|tenant| tenant.organization_name != name) {
        let rule =
            "must be exactly the name of the organization; see `organization_name` in `GET /api/tenant`";
        return Err(invalid(member("/confirm"), rule));
    }
    Ok(())
}

/// Returns the answer to a request that began an erasure with the same API key before; `None` if there was none.
async fn answer_repeat<P: Ports>(
    api: &Api<P>,
    headers: &HeaderMap,
    now: Timestamp,
) -> PortResult<Option<Answer>> {
    for hash in api.authenticator.hashes(headers) {
        if let Some(job) = api.schedule.receipt(&JobId::derive_erasure(&hash)).await? {
            let erased_by = api.control.mark_erased(&job.tenant, &job.id, now).await?; // the first mark stays
            return Ok(Some(accepted(&receipt_id::write(&erased_by, api.authenticator.peppers()))));
        }
    }
    Ok(None)
}

fn accepted(erasure: &str) -> Answer {
    let body = json!({"erasure_id": erasure, "receipt_url": format!("/api/erasures/{erasure}")});
    answer::json(StatusCode::ACCEPTED, &body)
}

/// Answers `GET /api/erasures/{id}`: the receipt of an erasure. The id is enough; no API key is needed. The instance counts
/// its reads, because no tenant's rate limit does.
pub(crate) async fn receipt<P: Ports>(State(api): ApiState<P>, Path(id): Path<String>) -> Outcome {
    let detail = "Not found: no erasure has this id, or its receipt has expired; check the id";
    let no_receipt = || Problem::new(Kind::NotFound, detail);
    let job = match ReceiptId::parse(&id, api.authenticator.peppers()).ok_or_else(no_receipt)? {
        ReceiptId::Tagged(job) => {
            api.tagged_receipts.take(api.clock.now())?;
            api.schedule.receipt(&job).await?
        }
        ReceiptId::Untagged(job) => {
            api.untagged_receipts.take(api.clock.now())?;
            api.schedule.erasure(&job).await?
        }
    };
    Ok(answer::json(StatusCode::OK, &to_json(&job.ok_or_else(no_receipt)?, &id)))
}

/// Returns the receipt as JSON, with the id that the client sent.
fn to_json(job: &Job, id: &str) -> Value {
    let Work::Erasure(erasure) = &job.work else { return Value::Null };
    json!({
        "erasure_id": id,
        "organization_id": job.tenant.as_str(),
        "state": job.state(),
        "requested_at": job.created_at.to_string(),
        "completed_at": job.ended_at.map(|at| at.to_string()),
        "items_deleted": erasure.deleted,
        "times_looked_through": erasure.looks,
        "data_key_dropped_at": erasure.key_dropped_at.map(|at| at.to_string()),
        "lives_on": REMAINING_DATA.map(|(what, how_long)| json!({"what": what, "for": how_long})),
    })
}

/// The data that remains after an erasure, and for how long. `DynamoDB` deletes an expired item a few days after its end at the
/// latest.
const REMAINING_DATA: [(&str, &str); 10] = [
    (
        "point-in-time backups of the tables: names, addresses, event types, dedup ids and excerpts of responses; \
         payloads, secrets and headers are encrypted, and the encrypted data key is in the same backup",
        "35 days",
    ),
    ("copies of the data key in the memory of running instances", "5 minutes"),
    (
        "accepted events that are still in a queue, with their payloads; each is deleted when it is received",
        "at most 14 days, usually seconds",
    ),
    (
        "a payload whose event was not stored, because the process ended first; encrypted under the deleted data key",
        "the retention period of that event",
    ),
    ("hashes (SHA-256) of dedup ids, of idempotency keys and of the content they were used with", "24 hours"),
    (
        "counters of the last minutes, ids of events and endpoints in leases and in scheduled messages; no content",
        "one day after they end",
    ),
    ("the days on which events were accepted; no content", "the retention period of the accepted events"),
    ("messages that could not be read, so their tenant is unknown", "90 days"),
    ("log lines and access logs: ids, routes, status codes; no payload, address or key", "30 days"),
    (
        "the id of the organization and the time of its erasure, so that no data comes back; this receipt for 90 days",
        "forever",
    ),
];

/// Answers `GET /api/export`: a page of all data of the tenant, as lines of JSON. The header `X-Next-Cursor` has the
/// cursor of the next page; the last page has no such header.
pub(crate) async fn export<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<TenantAdmin>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let limit = query_limit(query.as_deref(), DEFAULT_LIMIT, MAX_LIMIT)?;
    let cursors = Cursors {
        peppers: api.authenticator.peppers(),
        tenant: Some(&bearer.tenant),
        filter: FILTER.to_owned(),
    };
    let place = match cursors.read(query.as_deref())? {
        None => None,
        Some(place) => Some(Place::read(&place).ok_or_else(cursor::invalid)?),
    };
    let export = Export { api: &api, bearer: &bearer, now };
    let page = export.page(place, limit).await?;
    let mut answer = answer::typed(StatusCode::OK, "application/x-ndjson", page.lines);
    // lambda_http would encode NDJSON in base64, which API Gateway decodes only for an `Accept` that names the type.
    answer::add_header(&mut answer, "x-lambda-http-content-encoding", "text");
    if let Some(next) = page.next {
        answer::add_header(&mut answer, "x-next-cursor", &cursors.write(&next.to_string()));
    }
    Ok(answer)
}

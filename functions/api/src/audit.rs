//! Records every change in the audit trail of its tenant: before the handler runs, and its outcome after the answer.

use axum::Extension;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use domain::endpoint::id::EndpointId;
use domain::problem::Problem;
use domain::tenant::api_key::KeyRecord;
use domain::tenant::audit::{AuditId, AuditRecord, Author};
use domain::tenant::id::TenantId;
use http::HeaderMap;
use runtime::answer::Answer;
use store::clock::Clock;
use store::ports::Ports;

use crate::changes::{self, By, Subject};
use crate::deps::{Api, ApiState};
use crate::failure::Failure;

/// A request as the router admitted it.
#[derive(Clone)]
pub(crate) struct Admitted {
    /// The record of the API key, if that is valid.
    pub(crate) bearer: Option<KeyRecord>,
    pub(crate) request_id: String,
}

/// Says to a handler that its change is recorded.
#[derive(Clone, Copy)]
pub(crate) struct Recorded;

/// The id of what a handler created.
#[derive(Clone)]
struct Created(String);

/// Adds the id of what was created to an answer, for the audit trail.
pub(crate) fn created(mut answer: Answer, id: &str) -> Answer {
    answer.extensions_mut().insert(Created(id.to_owned()));
    answer
}

/// Puts the record of a change, then calls the handler. The response carries the record.
///
/// # Errors
/// 401 for a change without a valid API key, 503 if the record is not put: then the handler does not run.
pub(crate) async fn record<P: Ports>(
    State(api): ApiState<P>,
    route: MatchedPath,
    Extension(admitted): Extension<Admitted>,
    params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let Some(change) = changes::find(request.method(), route.as_str())? else {
        return Ok(next.run(request).await);
    };
    let id = params.iter().find(|(name, _)| *name == "id").map(|(_, id)| id);
    let Some((tenant, author)) = author(&api, change.by, &admitted, request.headers(), id).await? else {
        return Ok(next.run(request).await); // the handler refuses it, answers a repeat, or makes the record
    };
    let subject = subject(change.subject, &tenant, &author, id);
    let record = draft(&api, change.action, tenant, author, subject, admitted.request_id);
    api.control.begin_change(&record).await?;
    request.extensions_mut().insert(Recorded);
    let mut response = next.run(request).await;
    response.extensions_mut().insert(record);
    Ok(response)
}

/// Puts the record of the creation of a tenant, before the tenant is created.
///
/// # Errors
/// When the table does not answer. Then the tenant must not be created.
pub(crate) async fn record_signup<P: Ports>(
    api: &Api<P>,
    tenant: &TenantId,
    is_admin: bool,
    request_id: String,
) -> Result<AuditRecord, Problem> {
    let author = if is_admin { Author::Operator } else { Author::Signup };
    let subject = Some(tenant.to_string());
    let record = draft(api, "tenant.create", tenant.clone(), author, subject, request_id);
    api.control.begin_change(&record).await?;
    Ok(record)
}

/// Takes the record of a change out of its response.
pub(crate) fn take(response: &mut Response) -> Option<AuditRecord> {
    let extensions = response.extensions_mut();
    let created = extensions.remove::<Created>().map(|Created(id)| id);
    extensions.remove::<AuditRecord>().map(|record| AuditRecord { created, ..record })
}

/// Adds the outcome to the record of a change. An error is logged only: the answer stays, and the outcome stays unknown.
pub(crate) async fn end<P: Ports>(api: &Api<P>, record: Option<&AuditRecord>, status: u16) {
    let Some(record) = record else { return };
    let ended = AuditRecord { status: Some(status), ..record.clone() };
    if let Err(error) = api.control.end_change(&ended).await {
        tracing::warn!(cause = %error, id = %record.id, "the outcome of a change is not in the audit trail");
    }
}

/// Returns the tenant that is changed, and who asks; `None` if the handler does not know them either, or knows them alone.
///
/// # Errors
/// 401 for a change without a valid API key, 503 if the tenant cannot be read.
async fn author<P: Ports>(
    api: &Api<P>,
    by: By,
    admitted: &Admitted,
    headers: &HeaderMap,
    id: Option<&str>,
) -> Result<Option<(TenantId, Author)>, Problem> {
    let bearer = admitted.bearer.as_ref().map(|key| (key.tenant.clone(), Author::bearer(key)));
    match by {
        By::Key => bearer.map(Some).ok_or_else(Problem::unauthorized),
        By::ErasingKey => Ok(bearer),
        By::Operator if api.admin.is_bearer(headers) => {
            let Some(tenant) = id.and_then(TenantId::named_by_operator) else { return Ok(None) };
            // What names no tenant, or an erased one, leaves nothing in its partition.
            let found = api.control.tenant(&tenant).await?;
            Ok(found.map(|tenant| (tenant.id, Author::Operator)))
        }
        By::Operator | By::Signup => Ok(None),
    }
}

/// Returns the id of what is changed.
fn subject(subject: Subject, tenant: &TenantId, author: &Author, id: Option<&str>) -> Option<String> {
    match subject {
        Subject::New => None,
        Subject::Tenant => Some(tenant.to_string()),
        Subject::DefaultEndpoint => Some(EndpointId::default_of(tenant).to_string()),
        Subject::OwnKey => Some(author.as_str().to_owned()),
        Subject::Named(is_id) => id.filter(|id| is_id(id)).map(str::to_owned),
    }
}

fn draft<P: Ports>(
    api: &Api<P>,
    action: &str,
    tenant: TenantId,
    author: Author,
    subject: Option<String>,
    request_id: String,
) -> AuditRecord {
    let at = api.clock.now();
    let id = AuditId::generate(at, &mut rand::rng());
    let action = action.to_owned();
    AuditRecord { id, tenant, at, author, action, subject, request_id, status: None, created: None }
}

//! The audit trail of a tenant.

use axum::extract::{RawQuery, State};
use domain::tenant::audit::{AuditId, AuditRecord, Author};
use domain::timestamp::Timestamp;
use http::StatusCode;
use runtime::answer;
use serde_json::{Value, json};
use store::control::audit::AuditQuery;
use store::ports::Ports;

use crate::body::{parameter, time};
use crate::caller::{Caller, TenantAdmin};
use crate::cursor::{self, Cursors};
use crate::deps::ApiState;
use crate::failure::Outcome;
use crate::query::{query_limit, query_value};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;

/// Answers `GET /api/audit`: a page of the changes of the tenant, newest first.
pub(crate) async fn list<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, .. }: Caller<TenantAdmin>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let query = query.as_deref();
    let query_time = |name| query_value(query, name).map(|text| time(&text, parameter(name))).transpose();
    let (since, until) = (query_time("since")?, query_time("until")?);
    let bounds = [since, until].map(|time| time.map(Timestamp::millis));
    let cursors = Cursors {
        peppers: api.authenticator.peppers(),
        tenant: Some(&bearer.tenant),
        filter: format!("audit {bounds:?}"),
    };
    let after = match cursors.read(query)? {
        None => None,
        Some(place) => Some(AuditId::parse(&place).ok_or_else(cursor::invalid)?),
    };
    let limit = query_limit(query, DEFAULT_LIMIT, MAX_LIMIT)?;
    let page = api.control.audit(&bearer.tenant, &AuditQuery { since, until, after, limit }).await?;
    let next = page.next.map(|place| cursors.write(&place));
    let changes: Vec<Value> = page.records.iter().map(to_json).collect();
    Ok(answer::json(StatusCode::OK, &json!({"changes": changes, "next_cursor": next})))
}

/// Returns a record as JSON.
fn to_json(record: &AuditRecord) -> Value {
    let (by, key_id, last4) = match &record.author {
        Author::Key { id, last4 } => ("key", Some(id), Some(last4)),
        Author::Operator | Author::Signup => (record.author.as_str(), None, None),
    };
    json!({
        "id": record.id.as_str(),
        "at": record.at.to_string(),
        "action": record.action,
        "subject_id": record.subject,
        "created_id": record.created,
        "by": by,
        "key_id": key_id,
        "key_last4": last4,
        "request_id": record.request_id,
        "outcome": record.outcome().as_str(),
        "status": record.status,
    })
}

//! The inbox: undelivered events, and their acknowledgement.

use std::fmt::Write;

use axum::extract::{Path, RawQuery, State};
use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::inbox::{Head, Status};
use domain::problem::Problem;
use domain::tenant::api_key::KeyRecord;
use domain::timestamp::Timestamp;
use http::StatusCode;
use runtime::answer;
use serde_json::{Value, json};
use store::events::page::{Order, Page, PageQuery, Source};

use crate::body::{invalid, query_limit, query_value};
use crate::caller::{Caller, InboxAck, InboxRead};
use crate::cursor;
use crate::deps::Api;
use crate::deps::ApiState;
use crate::failure::Outcome;
use crate::leasing::{self, Act};
use store::ports::Ports;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// `GET /api/inbox`: a page of undelivered events; looking consumes nothing.
pub(crate) async fn list<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxRead>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let wanted = read_query(query.as_deref(), &bearer, Source::Inbox, now)?;
    answer_page(&api, &bearer, query.as_deref(), wanted).await
}

/// A page as it is asked for, at its cursor.
pub(super) async fn answer_page<P: Ports>(
    api: &Api<P>,
    bearer: &KeyRecord,
    query: Option<&str>,
    mut wanted: PageQuery,
) -> Outcome {
    let (filter, peppers) = (filter_of(&wanted), api.authenticator.peppers());
    if let Some(text) = query_value(query, "cursor") {
        let place = cursor::read(peppers, &bearer.tenant, &filter, &text)?;
        wanted.after = Some(EventId::parse(&place).ok_or_else(cursor::invalid)?);
    }
    let Page { events, next } = api.events.page(&bearer.tenant, &wanted).await?;
    let next =
        next.map(|event| cursor::write(peppers.current(), &bearer.tenant, &filter, &event.to_string()));
    let events: Vec<String> = events.iter().map(|(head, payload)| shown(head, payload)).collect();
    let body = format!(r#"{{"events":[{}],"next_cursor":{}}}"#, events.join(","), json!(next));
    Ok(answer::typed(StatusCode::OK, "application/json", body))
}

/// `POST /api/ack/{id}`: somebody took the event; deliveries still open for it end. Asking twice changes nothing.
pub(crate) async fn acknowledge<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxAck>,
    Path(id): Path<String>,
) -> Outcome {
    let event = EventId::parse(&id).ok_or_else(Problem::not_found)?;
    let ended = leasing::act(&api, &bearer.tenant, &Act::Acknowledge, &[event], now).await?;
    if ended.iter().any(|(_, ended)| ended.is_ok()) {
        return Ok(answer::json(StatusCode::OK, &json!({"success": true})));
    }
    Err(Problem::not_found().into())
}

/// What a page is asked for.
///
/// # Errors
/// 422 for a value that is none.
pub(super) fn read_query(
    query: Option<&str>,
    bearer: &KeyRecord,
    source: Source,
    now: Timestamp,
) -> Result<PageQuery, Problem> {
    let value = |name| query_value(query, name);
    let limit = query_limit(query, DEFAULT_LIMIT, MAX_LIMIT)?;
    let order = match value("order").as_deref() {
        None | Some("desc") => Order::Descending,
        Some("asc") => Order::Ascending,
        Some(_) => return Err(invalid("\"order\" must be asc or desc", "/order")),
    };
    Ok(PageQuery {
        source,
        shards: bearer.spread.read(),
        order,
        after: None,
        since: None,
        until: None,
        event_type: value("type").map(EventType::parse).transpose()?,
        status: value("status").map(|name| status(&name, source)).transpose()?,
        now,
        limit,
    })
}

/// A status that events there may have.
///
/// # Errors
/// 422 for any other name.
pub(super) fn status(name: &str, source: Source) -> Result<Status, Problem> {
    let is_possible = |status: &Status| match source {
        Source::Inbox => status.is_in_inbox(),
        Source::Log => *status != Status::Deleted,
    };
    Status::parse(name).filter(is_possible).ok_or_else(|| {
        let names: Vec<_> = Status::ALL.into_iter().filter(is_possible).map(Status::as_str).collect();
        invalid(format!("\"status\" must be one of {}", names.join(", ")), "/status")
    })
}

/// What a cursor is bound to besides its tenant.
fn filter_of(query: &PageQuery) -> String {
    let event_type = query.event_type.as_ref().map(EventType::as_str).unwrap_or_default();
    let status = query.status.map(Status::as_str).unwrap_or_default();
    let moment = |moment: Option<Timestamp>| moment.map(Timestamp::millis);
    let (since, until) = (moment(query.since), moment(query.until));
    format!("{:?}\0{:?}\0{event_type}\0{status}\0{since:?}\0{until:?}", query.source, query.order)
}

/// An event as lists show it.
pub(super) fn shown(head: &Head, payload: &str) -> String {
    shown_with(head, payload, &[])
}

/// An event with further members. The payload stands in it byte for byte as it was accepted.
pub(crate) fn shown_with(head: &Head, payload: &str, more: &[(&str, Value)]) -> String {
    let (event_type, status) = (json!(head.event_type.as_str()), json!(head.status.as_str()));
    let mut members = format!(
        r#"{{"id":"{id}","type":{event_type},"event_type":{event_type},"payload":{payload},"created_at":"{at}","status":{status},"delivery_status":{status},"attempts":{attempts}"#,
        id = head.id,
        at = head.id.accepted_at(),
        attempts = head.attempts(),
    );
    let dedup_id = head.dedup_id.as_ref().map(|id| ("dedup_id", json!(id.as_str())));
    for (name, value) in dedup_id.iter().chain(more) {
        let _ = write!(members, r#","{name}":{value}"#); // a String takes everything
    }
    members + "}"
}

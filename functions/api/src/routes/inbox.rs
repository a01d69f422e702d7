//! The inbox: the list of its events, and the acknowledgement of one event.

use std::fmt::Write;

use axum::extract::{Path, RawQuery, State};
use domain::event::event_type::EventType;
use domain::event::id::EventId;
use domain::inbox::{Head, Status};
use domain::problem::{self, Problem};
use domain::tenant::api_key::KeyRecord;
use domain::timestamp::Timestamp;
use http::StatusCode;
use runtime::answer;
use serde_json::{Value, json};
use store::events::page::{Order, Page, PageQuery, Source};
use store::ports::Ports;

use crate::body::{invalid, parameter};
use crate::caller::{Caller, InboxAck, InboxRead};
use crate::cursor::{self, Cursors};
use crate::deps::{Api, ApiState};
use crate::failure::Outcome;
use crate::leasing::{self, Act};
use crate::query::{query_limit, query_value};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// Answers `GET /api/inbox`: a page of the inbox. Events are not leased or changed.
pub(crate) async fn list<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxRead>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let page_query = read_query(query.as_deref(), &bearer, Source::Inbox, now)?;
    answer_page(&api, &bearer, query.as_deref(), page_query).await
}

/// Answers with the page at the cursor of the query.
pub(super) async fn answer_page<P: Ports>(
    api: &Api<P>,
    bearer: &KeyRecord,
    query: Option<&str>,
    mut page_query: PageQuery,
) -> Outcome {
    let cursors = Cursors {
        peppers: api.authenticator.peppers(),
        tenant: Some(&bearer.tenant),
        filter: filter_of(&page_query),
    };
    if let Some(place) = cursors.read(query)? {
        page_query.after = Some(EventId::parse(&place).ok_or_else(cursor::invalid)?);
    }
    let Page { events, next } = api.events.page(&bearer.tenant, &page_query).await?;
    let next_cursor = next.map(|event| cursors.write(&event.to_string()));
    let events: Vec<String> = events.iter().map(|(head, payload)| to_json_with(head, payload, &[])).collect();
    let body = format!(r#"{{"events":[{}],"next_cursor":{}}}"#, events.join(","), json!(next_cursor));
    Ok(answer::typed(StatusCode::OK, "application/json", body))
}

/// Answers `POST /api/ack/{id}`: acknowledges the event, and ends its open deliveries. A repeat has no further effect.
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

/// Reads the query parameters of a page, except the cursor.
///
/// # Errors
/// 422 for a value that is not valid.
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
        Some(_) => return Err(invalid(parameter("order"), "must be asc or desc; correct it")),
    };
    let event_type = match value("type") {
        None => None,
        Some(text) => Some(read_type(&text, parameter("type"))?),
    };
    let status = match value("status") {
        None => None,
        Some(name) => Some(read_status(&name, source, parameter("status"))?),
    };
    Ok(PageQuery {
        source,
        shards: bearer.spread.read(),
        order,
        after: None,
        since: None,
        until: None,
        event_type,
        status,
        now,
        limit,
    })
}

/// Reads the type of an event.
///
/// # Errors
/// 422 for a text that is not a type.
pub(super) fn read_type(text: &str, place: problem::Source) -> Result<EventType, Problem> {
    EventType::parse(text).map_err(|_| invalid(place, EventType::RULE))
}

/// Reads a status that the events of the inbox or of the log can have.
///
/// # Errors
/// 422 for any other name.
pub(super) fn read_status(name: &str, source: Source, place: problem::Source) -> Result<Status, Problem> {
    let is_possible = |status: &Status| match source {
        Source::Inbox => status.is_untaken(),
        Source::Log => *status != Status::Deleted,
    };
    Status::parse(name).filter(is_possible).ok_or_else(|| {
        let names: Vec<&str> = Status::ALL.into_iter().filter(is_possible).map(Status::as_str).collect();
        invalid(place, format!("must be one of {}; correct it", names.join(", ")))
    })
}

/// Returns the filter that a cursor is bound to.
fn filter_of(query: &PageQuery) -> String {
    let event_type = query.event_type.as_ref().map(EventType::as_str).unwrap_or_default();
    let status = query.status.map(Status::as_str).unwrap_or_default();
    let since = query.since.map(Timestamp::millis);
    let until = query.until.map(Timestamp::millis);
    format!("{:?}\0{:?}\0{event_type}\0{status}\0{since:?}\0{until:?}", query.source, query.order)
}

/// Returns an event as JSON with more members. The payload has exactly the bytes that were accepted.
pub(crate) fn to_json_with(head: &Head, payload: &str, more: &[(&str, Value)]) -> String {
    let event_type = json!(head.event_type.as_str());
    let status = json!(head.status.as_str());
    let mut members = format!(
        r#"{{"id":"{id}","type":{event_type},"event_type":{event_type},"payload":{payload},"created_at":"{at}","status":{status},"delivery_status":{status},"attempts":{attempts}"#,
        id = head.id,
        at = head.id.accepted_at(),
        attempts = head.attempts(),
    );
    let dedup_id = head.dedup_id.as_ref().map(|id| ("dedup_id", json!(id.as_str())));
    for (name, value) in dedup_id.iter().chain(more) {
        let _ = write!(members, r#","{name}":{value}"#); // writing to a String cannot fail
    }
    members + "}"
}

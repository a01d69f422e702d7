//! The inbox: undelivered events, and their acknowledgement.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use http::{HeaderMap, StatusCode};
use serde_json::json;
use triggers::adapters::events::{InboxQuery, Order};
use triggers::answer::{self, Answer};
use triggers::api_key::{KeyRecord, Scope};
use triggers::batch;
use triggers::event::{EventId, EventType};
use triggers::inbox::{Head, Status};
use triggers::ports::{Clock, Counts, Events, Unavailable, Updated};
use triggers::problem::Problem;
use triggers::stats::{Share, Shares};
use triggers::timestamp::Timestamp;

use crate::body::{invalid, query_value};
use crate::cursor;
use crate::deps::Api;
use crate::failure::Outcome;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// How often a raced acknowledgement is decided again before the client is asked to.
const MOST_RACES: usize = 20;

/// `GET /api/inbox`: a page of undelivered events; looking consumes nothing.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Outcome {
    let now = api.clock.now();
    let (_, bearer) = api.authenticator.authenticate(&headers, Scope::InboxRead, now).await?;
    let mut wanted = read_query(query.as_deref(), &bearer, now)?;
    let filter = filter_of(&wanted);
    let peppers = api.authenticator.peppers();
    if let Some(text) = query_value(query.as_deref(), "cursor") {
        let place = cursor::read(peppers, &bearer.tenant, &filter, &text)?;
        wanted.after = Some(EventId::parse(&place).ok_or_else(cursor::invalid)?);
    }
    let page = api.events.inbox(&bearer.tenant, &wanted).await?;
    let next = page
        .next
        .map(|event| json!(cursor::write(peppers.current(), &bearer.tenant, &filter, &event.to_string())));
    let events: Vec<String> = page.events.iter().map(|(head, payload)| shown(head, payload)).collect();
    let body = format!(r#"{{"events":[{}],"next_cursor":{}}}"#, events.join(","), json!(next));
    Ok(answer::typed(StatusCode::OK, "application/json", body))
}

/// `POST /api/ack/{id}`: somebody took the event; deliveries still open for it end. Asking twice changes nothing.
pub(crate) async fn acknowledge(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Outcome {
    let now = api.clock.now();
    let (_, bearer) = api.authenticator.authenticate(&headers, Scope::InboxAck, now).await?;
    let id = EventId::parse(&id).ok_or_else(Problem::not_found)?;
    for _ in 0..MOST_RACES {
        let found =
            api.events.head(&bearer.tenant, id, true).await?.filter(|found| !found.head.is_expired(now));
        let found = found.ok_or_else(Problem::not_found)?;
        let Some(next) = found.head.acknowledge() else { return Ok(acknowledged()) };
        if api.events.update(&bearer.tenant, &next).await? == Updated::Done {
            let settled = Counts { settled: 1, ..Counts::default() };
            let shares = Shares::default().with(&bearer.tenant, &Share::acked(id));
            batch::count(&api.limits, settled, None, &shares, now).await;
            return Ok(acknowledged());
        }
    }
    Err(Unavailable::new("acknowledging", "too many races").into())
}

fn acknowledged() -> Answer {
    answer::json(StatusCode::OK, &json!({"success": true}))
}

fn read_query(query: Option<&str>, bearer: &KeyRecord, now: Timestamp) -> Result<InboxQuery, Problem> {
    let value = |name| query_value(query, name);
    let limit = value("limit").map_or(Some(DEFAULT_LIMIT), |text| text.parse().ok());
    let limit = limit.filter(|limit| (1..=MAX_LIMIT).contains(limit));
    let event_type = value("type").map(EventType::parse).transpose()?;
    let status =
        value("status").map(|name| Status::parse(&name).filter(|status| status.is_in_inbox()).ok_or(name));
    let order = match value("order").as_deref() {
        None | Some("desc") => Order::Descending,
        Some("asc") => Order::Ascending,
        Some(_) => return Err(invalid("\"order\" must be asc or desc", "/order")),
    };
    Ok(InboxQuery {
        shards: bearer.tier.limits().shards,
        order,
        after: None,
        event_type,
        status: status.transpose().map_err(|_| {
            let names = Status::ALL.into_iter().filter(|status| status.is_in_inbox()).map(Status::as_str);
            let names: Vec<_> = names.collect();
            invalid(format!("\"status\" must be one of {}", names.join(", ")), "/status")
        })?,
        now,
        limit: limit.ok_or_else(|| invalid(format!("\"limit\" must be 1 to {MAX_LIMIT}"), "/limit"))?,
    })
}

/// What a cursor is bound to besides its tenant.
fn filter_of(query: &InboxQuery) -> String {
    let event_type = query.event_type.as_ref().map(EventType::as_str).unwrap_or_default();
    let status = query.status.map(Status::as_str).unwrap_or_default();
    format!("{:?}\0{event_type}\0{status}", query.order)
}

/// An event as the inbox shows it. The payload stands in it byte for byte as it was accepted.
fn shown(head: &Head, payload: &str) -> String {
    let (event_type, status) = (json!(head.event_type.as_str()), json!(head.status.as_str()));
    let mut members = format!(
        r#"{{"id":"{id}","type":{event_type},"event_type":{event_type},"payload":{payload},"created_at":"{at}","status":{status},"delivery_status":{status},"attempts":{attempts}"#,
        id = head.id,
        at = head.id.accepted_at(),
        attempts = head.attempts(),
    );
    if let Some(dedup_id) = &head.dedup_id {
        let _ = write!(members, r#","dedup_id":{}"#, json!(dedup_id.as_str())); // a String takes everything
    }
    members + "}"
}

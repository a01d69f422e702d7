//! The log: the list of all stored events, one event with its attempts, its replay and its deletion.

use std::collections::BTreeMap;

use axum::extract::{Path, RawQuery, State};
use domain::delivery::DeliveryMessage;
use domain::delivery::run::Run;
use domain::delivery::schedule::{Due, HORIZON};
use domain::endpoint::Endpoint;
use domain::endpoint::id::EndpointId;
use domain::event::id::EventId;
use domain::inbox::replay::{Reopening, targets};
use domain::inbox::{Head, Status};
use domain::job::id::JobId;
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::KeyRecord;
use domain::tenant::stats::TenantChange;
use domain::timestamp::Timestamp;
use futures_util::future::try_join_all;
use http::StatusCode;
use runtime::answer;
use serde::Deserialize;
use serde_json::{Value, json};
use store::events::budget::ResponseBudget;
use store::events::head_item::Found;
use store::events::page::Source;
use store::items::Updated;
use store::ports::Ports;
use store::queues::Delayed;
use store::races::{Round, until_won};
use store::unavailable::PortResult;

use super::endpoints::no_endpoint;
use super::inbox::{answer_page, read_query, to_json_with};
use crate::audit::created;
use crate::body::{OptionalJson, parameter, time};
use crate::caller::{ActiveCaller, Caller, EventsReplay, FreshCaller, InboxRead, TenantAdmin};
use crate::deps::{Api, ApiState};
use crate::failure::Outcome;
use crate::query::query_value;
use crate::{counting, history};

/// The largest number of logged attempts in the response for one event.
const MAX_ATTEMPTS: usize = 1000;

/// Answers `GET /api/events`: a page of all stored events, ordered by time.
pub(crate) async fn list<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxRead>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let query = query.as_deref();
    let mut page_query = read_query(query, &bearer, Source::Log, now)?;
    let query_time = |name| query_value(query, name).map(|text| time(&text, parameter(name))).transpose();
    page_query.since = query_time("since")?;
    page_query.until = query_time("until")?;
    answer_page(&api, &bearer, query, page_query).await
}

/// Answers `GET /api/events/{id}`: the event with its deliveries and their attempts.
pub(crate) async fn read<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxRead>,
    Path(id): Path<String>,
) -> Outcome {
    let found = find(&api, &bearer, &id, now).await?;
    let (payload, attempts, endpoints) = tokio::try_join!(
        api.events.payload(&bearer.tenant, &found),
        api.events.attempts_of(&bearer.tenant, found.head.id, MAX_ATTEMPTS),
        api.control.endpoints(&bearer.tenant),
    )?;
    let payload = payload.ok_or_else(no_event)?;
    let urls: BTreeMap<&EndpointId, &str> =
        endpoints.iter().map(|endpoint| (&endpoint.id, endpoint.url.as_str())).collect();
    let head = &found.head;
    let with_url = |(endpoint, delivery)| history::delivery(endpoint, delivery, urls.get(endpoint).copied());
    let mut deliveries: Vec<Value> = head.deliveries.iter().map(with_url).collect();
    let mut budget = ResponseBudget::default();
    budget.takes(&payload);
    let are_all_logged = attempts.len() < MAX_ATTEMPTS;
    history::add(&mut deliveries, head, &attempts, are_all_logged, &mut budget);
    let body = to_json_with(head, &payload, &[("deliveries", json!(deliveries))]);
    Ok(answer::typed(StatusCode::OK, "application/json", body))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayEvent {
    endpoint_id: Option<String>,
}

/// Answers `POST /api/events/{id}/replay`: sends the event again to all its endpoints, or only to the named endpoint.
pub(crate) async fn replay<P: Ports>(
    State(api): ApiState<P>,
    ActiveCaller(Caller { key: bearer, now, .. }): ActiveCaller<EventsReplay>,
    Path(id): Path<String>,
    OptionalJson(request): OptionalJson<ReplayEvent>,
) -> Outcome {
    // 1. Find the endpoints that get the event again.
    let endpoints = api.control.endpoints(&bearer.tenant).await?;
    let named = request.endpoint_id.as_deref().map(|id| find_id(id, &endpoints)).transpose()?;
    let targets = targets(&endpoints, named.as_ref());
    let run = Run::Replay(JobId::generate_replay(now, &mut rand::rng()));
    let what = Reopening {
        run: &run,
        endpoints: &targets,
        only_undelivered: false,
        also_to: named.as_ref().filter(|named| targets.contains(*named)),
    };

    // 2. Open their deliveries again and send the messages.
    let (seen, reopened) = until_won("opening deliveries again", || async {
        let seen = find(&api, &bearer, &id, now).await?.head;
        let next = seen.reopen(&what, now).ok_or_else(nothing_to_replay)?;
        Ok::<_, Problem>(match reopen(&api, &bearer, &endpoints, (&seen, &next), &run, now).await? {
            Updated::Done => Round::Ended((seen, next)),
            Updated::Raced => Round::Lost,
        })
    })
    .await?;

    let opened: Vec<&str> = reopened.without_attempt_in(&run).map(|(id, _)| id.as_str()).collect();
    let body = json!({"id": seen.id.to_string(), "replay_id": run.as_str(), "endpoint_ids": opened});
    Ok(created(answer::json(StatusCode::ACCEPTED, &body), run.as_str()))
}

/// Opens deliveries again and sends their messages.
///
/// The messages are scheduled before the head is written. If this process ends, a response is lost, or the queue does
/// not answer, the scheduler sends them. A message whose delivery is not open has no effect.
async fn reopen<P: Ports>(
    api: &Api<P>,
    bearer: &KeyRecord,
    endpoints: &[Endpoint],
    (seen, next): (&Head, &Head),
    run: &Run,
    now: Timestamp,
) -> PortResult<Updated> {
    // 1. Schedule the messages.
    let mut messages = Vec::new();
    for (endpoint, delivery) in next.without_attempt_in(run) {
        messages.push(DeliveryMessage::first(&bearer.tenant, next.id, endpoint, delivery, false));
    }
    let at = now.after(2 * HORIZON);
    let rows: Vec<Due> = messages.iter().map(|message| Due { message: message.clone(), at }).collect();
    try_join_all(rows.iter().map(|row| api.schedule.put_due(row, next.expires_at))).await?;

    // 2. Write the head. A lost race can be our own write whose response was lost; the head then has our run.
    let mut updated = api.events.reopen(&bearer.tenant, seen, next).await?;
    if updated == Updated::Raced {
        let current = api.events.head(&bearer.tenant, next.id).await?;
        if current.is_some_and(|found| found.head.was_replayed_by(run)) {
            updated = Updated::Done;
        }
    }

    // 3. Send the messages now, and delete their rows.
    let sending = async {
        if updated == Updated::Done {
            api.deliveries.send(&Delayed::by_lane(messages, endpoints, now)).await?;
        }
        api.schedule.delete_due(&rows).await
    };
    if let Err(error) = sending.await {
        tracing::warn!(cause = %error, "some deliveries of a replay were not sent to the queue; the scheduler will send them");
    }
    Ok(updated)
}

/// Answers `DELETE /api/events/{id}`: deletes the event. A tombstone with its id stays for 15 days, so that no message
/// in flight stores the event again.
pub(crate) async fn delete<P: Ports>(
    State(api): ApiState<P>,
    FreshCaller(Caller { key: bearer, now, .. }): FreshCaller<TenantAdmin>,
    Path(id): Path<String>,
) -> Outcome {
    let id = EventId::parse(&id).ok_or_else(no_event)?;
    let seen: Head = until_won("deleting an event", || async {
        let found = api.events.head(&bearer.tenant, id).await?;
        let seen = found.map(|found| found.head).filter(|head| head.expires_at > now).ok_or_else(no_event)?;
        let is_deleted = seen.status == Status::Deleted
            || api.events.put_tombstone(&bearer.tenant, &seen.tombstone(now)).await? == Updated::Done;
        Ok::<_, Problem>(if is_deleted { Round::Ended(seen) } else { Round::Lost })
    })
    .await?;
    // A repeat also deletes what an earlier request left when it failed.
    api.events.delete_contents(&bearer.tenant, id).await?;
    if seen.in_inbox {
        let change = TenantChange::for_settled(id.accepted_at());
        counting::count(&api, &bearer.tenant, &[change], now).await;
    }
    Ok(answer::no_content())
}

/// Returns the event with this id.
///
/// # Errors
/// 404 if it does not exist, has expired, was deleted, or belongs to another tenant.
async fn find<P: Ports>(
    api: &Api<P>,
    bearer: &KeyRecord,
    id: &str,
    now: Timestamp,
) -> Result<Found, Problem> {
    let id = EventId::parse(id).ok_or_else(no_event)?;
    let found = api.events.head(&bearer.tenant, id).await?;
    found.filter(|found| !found.head.is_expired_or_deleted(now)).ok_or_else(no_event)
}

/// Returns the id of the endpoint with this id.
///
/// # Errors
/// 404 if none of the endpoints has it.
pub(super) fn find_id(id: &str, endpoints: &[Endpoint]) -> Result<EndpointId, Problem> {
    let found = endpoints.iter().find(|endpoint| endpoint.id.as_str() == id);
    found.map(|endpoint| endpoint.id.clone()).ok_or_else(no_endpoint)
}

fn no_event() -> Problem {
    let detail =
        "Not found: no event has this id; check the id; an event can be read about one second after its 202";
    Problem::new(Kind::NotFound, detail)
}

fn nothing_to_replay() -> Problem {
    let detail = "the event has no delivery that can be opened again: all are open, or their endpoints are disabled or \
                  deleted; wait for the open deliveries, enable an endpoint, or name an active one in `/endpoint_id`";
    Problem::new(Kind::NothingToReplay, detail)
}

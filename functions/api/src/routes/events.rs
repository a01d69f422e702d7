//! The log: every event that is kept, one event with all that was tried, its replay, its deletion.

use std::collections::BTreeMap;

use axum::extract::{Path, RawQuery, State};
use domain::delivery::schedule::{Due, HORIZON};
use domain::delivery::{Delivery, DeliveryMessage};
use domain::endpoint::id::EndpointId;
use domain::event::id::EventId;
use domain::inbox::replay::{Reopening, targets};
use domain::inbox::{Head, Status};
use domain::job::JobId;
use domain::problem::{Kind, Problem};
use domain::tenant::api_key::KeyRecord;
use domain::tenant::stats::TenantChange;
use domain::timestamp::Timestamp;
use futures_util::future::try_join_all;
use http::StatusCode;
use runtime::answer;
use serde::Deserialize;
use serde_json::{Value, json};
use store::events::head_item::Found;
use store::events::page::Source;
use store::items::Updated;
use store::ports::Ports;
use store::queues::Delayed;
use store::unavailable::Unavailable;

use super::inbox::{answer_page, read_query, shown_with};
use crate::body::OptionalJson;
use crate::body::{moment, query_value};
use crate::caller::{Caller, EventsReplay, InboxRead, TenantAdmin};
use crate::deps::Api;
use crate::deps::ApiState;
use crate::failure::Outcome;
use crate::{counting, history};

/// More logged attempts of one event are not shown with it.
const MAX_ATTEMPTS: usize = 1000;

/// How often a raced change is decided again before the client is asked to.
const MAX_RACES: usize = 20;

/// `GET /api/events`: a page of all that is kept, by time. To follow what comes in, lease from the inbox.
pub(crate) async fn list<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxRead>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let mut wanted = read_query(query.as_deref(), &bearer, Source::Log, now)?;
    let told =
        |name: &str| query_value(query.as_deref(), name).map(|text| moment(&text, &format!("/{name}")));
    wanted.since = told("since").transpose()?;
    wanted.until = told("until").transpose()?;
    answer_page(&api, &bearer, query.as_deref(), wanted).await
}

/// `GET /api/events/{id}`: the event, and what was tried at each endpoint.
pub(crate) async fn read<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<InboxRead>,
    Path(id): Path<String>,
) -> Outcome {
    let found = found(&api, &bearer, &id, now).await?;
    let (payload, attempts, endpoints) = tokio::try_join!(
        api.events.payload(&bearer.tenant, &found),
        api.events.attempts_of(&bearer.tenant, found.head.id, MAX_ATTEMPTS),
        api.control.endpoints(&bearer.tenant),
    )?;
    let payload = payload.ok_or_else(no_event)?;
    let urls: BTreeMap<&EndpointId, &str> =
        endpoints.iter().map(|endpoint| (&endpoint.id, endpoint.url.as_str())).collect();
    let event = found.head.id;
    let shown = |(id, delivery): (&EndpointId, &Delivery)| {
        let mut shown = history::delivery(id, delivery, urls.get(id).copied());
        shown["history"] = history::of_delivery(event, id, delivery, &attempts).into();
        shown
    };
    let deliveries: Vec<Value> = found.head.deliveries.iter().map(shown).collect();
    let body = shown_with(&found.head, &payload, &[("deliveries", json!(deliveries))]);
    Ok(answer::typed(StatusCode::OK, "application/json", body))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Again {
    endpoint_id: Option<String>,
}

/// `POST /api/events/{id}/replay`: sends the event once more, to every endpoint that had it, or to the one that is named.
pub(crate) async fn replay<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<EventsReplay>,
    Path(id): Path<String>,
    OptionalJson(wanted): OptionalJson<Again>,
) -> Outcome {
    let mut head = found(&api, &bearer, &id, now).await?.head;
    let endpoints = api.control.endpoints(&bearer.tenant).await?;
    let named =
        wanted.endpoint_id.as_deref().map(|id| named(id, endpoints.iter().map(|it| &it.id))).transpose()?;
    let targets = targets(&endpoints, named.as_ref());
    let run = JobId::generate_replay(now, &mut rand::rng());
    let what = Reopening {
        run: run.as_str(),
        endpoints: &targets,
        only_undelivered: false,
        also_to: named.as_ref().filter(|named| targets.contains(*named)),
    };
    for _ in 0..MAX_RACES {
        let next = head.reopen(&what, now).ok_or_else(nothing_to_replay)?;
        if reopened(&api, &bearer, (&head, &next), run.as_str(), now).await? == Updated::Done {
            if !head.status.is_in_inbox() {
                counting::count(
                    &api,
                    &bearer.tenant,
                    &[TenantChange::for_reopened(head.id.accepted_at())],
                    now,
                )
                .await;
            }
            let opened: Vec<&str> =
                next.without_attempt_in(run.as_str()).map(|(id, _)| id.as_str()).collect();
            let body = json!({"id": head.id.to_string(), "replay_id": run.as_str(), "endpoint_ids": opened});
            return Ok(answer::json(StatusCode::ACCEPTED, &body));
        }
        head = found(&api, &bearer, &id, now).await?.head;
    }
    Err(Unavailable::new("opening an event again", "too many races").into())
}

/// Opens deliveries again and sends their messages.
///
/// The messages stand in the schedule before the head says that they are open: should this process die, an answer be lost,
/// or the queue not answer, the scheduler sends them. One that finds nothing open does nothing.
async fn reopened<P: Ports>(
    api: &Api<P>,
    bearer: &KeyRecord,
    (seen, next): (&Head, &Head),
    run: &str,
    now: Timestamp,
) -> Result<Updated, Problem> {
    let first = |(endpoint, delivery): (&EndpointId, &Delivery)| {
        DeliveryMessage::first(&bearer.tenant, next.id, endpoint, delivery, false)
    };
    let messages: Vec<DeliveryMessage> = next.without_attempt_in(run).map(first).collect();
    let at = now.after(2 * HORIZON);
    let rows: Vec<Due> = messages.iter().map(|message| Due { message: message.clone(), at }).collect();
    try_join_all(rows.iter().map(|row| api.schedule.put_due(row, next.expires_at))).await?;
    let mut updated = api.events.reopen(&bearer.tenant, seen, next).await?;
    if updated == Updated::Raced {
        let found = api.events.head(&bearer.tenant, next.id).await?;
        if found.is_some_and(|found| found.head.was_replayed_by(run)) {
            updated = Updated::Done; // we raced with ourselves: the answer to a first try was lost
        }
    }
    let sent = match updated {
        Updated::Done => {
            api.deliveries.send(&messages.into_iter().map(Delayed::not).collect::<Vec<_>>()).await
        }
        Updated::Raced => Ok(()),
    };
    let done = match sent {
        Ok(()) => api.schedule.delete_due(&rows).await,
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        tracing::warn!(cause = %error, "the scheduler sends a replay's messages");
    }
    Ok(updated)
}

/// `DELETE /api/events/{id}`: nothing is left of it but its id, for 15 days, so that nothing brings it back.
pub(crate) async fn delete<P: Ports>(
    State(api): ApiState<P>,
    Caller { key: bearer, now, .. }: Caller<TenantAdmin>,
    Path(id): Path<String>,
) -> Outcome {
    let id = EventId::parse(&id).ok_or_else(no_event)?;
    for _ in 0..MAX_RACES {
        let head = api.events.head(&bearer.tenant, id).await?.map(|found| found.head);
        let head = head.filter(|head| head.expires_at > now).ok_or_else(no_event)?;
        let is_left = head.status == Status::Deleted;
        if is_left || api.events.bury(&bearer.tenant, &head.tombstone(now)).await? == Updated::Done {
            api.events.forget(&bearer.tenant, id).await?; // also what an earlier request did not come to
            if head.status.is_in_inbox() {
                counting::count(&api, &bearer.tenant, &[TenantChange::for_settled(id.accepted_at())], now)
                    .await;
            }
            return Ok(answer::no_content());
        }
    }
    Err(Unavailable::new("deleting an event", "too many races").into())
}

/// The event of this id, if it is the tenant's.
async fn found<P: Ports>(
    api: &Api<P>,
    bearer: &KeyRecord,
    id: &str,
    now: Timestamp,
) -> Result<Found, Problem> {
    let id = EventId::parse(id).ok_or_else(no_event)?;
    let found = api.events.head(&bearer.tenant, id).await?;
    found.filter(|found| !found.head.is_expired_or_deleted(now)).ok_or_else(no_event)
}

/// The endpoint of this id, if it is one of these.
pub(super) fn named<'a>(
    id: &str,
    mut endpoints: impl Iterator<Item = &'a EndpointId>,
) -> Result<EndpointId, Problem> {
    let found = endpoints.find(|endpoint| endpoint.as_str() == id).cloned();
    found.ok_or_else(|| Problem::new(Kind::NotFound, "there is no such endpoint"))
}

fn no_event() -> Problem {
    Problem::new(Kind::NotFound, "there is no such event; one can be found about a second after its 202")
}

fn nothing_to_replay() -> Problem {
    Problem::new(Kind::NothingToReplay, "no delivery of this event can be opened again now")
}

//! What was tried with an event at its endpoints: what was logged, and the last attempt, which stands in the head. A success
//! at the first attempt stands there alone, until a replay needs its place.

use domain::delivery::{Delivery, DeliveryState, LastAttempt};
use domain::endpoint::id::EndpointId;
use domain::event::id::EventId;
use serde_json::{Value, json};
use store::events::attempt_item::LoggedAttempt;

use crate::routes::attempts;

/// A delivery without its attempts.
pub(crate) fn delivery(endpoint: &EndpointId, delivery: &Delivery, url: Option<&str>) -> Value {
    let is_open = delivery.state == DeliveryState::Open;
    json!({
        "endpoint_id": endpoint.as_str(),
        "url": url,
        "state": delivery.state.as_str(),
        "replay_id": attempts::replay_of(&delivery.generation),
        "attempts": delivery.attempts,
        "next_at": is_open.then(|| delivery.next_at.to_string()),
    })
}

/// A delivery's attempts, the first one first.
pub(crate) fn of_delivery(
    event: EventId,
    endpoint: &EndpointId,
    delivery: &Delivery,
    logged: &[LoggedAttempt],
) -> Vec<Value> {
    let mut all: Vec<LoggedAttempt> =
        logged.iter().filter(|attempt| attempt.endpoint == *endpoint).cloned().collect();
    let last = last_attempt(event, endpoint, delivery);
    all.extend(last.filter(|last| !all.iter().any(|attempt| attempt.at == last.at)));
    all.sort_by_key(|attempt| attempt.at);
    all.iter().map(attempts::shown).collect()
}

/// The last attempt of a delivery's run, as far as the head remembers it.
pub(crate) fn last_attempt(
    event: EventId,
    endpoint: &EndpointId,
    delivery: &Delivery,
) -> Option<LoggedAttempt> {
    let last = delivery.last.clone()?;
    let code = last.code().map(u64::from);
    let LastAttempt { at, duration_ms, answer } = last;
    let verdict = match delivery.state {
        DeliveryState::Delivered => "delivered",
        DeliveryState::Failed => "give_up",
        DeliveryState::Open | DeliveryState::Cancelled | DeliveryState::Acked => "retry",
    };
    Some(LoggedAttempt {
        event,
        endpoint: endpoint.clone(),
        generation: delivery.generation.clone(),
        n: delivery.attempts.into(),
        is_probe: false,
        at,
        duration_ms,
        code,
        verdict: verdict.to_owned(),
        error: code.is_none().then_some(answer),
        answer: None,
    })
}

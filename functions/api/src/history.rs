//! The deliveries of an event and their attempts, as the API returns them.
//!
//! The head of an event holds the last attempt of each delivery; the other attempts are in the log. A first attempt
//! that succeeds is only in the head, until a replay opens the delivery again and moves it to the log.

use domain::delivery::verdict::VerdictKind;
use domain::delivery::{Delivery, DeliveryState, LastAttempt};
use domain::endpoint::id::EndpointId;
use domain::event::id::EventId;
use serde_json::{Value, json};
use store::events::attempt_item::LoggedAttempt;

use crate::routes::attempts;

/// Returns a delivery as JSON, without its attempts.
pub(crate) fn delivery(endpoint: &EndpointId, delivery: &Delivery, url: Option<&str>) -> Value {
    let is_open = delivery.state == DeliveryState::Open;
    json!({
        "endpoint_id": endpoint.as_str(),
        "url": url,
        "state": delivery.state.as_str(),
        "replay_id": delivery.run.replay_id(),
        "attempts": delivery.attempts,
        "next_at": is_open.then(|| delivery.next_at.to_string()),
    })
}

/// Returns the attempts of a delivery as JSON, oldest first.
pub(crate) fn attempts(
    event: EventId,
    endpoint: &EndpointId,
    delivery: &Delivery,
    logged: &[LoggedAttempt],
) -> Vec<Value> {
    let mut attempts: Vec<LoggedAttempt> = Vec::new();
    for attempt in logged {
        if attempt.endpoint == *endpoint {
            attempts.push(attempt.clone());
        }
    }
    if let Some(last) = last_attempt(event, endpoint, delivery) {
        let is_logged = attempts.iter().any(|attempt| attempt.at == last.at);
        if !is_logged {
            attempts.push(last);
        }
    }
    attempts.sort_by_key(|attempt| attempt.at);
    attempts.iter().map(attempts::to_json).collect()
}

/// Returns the last attempt of the current run of a delivery, as the head has it.
pub(crate) fn last_attempt(
    event: EventId,
    endpoint: &EndpointId,
    delivery: &Delivery,
) -> Option<LoggedAttempt> {
    let last = delivery.last.clone()?;
    let code = last.code().map(u64::from);
    let LastAttempt { at, duration_ms, answer } = last;
    let verdict = match delivery.state {
        DeliveryState::Delivered => VerdictKind::Delivered,
        DeliveryState::Failed => VerdictKind::GiveUp,
        DeliveryState::Open | DeliveryState::Cancelled | DeliveryState::Acked => VerdictKind::Retry,
    };
    Some(LoggedAttempt {
        event,
        endpoint: endpoint.clone(),
        run: delivery.run.clone(),
        n: delivery.attempts.into(),
        is_probe: false,
        at,
        duration_ms,
        code,
        verdict,
        error: code.is_none().then_some(answer),
        answer: None,
    })
}

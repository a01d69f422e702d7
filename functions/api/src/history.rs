//! The deliveries of an event and their attempts, as the API returns them.
//!
//! The head of an event holds the last attempt of each delivery; the other attempts are in the log. A first attempt
//! that succeeds is only in the head, until a replay opens the delivery again and moves it to the log.

use std::cmp::Reverse;

use domain::delivery::verdict::VerdictKind;
use domain::delivery::{Delivery, DeliveryState, LastAttempt};
use domain::endpoint::id::EndpointId;
use domain::event::id::EventId;
use domain::inbox::Head;
use serde_json::{Value, json};
use store::events::attempt_item::LoggedAttempt;
use store::events::budget::ResponseBudget;

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

/// Adds to each delivery its attempts, oldest first: the newest attempts of the event that fit into the response, and whether
/// older ones are left out. `are_all_logged` says whether `logged` holds all attempts of the log.
pub(crate) fn add(
    deliveries: &mut [Value],
    head: &Head,
    logged: &[LoggedAttempt],
    are_all_logged: bool,
    budget: &mut ResponseBudget,
) {
    // 1. Take the bytes of the deliveries, without attempts.
    for delivery in deliveries.iter_mut() {
        delivery["history"] = json!([]);
        delivery["history_truncated"] = (!are_all_logged).into();
    }
    budget.takes_json(&json!(deliveries).to_string());

    // 2. Sort the attempts of all deliveries, newest first, and count those that fit.
    let mut newest: Vec<(usize, LoggedAttempt)> = Vec::new();
    for (place, (endpoint, delivery)) in head.deliveries.iter().enumerate() {
        let attempts = attempts(head.id, endpoint, delivery, logged);
        newest.extend(attempts.into_iter().map(|attempt| (place, attempt)));
    }
    newest.sort_by_key(|(_, attempt)| Reverse(attempt.at));
    let values = newest.into_iter().map(|(place, attempt)| (place, attempts::to_json(&attempt)));
    let mut values: Vec<(usize, Value)> = values.collect();
    let fitting = values.iter().take_while(|(_, value)| budget.takes_json(&value.to_string())).count();

    // 3. Put them into their deliveries, oldest first.
    for (place, _) in values.drain(fitting..) {
        deliveries[place]["history_truncated"] = true.into();
    }
    for (place, value) in values.into_iter().rev() {
        if let Some(history) = deliveries[place]["history"].as_array_mut() {
            history.push(value);
        }
    }
}

/// Returns the attempts of a delivery.
fn attempts(
    event: EventId,
    endpoint: &EndpointId,
    delivery: &Delivery,
    logged: &[LoggedAttempt],
) -> Vec<LoggedAttempt> {
    let of_endpoint = logged.iter().filter(|attempt| attempt.endpoint == *endpoint);
    let mut attempts: Vec<LoggedAttempt> = of_endpoint.cloned().collect();
    if let Some(last) = last_attempt(event, endpoint, delivery)
        && !attempts.iter().any(|attempt| attempt.at == last.at)
    {
        attempts.push(last);
    }
    attempts
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

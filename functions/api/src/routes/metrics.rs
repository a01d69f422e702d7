//! Metrics as Prometheus text (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::collections::BTreeSet;
use std::fmt::Write;

use axum::extract::State;
use domain::delivery::schedule::SHARDS;
use domain::timestamp::Timestamp;
use futures_util::future::try_join_all;
use http::{HeaderMap, StatusCode};
use runtime::answer;
use store::clock::Clock;
use store::limits::counters::{Counts, QueueName, Wait};
use store::ports::Ports;
use store::queue::{Depth, Queue};
use store::unavailable::PortResult;

use crate::access::{Environment, admin_only};
use crate::deps::{ApiState, MeasuredQueue};
use crate::failure::Outcome;

/// Answers `GET /metrics`. In AWS the request needs the admin token; the local stack has open metrics.
pub(crate) async fn metrics<P: Ports>(State(api): ApiState<P>, headers: HeaderMap) -> Outcome {
    if api.environment == Environment::Aws && !api.admin.is_bearer(&headers) {
        return Err(admin_only().into());
    }
    let parked = async { try_join_all((0..SHARDS).map(|shard| api.schedule.endpoint_rows(shard))).await };
    let queues = std::iter::once(&api.queues.events).chain(&api.queues.deliveries);
    let depths = try_join_all(queues.map(Depths::read));
    let ((counts, waits), parked, queues) = tokio::try_join!(api.limits.counts(), parked, depths)?;
    let partitions = parked.iter().flatten().map(|row| &row.partition);
    let endpoints: BTreeSet<_> = partitions.map(|parked| (&parked.tenant, &parked.endpoint)).collect();
    let text = counters(&counts, endpoints.len()) + &gauges_of_queues(&queues, &waits, api.clock.now());
    Ok(answer::typed(StatusCode::OK, "text/plain; version=0.0.4", text))
}

/// The depths of a queue and of its dead-letter queue, if it is measured with this queue.
struct Depths {
    queue: QueueName,
    messages: Depth,
    dead_letters: Option<Depth>,
}

impl Depths {
    async fn read<Q: Queue>(of: &MeasuredQueue<Q>) -> PortResult<Self> {
        let dead_letters = async {
            match &of.dead_letters {
                Some(queue) => queue.depth().await.map(Some),
                None => Ok(None),
            }
        };
        let (messages, dead_letters) = tokio::try_join!(of.messages.depth(), dead_letters)?;
        Ok(Self { queue: of.name, messages, dead_letters })
    }
}

/// Writes the metrics of events, deliveries and endpoints.
fn counters(counts: &Counts, parked_endpoints: usize) -> String {
    let totals = [
        (
            "accepted",
            "Accepted events, counted when they are stored, or with their first delivery; a batch whose process ends early is not counted",
            counts.accepted,
        ),
        ("stored", "Events stored since the first deployment; a duplicate is not counted", counts.stored),
        ("delivered", "Deliveries that succeeded", counts.delivered),
        ("failed", "Deliveries that failed finally", counts.failed),
        (
            "unreadable",
            "Messages that could not be read; they are stored for the operator",
            counts.unreadable,
        ),
    ];
    let mut text = String::new();
    for (name, help, value) in totals {
        describe(&mut text, &format!("{name}_total"), "counter", help);
        let _ = writeln!(text, "triggers_{name}_total {value}");
    }
    describe(
        &mut text,
        "open_breakers",
        "gauge",
        "Endpoints with parked deliveries: the circuit breaker is open, they are paused, or they catch up",
    );
    let _ = writeln!(text, "triggers_open_breakers {parked_endpoints}");
    let pending = (counts.stored + counts.returned).saturating_sub(counts.settled);
    describe(&mut text, "pending", "gauge", "Events in the inbox, including expired ones");
    let _ = writeln!(text, "triggers_pending {pending}");
    text
}

/// Writes the metrics of the queues.
fn gauges_of_queues(queues: &[Depths], waits: &[Wait], now: Timestamp) -> String {
    let mut text = String::new();
    describe(&mut text, "queue_depth", "gauge", "Approximate number of messages in the queue");
    for Depths { queue, messages, .. } in queues {
        let queue = queue.as_str();
        let states =
            [("visible", messages.visible), ("in_flight", messages.in_flight), ("delayed", messages.delayed)];
        for (state, count) in states {
            let _ = writeln!(text, r#"triggers_queue_depth{{queue="{queue}",state="{state}"}} {count}"#);
        }
    }
    describe(
        &mut text,
        "queue_oldest_age_seconds",
        "gauge",
        "Age of the oldest message of the last batch that was not received before; 0 if no message is visible",
    );
    for Depths { queue, messages, .. } in queues {
        let wait = waits.iter().find(|wait| wait.queue == *queue && messages.visible > 0);
        let seconds = wait.map_or(0.0, |wait| wait.at(now).as_secs_f64());
        let queue = queue.as_str();
        let _ = writeln!(text, r#"triggers_queue_oldest_age_seconds{{queue="{queue}"}} {seconds}"#);
    }
    let help = "Approximate number of messages in the dead-letter queue; deliveries and deliveries-slow have the same one";
    describe(&mut text, "dead_letters", "gauge", help);
    for Depths { queue, dead_letters, .. } in queues {
        let (Some(dead_letters), queue) = (dead_letters, queue.as_str()) else { continue };
        let count = dead_letters.visible + dead_letters.in_flight;
        let _ = writeln!(text, r#"triggers_dead_letters{{queue="{queue}"}} {count}"#);
    }
    text
}

/// Writes the help and the type of a metric. Writing to a `String` cannot fail.
fn describe(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP triggers_{name} {help}.\n# TYPE triggers_{name} {kind}");
}

#[cfg(test)]
mod tests {
    use domain::delivery::lane::Lane;

    use super::*;

    #[test]
    fn the_age_is_0_for_a_queue_without_visible_messages() {
        let wait = |queue| Wait { queue, waited_ms: 1500, at: Timestamp::from_seconds(1) };
        let deliveries = QueueName::Deliveries(Lane::Quick);
        let waits = [wait(QueueName::Events), wait(deliveries)];
        let busy = Depth { visible: 1, ..Depth::default() };
        let queues = [
            Depths { queue: QueueName::Events, messages: busy, dead_letters: None },
            Depths { queue: deliveries, messages: Depth::default(), dead_letters: Some(busy) },
        ];
        let text = gauges_of_queues(&queues, &waits, Timestamp::from_seconds(2));
        assert!(text.contains("triggers_queue_oldest_age_seconds{queue=\"events\"} 1.5\n"), "{text}");
        assert!(text.contains("triggers_queue_oldest_age_seconds{queue=\"deliveries\"} 0\n"), "{text}");
        assert!(text.contains("triggers_dead_letters{queue=\"deliveries\"} 1\n"), "{text}");
        assert!(!text.contains("triggers_dead_letters{queue=\"events\"}"), "it is not measured here: {text}");
    }
}

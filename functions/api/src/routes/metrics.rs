//! Metrics as Prometheus text (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::Write;
use std::time::Duration;

use axum::extract::State;
use domain::delivery::schedule::SHARDS;
use futures_util::future::try_join_all;
use http::{HeaderMap, StatusCode};
use runtime::answer;
use store::limits::counters::{Counts, QueueName, Wait};
use store::queue::Depth;
use store::queue::Queue;

use crate::access::{Environment, admin_only};
use crate::deps::ApiState;
use crate::failure::Outcome;
use store::ports::Ports;

/// `GET /metrics`: for the bearer of the admin token, or for anybody on the local stack.
pub(crate) async fn metrics<P: Ports>(State(api): ApiState<P>, headers: HeaderMap) -> Outcome {
    if api.environment == Environment::Aws && !api.admin.is_bearer(&headers) {
        return Err(admin_only().into());
    }
    let queues = &api.queues;
    let held = async { try_join_all((0..SHARDS).map(|shard| api.schedule.endpoint_rows(shard))).await };
    let ((counts, waits), held, events, deliveries, lost_events, lost_deliveries) = tokio::try_join!(
        api.limits.counts(),
        held,
        queues.events.depth(),
        queues.deliveries.depth(),
        queues.events_dead_letters.depth(),
        queues.deliveries_dead_letters.depth(),
    )?;
    let depths =
        [(QueueName::Events, events, lost_events), (QueueName::Deliveries, deliveries, lost_deliveries)];
    let held = held.iter().map(Vec::len).sum();
    Ok(answer::typed(StatusCode::OK, "text/plain; version=0.0.4", text(&counts, held, &depths, &waits)))
}

fn text(counts: &Counts, held: usize, queues: &[(QueueName, Depth, Depth)], waits: &[Wait]) -> String {
    let mut text = String::new();
    let totals = [
        (
            "accepted",
            "Accepted events, counted as they leave their queue; not those of a batch whose process died",
            counts.accepted,
        ),
        ("stored", "Events stored, each once", counts.stored),
        ("delivered", "Deliveries that an endpoint took", counts.delivered),
        ("failed", "Deliveries that failed for good", counts.failed),
        ("unreadable", "Messages that nobody could read, kept for a human", counts.unreadable),
    ];
    for (name, help, value) in totals {
        let _ = writeln!(text, "# HELP triggers_{name}_total {help}.\n# TYPE triggers_{name}_total counter");
        let _ = writeln!(text, "triggers_{name}_total {value}");
    }
    text += "# HELP triggers_open_breakers Endpoints with parked deliveries: their breaker is open, they are paused, or they drain.\n";
    let _ = writeln!(text, "# TYPE triggers_open_breakers gauge\ntriggers_open_breakers {held}");
    let pending = (counts.stored + counts.returned).saturating_sub(counts.settled);
    text += "# HELP triggers_pending Stored events that nobody took or acknowledged yet, expired ones included.\n";
    let _ = writeln!(text, "# TYPE triggers_pending gauge\ntriggers_pending {pending}");
    text += "# HELP triggers_queue_depth Messages in a queue, about.\n# TYPE triggers_queue_depth gauge\n";
    for (queue, depth, _) in queues {
        for (state, count) in
            [("visible", depth.visible), ("in_flight", depth.in_flight), ("delayed", depth.delayed)]
        {
            let _ = writeln!(
                text,
                r#"triggers_queue_depth{{queue="{}",state="{state}"}} {count}"#,
                queue.as_str()
            );
        }
    }
    text += "# HELP triggers_queue_oldest_age_seconds How long the oldest new message of the last batch had waited; 0 while none waits.\n";
    text += "# TYPE triggers_queue_oldest_age_seconds gauge\n";
    for (queue, depth, _) in queues {
        let wait = waits.iter().find(|wait| wait.queue == *queue && depth.visible > 0);
        let seconds = wait.map_or(0.0, |wait| Duration::from_millis(wait.waited_ms).as_secs_f64());
        let _ =
            writeln!(text, r#"triggers_queue_oldest_age_seconds{{queue="{}"}} {seconds}"#, queue.as_str());
    }
    text += "# HELP triggers_dead_letters Messages in a dead-letter queue, about.\n# TYPE triggers_dead_letters gauge\n";
    for (queue, _, lost) in queues {
        let count = lost.visible + lost.in_flight;
        let _ = writeln!(text, r#"triggers_dead_letters{{queue="{}"}} {count}"#, queue.as_str());
    }
    text
}

#[cfg(test)]
mod tests {
    use domain::timestamp::Timestamp;

    use super::*;

    #[test]
    fn the_age_is_that_of_a_queue_in_which_something_waits() {
        let wait = |queue| Wait { queue, waited_ms: 1500, at: Timestamp::from_seconds(1) };
        let waits = [wait(QueueName::Events), wait(QueueName::Deliveries)];
        let busy = Depth { visible: 1, ..Depth::default() };
        let queues = [
            (QueueName::Events, busy, Depth::default()),
            (QueueName::Deliveries, Depth::default(), Depth::default()),
        ];
        let text = text(&Counts::default(), 3, &queues, &waits);
        assert!(text.contains("triggers_open_breakers 3\n"), "{text}");
        assert!(text.contains("triggers_queue_oldest_age_seconds{queue=\"events\"} 1.5\n"), "{text}");
        assert!(text.contains("triggers_queue_oldest_age_seconds{queue=\"deliveries\"} 0\n"), "{text}");
    }
}

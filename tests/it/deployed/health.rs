//! Whether it lives, whether it can work, and its numbers.

use crate::deployed::support::stack::shared;
use crate::support::client::{Reply, Tenant, call};
use crate::support::eventually;
use crate::support::metrics::samples;
use crate::support::receiver::Receiver;

fn get(path: &str) -> Reply {
    call("GET", &format!("{}{path}", shared().summary().url), &[], "")
}

#[test]
fn whoever_asks_is_told_that_it_lives_and_can_work() {
    for path in ["/health", "/health/live"] {
        let alive = get(path).expect(200);
        assert_eq!(alive.json()["status"], "healthy");
        assert!(alive.json()["version"].as_str().is_some_and(|version| version.split('.').count() == 3));
        assert!(alive.header("x-request-id").is_some());
    }
    let is_ready = || Some(get("/health/ready")).filter(|reply| reply.status == 200);
    let ready = eventually("queue and table answer within a second", is_ready).json();
    assert_eq!(ready, serde_json::json!({"status": "ready", "checks": {"queue": "ok", "table": "ok"}}));
}

#[test]
fn the_numbers_are_prometheus_text_and_move_with_an_event() {
    let metrics = || {
        let reply = get("/metrics").expect(200);
        assert!(reply.header("content-type").unwrap().starts_with("text/plain"));
        assert!(reply.text().ends_with('\n'), "the format's last line ends too");
        samples(&reply.text())
    };
    let before = metrics();
    for name in [
        r#"triggers_queue_depth{queue="events",state="visible"}"#,
        r#"triggers_queue_depth{queue="deliveries",state="in_flight"}"#,
        r#"triggers_dead_letters{queue="events"}"#,
        r#"triggers_dead_letters{queue="deliveries"}"#,
        r#"triggers_queue_depth{queue="deliveries-slow",state="in_flight"}"#,
        "triggers_pending",
    ] {
        assert!(before.contains_key(name), "{name}: {before:?}");
    }
    let (tenant, good, gone) = (Tenant::deployed(), Receiver::answering(200), Receiver::answering(410));
    tenant.set_webhook(&good.url());
    let delivered = tenant.accepted("a");
    tenant.stored_as("delivered", &delivered);
    tenant.set_webhook(&gone.url());
    let failed = tenant.accepted("a");
    tenant.stored_as("failed", &failed);
    for (name, by) in [("accepted", 2.0), ("stored", 2.0), ("delivered", 1.0), ("failed", 1.0)] {
        let name = format!("triggers_{name}_total");
        eventually(&format!("{name} has grown by {by}"), || {
            (metrics()[&name] >= before[&name] + by).then_some(())
        });
    }
}

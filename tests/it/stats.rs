//! What a tenant's owner is shown of how it goes.

use serde_json::{Value, json};

use crate::support::client::Tenant;
use crate::support::eventually;
use crate::support::receiver::{Answer, Receiver};

fn stats(tenant: &Tenant, query: &str) -> Value {
    tenant.get(&format!("/api/stats{query}")).expect(200).json()
}

/// These members, in this order.
fn members<const N: usize>(stats: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| stats[name].as_u64().unwrap_or_else(|| panic!("no {name}: {stats}")))
}

const COUNTS: [&str; 6] = ["accepted", "stored", "delivered", "failed", "acked", "pending"];

fn endpoint(tenant: &Tenant, receiver: &Receiver, pattern: &str) {
    let body = json!({"url": receiver.url(), "event_types": [pattern]});
    tenant.post("/api/endpoints", body.to_string()).expect(201);
}

#[test]
fn what_happened_is_counted_exactly_and_for_its_tenant_alone() {
    let (tenant, other, good) = (Tenant::new(), Tenant::new(), Receiver::answering(200));
    let flaky = Receiver::with_script([Answer::status(500), Answer::status(200)]);
    let gone = Receiver::answering(410);
    for (receiver, pattern) in [(&good, "order.*"), (&flaky, "order.retried"), (&gone, "order.refused")] {
        endpoint(&tenant, receiver, pattern);
    }
    let taken: Vec<String> = (0..10).map(|_| tenant.accepted("order.created")).collect();
    let refused = tenant.accepted("order.refused");
    let waiting = tenant.accepted("invoice.paid");
    let acked = tenant.accepted("invoice.paid");
    let retried = tenant.accepted("order.retried");
    tenant.shown_as("pending", &waiting);
    tenant.shown_as("pending", &acked);
    for _ in 0..2 {
        tenant.acknowledge(&acked).expect(200);
    }
    for id in &taken {
        tenant.stored_as("delivered", id);
    }
    tenant.stored_as("failed", &refused);
    tenant.stored_as("delivered", &retried); // five seconds later, by its second attempt

    // 15 stored: these 14, and the event that tells of the endpoint that is gone, which waits too. Delivered: eleven by the
    // good one at once, and twice what was retried.
    let counted = eventually("all is counted", || {
        let stats = stats(&tenant, "?window=1h");
        (members(&stats, COUNTS) == [14, 15, 13, 1, 1, 3]).then_some(stats)
    });
    let waited = &counted["first_attempt_ms"];
    let [count, p50, p95, p99] = members(waited, ["count", "p50", "p95", "p99"]);
    println!("{count} first attempts within {p50} ms (p50), {p95} ms (p95), {p99} ms (p99)");
    assert_eq!(count, 14, "twelve at the good one, and one at each other: a retry is no first attempt");
    assert!(0 < p50 && p50 <= p95 && p95 <= p99 && p99 < 60_000, "{waited}");
    assert_eq!(
        members(&stats(&tenant, ""), COUNTS),
        members(&counted, COUNTS),
        "an hour, unless asked otherwise"
    );

    let series = stats(&tenant, "?window=1h&step=1m");
    let buckets = series["series"].as_array().expect("a series");
    assert_eq!((buckets.len(), &series["step_seconds"]), (61, &json!(60)));
    assert_eq!((&buckets[0]["at"], &counted["series"]), (&series["since"], &Value::Null));
    for name in ["accepted", "stored", "delivered", "failed", "acked"] {
        let sum: u64 = buckets.iter().map(|bucket| bucket[name].as_u64().expect("a number")).sum();
        assert_eq!(sum, members(&series, [name])[0], "{name}");
    }

    let nothing = stats(&other, "?window=24h");
    assert_eq!(members(&nothing, COUNTS), [0; 6]);
    assert_eq!(nothing["first_attempt_ms"], json!({"count": 0, "p50": null, "p95": null, "p99": null}));
    assert_eq!(nothing["window_seconds"], 86_400);
    assert!(nothing["since"].as_str() < nothing["until"].as_str(), "{nothing}");
}

#[test]
fn a_window_is_a_minute_to_a_day_and_wants_a_key_that_may_read() {
    let tenant = Tenant::new();
    for window in ["1m", "90m", "24h", ""] {
        stats(&tenant, &format!("?window={window}"));
    }
    for window in ["0m", "25h", "1441m", "1d", "60", "1.5h", "-1h"] {
        let document = tenant.get(&format!("/api/stats?window={window}")).problem(422, "invalid");
        assert_eq!(document["errors"][0]["parameter"], "window", "{window}");
    }
    for (query, step, buckets) in [
        ("?window=24h&step=15m", 900, 97),
        ("?window=5m&step=1h", 3600, 1),
        ("?window=24h&step=60m", 3600, 25),
    ] {
        let series = stats(&tenant, query);
        let count = series["series"].as_array().map(Vec::len).expect("a series");
        assert!((buckets..=buckets + 1).contains(&count), "{query}: {count}");
        assert_eq!(series["step_seconds"], step);
    }
    for step in ["0m", "61m", "2h", "1s"] {
        let document = tenant.get(&format!("/api/stats?step={step}")).problem(422, "invalid");
        assert_eq!(document["errors"][0]["parameter"], "step", "{step}");
    }
    tenant.further_key(&["events:write"]).get("/api/stats").problem(403, "forbidden");
}

//! A tier's events per minute are granted, and not one more.

use serde_json::{Value, json};

use crate::support::client::{Reply, Tenant};
use crate::support::within_one_minute;

const GOOD: &str = r#"{"type":"a","payload":1}"#;

fn batch(tenant: &Tenant, count: usize) -> Reply {
    let events = vec![json!({"type": "a", "payload": 1}); count];
    tenant.post("/api/events/batch", json!({"events": events}).to_string())
}

fn accepted(reply: &Reply) -> Value {
    reply.json()["accepted"].clone()
}

#[test]
fn the_101st_event_of_a_free_tenant_in_one_minute_is_refused_with_the_time_to_wait() {
    let replies: Vec<Reply> = within_one_minute(|| {
        let tenant = Tenant::of_tier("free");
        (0..102).map(|_| tenant.post_event(GOOD)).collect()
    });
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses[..100], [202; 100]);
    for refused in &replies[100..] {
        refused.problem(429, "rate-limited");
        let seconds: u32 = refused.header("retry-after").and_then(|text| text.parse().ok()).unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
        assert_eq!(refused.header("x-ratelimit-reset"), refused.header("retry-after"));
    }
}

#[test]
fn the_items_of_a_batch_beyond_the_remaining_events_are_refused_one_by_one() {
    let replies = within_one_minute(|| {
        let tenant = Tenant::of_tier("free");
        vec![tenant.post_event(GOOD), batch(&tenant, 101)]
    });
    replies[0].json();
    let answer = replies[1].json();
    assert_eq!(replies[1].status, 207, "{answer}");
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(99), &json!(2)), "99 of 100 were left");
    let results = answer["results"].as_array().unwrap();
    assert!(results[..99].iter().all(|result| result["status"] == "accepted"), "in order");
    for refused in &results[99..] {
        assert_eq!(refused["error"]["status"], 429, "{refused}");
    }
}

#[test]
fn one_tenants_spent_minute_is_nobody_elses() {
    let replies = within_one_minute(|| {
        let (spender, other) = (Tenant::of_tier("free"), Tenant::of_tier("free"));
        vec![batch(&spender, 100), spender.post_event(GOOD), other.post_event(GOOD)]
    });
    assert_eq!(accepted(&replies[0]), 100);
    assert_eq!((replies[1].status, replies[2].status), (429, 202));
}

//! A tier's events per minute are granted, and not one more.

use std::thread;

use domain::tenant::rate_limit::RETRY_SPREAD_SECONDS;
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
        assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
        let seconds: u32 = refused.header("x-ratelimit-reset").and_then(|text| text.parse().ok()).unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert!((seconds..=seconds + RETRY_SPREAD_SECONDS).contains(&refused.retry_after()));
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
    let reset: u32 = replies[1].header("x-ratelimit-reset").and_then(|text| text.parse().ok()).unwrap();
    assert!((reset..=reset + RETRY_SPREAD_SECONDS).contains(&replies[1].retry_after()));
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

#[test]
fn a_key_with_a_limit_of_its_own_is_refused_before_its_tenant() {
    let replies = within_one_minute(|| {
        let tenant = Tenant::of_tier("free");
        let body =
            json!({"name": "narrow", "scopes": ["events:write"], "rate_limit_per_minute": 2}).to_string();
        let made = tenant.post("/api/keys", body).expect(201).json();
        let narrow = tenant.with_key(made["api_key"].as_str().unwrap());
        let mut replies: Vec<Reply> = (0..3).map(|_| narrow.post_event(GOOD)).collect();
        replies.push(tenant.post_event(GOOD));
        replies
    });
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [202, 202, 429, 202]);
    assert_eq!(replies[2].header("ratelimit-policy"), Some("\"key\";q=2;w=60"));
    assert_eq!(replies[3].header("ratelimit-policy"), Some("\"events\";q=100;w=60"));
}

#[test]
fn every_answer_to_a_good_key_tells_where_it_stands() {
    let tenant = Tenant::of_tier("free");
    let reader = tenant.further_key(&["inbox:read"]);
    let events = [tenant.post_event(GOOD), tenant.post_event("{"), reader.post_event(GOOD)];
    assert_eq!([202, 400, 403], [events[0].status, events[1].status, events[2].status]);
    let requests = [tenant.get("/api/inbox"), tenant.acknowledge("evt_none"), tenant.get("/api/nothing")];
    assert_eq!([200, 404, 404], [requests[0].status, requests[1].status, requests[2].status]);
    for (replies, policy, limit) in
        [(&events, "\"events\";q=100;w=60", "100"), (&requests, "\"requests\";q=600;w=60", "600")]
    {
        for reply in replies {
            assert_eq!(reply.header("ratelimit-policy"), Some(policy), "{}", reply.text());
            assert_eq!(reply.header("x-ratelimit-limit"), Some(limit));
            for name in ["ratelimit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
                assert!(reply.header(name).is_some(), "{name}");
            }
        }
    }
    let stranger = tenant.with_key("trg_live_unknown");
    for refused in [stranger.post_event(GOOD), stranger.get("/api/inbox")] {
        assert_eq!((refused.status, refused.header("ratelimit")), (401, None));
    }
}

/// Each of the two processes of api may keep some tokens of its last slice.
#[test]
fn requests_beyond_their_own_limit_are_refused_and_events_are_not() {
    let replies = within_one_minute(|| {
        let tenant = Tenant::of_tier("free");
        let some = || (0..155).map(|_| tenant.get("/api/inbox?limit=1")).collect::<Vec<Reply>>();
        let mut replies: Vec<Reply> = thread::scope(|scope| {
            let four = [(); 4].map(|()| scope.spawn(some));
            four.into_iter().flat_map(|posts| posts.join().unwrap()).collect()
        });
        replies.extend([tenant.get("/api/inbox?limit=1"), tenant.post_event(GOOD)]);
        replies
    });
    let [requests @ .., last, event] = &replies[..] else { panic!("620 and two") };
    let answered = requests.iter().filter(|reply| reply.status == 200).count();
    assert!((580..=600).contains(&answered), "{answered}");
    last.problem(429, "rate-limited");
    assert!(last.header("retry-after").is_some());
    assert_eq!(event.status, 202);
}

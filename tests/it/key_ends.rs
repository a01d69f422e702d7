//! How API keys end: at their time, by deletion, and by rotation.

use std::thread;
use std::time::{Duration, Instant};

use aws::system_clock::SystemClock;
use serde_json::{Value, json};
use store::clock::Clock;

use crate::support::client::Tenant;
use crate::support::eventually;

const GOOD: &str = r#"{"type":"a","payload":1}"#;

/// What the list shows of the tenant's keys.
fn listed(tenant: &Tenant) -> Vec<Value> {
    tenant.get("/api/keys").expect(200).json()["keys"].as_array().expect("a list").clone()
}

/// The public id of the key of this name.
pub(crate) fn id_of(tenant: &Tenant, name: &str) -> String {
    let keys = listed(tenant);
    let key = keys.iter().find(|key| key["name"] == name).expect("a key of this name");
    key["id"].as_str().expect("an id").to_owned()
}

/// Replaces a key; the answer.
pub(crate) fn rotate(key: &Tenant, body: &Value) -> Value {
    key.post("/api/keys/rotate", body.to_string()).expect(200).json()
}

/// The statuses of eight posts at once, so that every process of ingest sees the key.
pub(crate) fn post_at_once(key: &Tenant) -> Vec<u16> {
    thread::scope(|scope| {
        let posts: Vec<_> = (0..8).map(|_| scope.spawn(|| key.post_event(GOOD).status)).collect();
        posts.into_iter().map(|post| post.join().expect("it is answered")).collect()
    })
}

/// Waits until every process of ingest refuses the key, three times in a row; how long it took.
pub(crate) fn time_until_dead(key: &Tenant) -> Duration {
    let began = Instant::now();
    let mut refused_in_a_row = 0;
    eventually("the key is dead", || {
        let statuses = post_at_once(key);
        assert!(statuses.iter().all(|status| [202, 401].contains(status)), "{statuses:?}");
        refused_in_a_row = if statuses.contains(&202) { 0 } else { refused_in_a_row + 1 };
        (refused_in_a_row == 3).then(|| began.elapsed())
    })
}

#[test]
fn a_key_ends_when_it_was_said_to() {
    let tenant = Tenant::new();
    let create = |expires_at: &str| {
        let body = json!({"name": "short", "scopes": ["events:write"], "expires_at": expires_at});
        tenant.post("/api/keys", body.to_string())
    };
    let end = SystemClock.now().after(Duration::from_secs(10));
    let made = create(&end.to_string()).expect(201).json();
    assert_eq!(made["expires_at"], end.to_string());
    let key = tenant.with_key(made["api_key"].as_str().unwrap());
    key.post_event(GOOD).expect(202);
    time_until_dead(&key);
    assert!(SystemClock.now() >= end, "not before");
    for past in ["2020-01-01T00:00:00Z", "soon", ""] {
        assert_eq!(create(past).problem(422, "invalid")["errors"][0]["pointer"], "/expires_at", "{past}");
    }
}

#[test]
fn a_deleted_key_is_listed_no_more() {
    let tenant = Tenant::new();
    let key = tenant.further_key(&["events:write"]);
    let path = format!("/api/keys/{}", id_of(&tenant, "further"));
    Tenant::new().call("DELETE", &path, &[], "").problem(404, "not-found");
    key.post_event(GOOD).expect(202);
    let reply = tenant.call("DELETE", &path, &[], "").expect(204);
    assert!(reply.body.is_empty());
    assert_eq!(listed(&tenant).len(), 1);
    tenant.call("DELETE", &path, &[], "").problem(404, "not-found");
    tenant.post_event(GOOD).expect(202);
}

#[test]
fn a_rotation_gives_another_key_of_the_same_name_and_scopes() {
    let tenant = Tenant::new();
    let old = tenant.further_key(&["events:write", "keys:admin"]);
    let made = rotate(&old, &json!({}));
    assert_eq!((&made["name"], &made["scopes"]), (&json!("further"), &json!(["events:write", "keys:admin"])));
    let new = tenant.with_key(made["api_key"].as_str().unwrap());
    new.post_event(GOOD).expect(202);
    assert_eq!(listed(&new).len(), 2);
    new.get("/api/inbox").problem(403, "forbidden");
}

#[test]
fn an_overlap_keeps_the_old_key() {
    let old = Tenant::new();
    let new = old.with_key(rotate(&old, &json!({"overlap_seconds": 3600}))["api_key"].as_str().unwrap());
    for key in [&old, &new] {
        key.post_event(GOOD).expect(202);
        key.get("/api/inbox").expect(200);
    }
    let ends: Vec<bool> = listed(&new).iter().map(|key| key["expires_at"].is_string()).collect();
    assert_eq!((ends.len(), ends.iter().filter(|ends| **ends).count()), (2, 1), "the old one ends");
    let too_long = new.post("/api/keys/rotate", r#"{"overlap_seconds":1000000}"#);
    assert_eq!(too_long.problem(422, "invalid")["errors"][0]["pointer"], "/overlap_seconds");
}

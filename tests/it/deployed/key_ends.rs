//! The end of an API key at every process.

use std::thread;

use serde_json::json;

use crate::key_ends::{id_of, post_at_once, rotate, time_until_dead};
use crate::support::client::Tenant;

const GOOD: &str = r#"{"type":"a","payload":1}"#;

#[test]
fn a_key_that_ended_is_dead_everywhere_within_a_minute() {
    let of_known_key = || {
        let tenant = Tenant::deployed_of_tier("enterprise"); // the polls below are many
        assert_eq!(post_at_once(&tenant), [202; 8]);
        tenant
    };
    let (rotated, overlapped, owner) = (of_known_key(), of_known_key(), of_known_key());
    let deleted = owner.further_key(&["events:write"]);
    assert_eq!(post_at_once(&deleted), [202; 8]);

    let path = format!("/api/keys/{}", id_of(&owner, "further"));
    owner.call("DELETE", &path, &[], "").expect(204);
    let new = rotated.with_key(rotate(&rotated, &json!({}))["api_key"].as_str().unwrap());
    rotate(&overlapped, &json!({"overlap_seconds": 1}));
    thread::scope(|scope| {
        for (what, key) in [("deleted", &deleted), ("rotated", &rotated), ("overlapped for 1 s", &overlapped)]
        {
            scope.spawn(move || {
                println!("a key that was {what} was dead everywhere after {:?}", time_until_dead(key));
                key.get("/api/inbox").problem(401, "unauthorized");
            });
        }
    });
    new.post_event(GOOD).expect(202);
    owner.post_event(GOOD).expect(202);
}

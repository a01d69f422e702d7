//! The contract's rules for JSON values: what is kept as it was written, and what is refused.

use crate::support::client::{Reply, Tenant};
use crate::support::tables;

fn post(tenant: &Tenant, payload: &str) -> Reply {
    tenant.post_event(format!(r#"{{"type":"a","payload":{payload}}}"#))
}

#[test]
fn a_number_of_64_characters_is_kept_as_it_was_written_and_a_longer_one_refused() {
    let tenant = Tenant::new();
    for number in ["1".repeat(64), format!("-0.{}e+30", "7".repeat(57)), "1E400".to_owned(), "-0".to_owned()]
    {
        assert!(number.len() <= 64);
        let id = post(&tenant, &format!("[{number}]")).expect(202).id();
        tenant.stored_as("pending", &id);
        let text = tenant.get("/api/inbox?limit=1").expect(200).text();
        assert!(text.contains(&format!("\"payload\":[{number}]")), "{text}");
    }
    for number in ["1".repeat(65), format!("0.{}", "7".repeat(63))] {
        post(&tenant, &format!("[{number}]")).problem(422, "invalid");
    }
    assert_eq!(tables::all_stored(&tenant, 1).len(), 4);
}

#[test]
fn a_key_given_twice_is_refused() {
    let tenant = Tenant::new();
    for payload in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"c":2,"a":3}}]"#, r#"{"a":1,"\u0061":2}"#] {
        post(&tenant, payload).problem(400, "malformed");
    }
    tenant.post_event(r#"{"type":"a","type":"b","payload":1}"#).problem(400, "malformed");
    tenant.post("/api/events/batch", r#"{"events":[],"events":[]}"#).problem(400, "malformed");
}

#[test]
fn half_a_character_is_refused() {
    let tenant = Tenant::new();
    for payload in [r#""\ud83d""#, r#""\ude00\ud83d""#, r#"{"\ud83d":1}"#, r#""\ud83d\u0041""#] {
        post(&tenant, payload).problem(400, "malformed");
    }
    let whole = post(&tenant, r#""\ud83d\ude00""#).expect(202).id();
    assert_eq!(tenant.shown_as("pending", &whole)["payload"], "\u{1f600}");
}

#[test]
fn what_is_nested_too_deeply_is_refused() {
    let tenant = Tenant::new();
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    post(&tenant, &nested(31)).expect(202);
    for depth in [33, 127, 128, 10_000] {
        post(&tenant, &nested(depth)).problem(422, "invalid");
    }
    post(&tenant, &format!("[{}1]", "1,".repeat(9_000))).expect(202);
    post(&tenant, &format!("[{}1]", "1,".repeat(10_001))).problem(422, "invalid");
}

#[test]
fn the_same_rules_hold_for_the_items_of_a_batch() {
    let tenant = Tenant::new();
    let items = [
        r#"{"type":"a","payload":{"a":1,"a":2}}"#,
        r#"{"type":"a","payload":"\ud83d"}"#,
        r#"{"type":"a","payload":1}"#,
    ];
    let answer =
        tenant.post("/api/events/batch", format!(r#"{{"events":[{}]}}"#, items.join(","))).expect(207).json();
    let statuses = [0, 1, 2].map(|index| answer["results"][index]["error"]["status"].as_u64());
    assert_eq!(statuses, [Some(400), Some(400), None]);
}

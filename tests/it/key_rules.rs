//! Which keys a key may delete.

use serde_json::{Value, json};
use store::testing::faults::Fault;
use tokio::join;

use crate::key_ends::{id_of, rotate};
use crate::pipeline::{Pipeline, Response};
use crate::support::client::{Reply, Tenant};

/// Deletes the key of this id with the key of `asking`.
fn delete(asking: &Tenant, id: &str) -> Reply {
    asking.call("DELETE", &format!("/api/keys/{id}"), &[], "")
}

/// The members `id` and `api_key` of an answer, as text.
fn made(answer: &Value) -> (String, String) {
    let text = |name: &str| answer[name].as_str().expect("a text").to_owned();
    (text("id"), text("api_key"))
}

#[test]
fn a_key_deletes_no_key_that_has_a_scope_it_lacks() {
    let owner = Tenant::new();
    let limited = owner.further_key(&["keys:admin", "inbox:read"]);
    let document = delete(&limited, &id_of(&owner, "default")).problem(403, "forbidden");
    assert!(document["detail"].as_str().unwrap().contains("events:write"), "{document}");
    owner.get("/api/inbox").expect(200);
    delete(&owner, &id_of(&owner, "further")).expect(204);
    delete(&limited, &id_of(&owner, "default")).problem(401, "unauthorized");
}

#[test]
fn the_last_key_that_manages_keys_stays_until_another_one_lasts_as_long() {
    let owner = Tenant::new();
    let id = id_of(&owner, "default");
    owner.further_key(&["inbox:read"]);
    let document = delete(&owner, &id).problem(409, "last-admin-key");
    assert!(document["detail"].as_str().unwrap().contains("/api/keys/rotate"), "{document}");
    let ending = json!({"name": "ending", "scopes": ["keys:admin"], "expires_at": "2999-01-01T00:00:00Z"});
    owner.post("/api/keys", ending.to_string()).expect(201);
    delete(&owner, &id).problem(409, "last-admin-key");

    let other = owner.post("/api/keys", json!({"name": "other", "scopes": ["keys:admin"]}).to_string());
    let (_, key) = made(&other.expect(201).json());
    delete(&owner, &id).expect(204);
    let other = owner.with_key(&key);
    delete(&other, &id_of(&other, "other")).problem(409, "last-admin-key");
    rotate(&other, &json!({}));
}

#[test]
fn a_key_in_its_overlap_deletes_its_successor_neither_itself_nor_by_a_key_that_it_makes() {
    let old = Tenant::new();
    old.further_key(&["keys:admin"]); // so that none of them is the last one
    let (id, key) = made(&rotate(&old, &json!({"overlap_seconds": 3600})));
    let second = old.post("/api/keys", json!({"name": "second", "scopes": all_scopes()}).to_string());
    let (_, second) = made(&second.expect(201).json());
    let (_, third) = made(&rotate(&old, &json!({})));
    for asking in [&second, &third] {
        let document = delete(&old.with_key(asking), &id).problem(403, "forbidden");
        assert!(document["detail"].as_str().unwrap().contains("lasts longer"), "{document}");
    }
    let successor = old.with_key(&key);
    delete(&successor, &id_of(&successor, "second")).expect(204);
}

fn all_scopes() -> Vec<&'static str> {
    domain::tenant::api_key::Scope::ALL.map(domain::tenant::api_key::Scope::as_str).to_vec()
}

/// A tenant with two keys that have all scopes: their ids and texts.
async fn two_keys(pipeline: &Pipeline) -> [(String, String); 2] {
    let list = pipeline.call("GET", "/api/keys", &Value::Null).await.body;
    let first = list["keys"][0]["id"].as_str().expect("an id").to_owned();
    let other = pipeline.post_json("/api/keys", json!({"name": "other", "scopes": all_scopes()})).await;
    [(first, pipeline.key.expose().to_owned()), made(&other.body)]
}

/// How many keys the table lists.
fn count_keys(pipeline: &Pipeline) -> usize {
    let items = pipeline.tables.control.partition(&format!("t#{}", pipeline.tenant));
    items.iter().filter(|item| item.text("sk").is_ok_and(|sk| sk.starts_with("key#"))).count()
}

#[tokio::test]
async fn of_two_deletions_at_the_same_time_one_leaves_the_last_key() {
    for deletes_itself in [true, false] {
        let pipeline = Pipeline::with_endpoints(0);
        let keys = two_keys(&pipeline).await;
        let instances = [pipeline.start_api(), pipeline.start_api()];
        let delete = async |asking: usize| {
            let target = if deletes_itself { asking } else { 1 - asking };
            let path = format!("/api/keys/{}", keys[target].0);
            let key = ("x-api-key", keys[asking].1.as_str());
            pipeline.call_with(&instances[asking], key, "DELETE", &path, &Value::Null).await
        };
        let (one, other) = join!(delete(0), delete(1));
        let mut statuses = [one.status.as_u16(), other.status.as_u16()];
        statuses.sort_unstable();
        let refused = if deletes_itself { 409 } else { 401 }; // the key that asked is deleted
        assert_eq!(statuses, [204, refused], "{one:?} {other:?}");
        assert_eq!(count_keys(&pipeline), 1);
    }
}

#[tokio::test]
async fn a_deletion_that_is_sent_again_is_made_once_wherever_api_dies() {
    let mut deaths = 0;
    for fault in Fault::ALL {
        for call in 0.. {
            let pipeline = Pipeline::with_endpoints(0);
            let [_, (other, _)] = two_keys(&pipeline).await;
            let path = format!("/api/keys/{other}");
            let delete = async || -> Response { pipeline.call("DELETE", &path, &Value::Null).await };
            pipeline.faults.die_at(call, fault);
            let first = delete().await;
            if !pipeline.faults.recover() {
                assert_eq!(first.status, 204, "{first:?}");
                break; // the deletion makes no more calls
            }
            let second = delete().await;
            let is_repeat = first.status == 204 || fault == Fault::AnswerLost;
            let is_done = second.status == 204 || (is_repeat && second.status == 404);
            assert!(is_done, "{fault:?} at {call}: {first:?} {second:?}");
            assert_eq!(count_keys(&pipeline), 1);
            deaths += 1;
        }
    }
    assert!(deaths >= 2 * 4, "key, tenant, keys and transaction each failed in both ways: {deaths}");
}

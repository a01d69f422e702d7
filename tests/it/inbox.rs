//! The inbox: what is in it, in which order, page by page, and how it is emptied.

use std::slice;

use serde_json::{Value, json};

use crate::support::client::{Tenant, ids};
use crate::support::eventually;
use crate::support::receiver::Receiver;

/// A tenant with this many events in its inbox, of the types `even` and `odd` by turns; their ids, oldest first.
fn tenant_with(tier: &str, count: usize) -> (Tenant, Vec<String>) {
    let tenant = Tenant::of_tier(tier);
    let item = |n| json!({"type": if n % 2 == 0 { "even" } else { "odd" }, "payload": n});
    let events: Vec<Value> = (0..count).map(item).collect();
    let answer = tenant.post("/api/events/batch", json!({"events": events}).to_string()).expect(202).json();
    let results = answer["results"].as_array().expect("results");
    let mut ids: Vec<_> =
        results.iter().map(|result| result["id"].as_str().expect("an id").to_owned()).collect();
    ids.sort(); // by time; those of one millisecond in an order of their own
    eventually("all are in the inbox", || (tenant.inbox_ids("?limit=1000").len() == count).then_some(()));
    (tenant, ids)
}

/// Follows the cursors to the end; the ids of every page.
pub(crate) fn walk(tenant: &Tenant, query: &str) -> Vec<Vec<String>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = tenant.inbox(&format!("?{query}&cursor={cursor}"));
        pages.push(ids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return pages,
        }
        assert!(pages.len() < 100, "it never ends");
    }
}

fn newest_first(oldest_first: &[String]) -> Vec<String> {
    oldest_first.iter().rev().cloned().collect()
}

#[test]
fn the_newest_event_comes_first_unless_asked_otherwise() {
    let tenant = Tenant::new();
    let oldest_first: Vec<String> = (0..5).map(|_| tenant.accepted("a")).collect();
    tenant.all_shown_as("pending", &oldest_first);
    assert!(oldest_first.is_sorted());
    assert_eq!(tenant.inbox_ids("?order=asc"), oldest_first);
    assert_eq!(tenant.inbox_ids("?order=desc"), newest_first(&oldest_first));
    assert_eq!(tenant.inbox_ids(""), newest_first(&oldest_first));
    assert_eq!(tenant.inbox_ids("?limit=2"), newest_first(&oldest_first)[..2]);
    assert_eq!(tenant.inbox(""), tenant.inbox(""), "looking consumes nothing");
}

#[test]
fn a_walk_by_cursor_meets_every_event_once() {
    let (tenant, oldest_first) = tenant_with("pro", 25);
    for limit in [1, 10, 25, 26] {
        let pages = walk(&tenant, &format!("limit={limit}&order=asc"));
        assert!(pages.iter().all(|page| page.len() <= limit), "{pages:?}");
        assert_eq!(pages.concat(), oldest_first);
        assert_eq!(walk(&tenant, &format!("limit={limit}")).concat(), newest_first(&oldest_first));
    }
}

#[test]
fn what_arrives_or_leaves_during_a_walk_disturbs_nothing_else() {
    let (tenant, oldest_first) = tenant_with("pro", 9);
    let first = tenant.inbox("?limit=4&order=asc");
    assert_eq!(ids(&first), oldest_first[..4]);
    tenant.acknowledge(&oldest_first[3]).expect(200); // where the cursor stands
    tenant.acknowledge(&oldest_first[5]).expect(200);
    let newcomer = tenant.accepted("a");
    tenant.shown_as("pending", &newcomer);
    let cursor = first["next_cursor"].as_str().unwrap();
    let mut rest = oldest_first[4..].to_vec();
    rest.remove(1);
    rest.push(newcomer);
    assert_eq!(tenant.inbox_ids(&format!("?limit=100&order=asc&cursor={cursor}")), rest);
}

#[test]
fn the_sixteen_shards_of_an_enterprise_tenant_read_as_one_list() {
    let (tenant, oldest_first) = tenant_with("enterprise", 100);
    let shards: std::collections::HashSet<_> = oldest_first.iter().map(|id| &id[id.len() - 2..]).collect();
    assert!(shards.len() > 8, "100 events spread over 16 shards: {shards:?}");
    assert_eq!(tenant.inbox_ids("?limit=1000&order=asc"), oldest_first);
    assert_eq!(walk(&tenant, "limit=7&order=asc").concat(), oldest_first);
    assert_eq!(walk(&tenant, "limit=33").concat(), newest_first(&oldest_first));
}

#[test]
fn a_cursor_is_good_for_its_own_tenant_and_filter_alone() {
    let (tenant, _) = tenant_with("pro", 3);
    let (other, _) = tenant_with("pro", 3);
    let cursor = tenant.inbox("?limit=1")["next_cursor"].as_str().unwrap().to_owned();
    tenant.inbox(&format!("?limit=2&cursor={cursor}")); // the page's size is no filter
    let refused = |tenant: &Tenant, query: &str| {
        tenant.get(&format!("/api/inbox?{query}")).problem(400, "cursor-invalid");
    };
    refused(&other, &format!("limit=1&cursor={cursor}"));
    refused(&tenant, &format!("limit=1&order=asc&cursor={cursor}"));
    refused(&tenant, &format!("limit=1&type=even&cursor={cursor}"));
    refused(&tenant, &format!("limit=1&status=pending&cursor={cursor}"));
    refused(&tenant, &format!("limit=1&cursor={cursor}x"));
    refused(&tenant, "limit=1&cursor=nonsense");
}

#[test]
fn filters_leave_only_what_was_asked_for() {
    let (tenant, _) = tenant_with("pro", 10);
    let receiver = Receiver::answering(200);
    receiver.hold();
    tenant.set_webhook(&receiver.url());
    let held = tenant.accepted("held");
    tenant.shown_as("delivering", &held);
    let of_type = |query: &str| {
        let page = tenant.inbox(query);
        let types =
            page["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned());
        types.collect::<Vec<_>>()
    };
    assert_eq!(of_type("?type=even"), ["even"; 5]);
    assert_eq!(of_type("?type=odd&status=pending"), ["odd"; 5]);
    assert_eq!(of_type("?status=delivering"), ["held"]);
    assert_eq!(of_type("?type=even&status=delivering"), [""; 0]);
    assert_eq!(of_type("?type=absent"), [""; 0]);
    assert_eq!(walk(&tenant, "type=even&limit=2").concat().len(), 5);
    assert_eq!(of_type("?status=failed").len(), 0);
    receiver.release();
}

#[test]
fn empty_values_mean_absent_and_wrong_ones_are_told() {
    let (tenant, _) = tenant_with("pro", 3);
    assert_eq!(tenant.inbox("?type=&status=&limit=&cursor=&order="), tenant.inbox(""));
    for wrong in ["limit=0", "limit=1001", "limit=many", "limit=-1", "order=up", "status=lost", "type=a%0Ab"]
    {
        tenant.get(&format!("/api/inbox?{wrong}")).problem(422, "invalid");
    }
    assert_eq!(tenant.inbox_ids("?limit=1000").len(), 3);
}

#[test]
fn an_acknowledged_event_is_gone_and_asking_twice_changes_nothing() {
    let tenant = Tenant::new();
    let (taken, left) = (tenant.accepted("a"), tenant.accepted("a"));
    tenant.shown_as("pending", &taken);
    tenant.shown_as("pending", &left);
    for _ in 0..3 {
        assert_eq!(tenant.acknowledge(&taken).expect(200).json(), json!({"success": true}));
        assert_eq!(tenant.inbox_ids(""), slice::from_ref(&left));
    }
    assert_eq!(tenant.stored_as("acked", &taken).status, "acked");
}

#[test]
fn another_tenants_event_is_as_absent_as_one_that_never_was() {
    let (owner, stranger) = (Tenant::new(), Tenant::new());
    let id = owner.accepted("secret");
    owner.shown_as("pending", &id);
    let never_was = id.replace("evt_0", "evt_1");
    let answers = [id.as_str(), &never_was, "evt_1", "nonsense"].map(|id| {
        let mut document = stranger.acknowledge(id).problem(404, "not-found");
        document["instance"].take();
        document
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert!(stranger.inbox_ids("").is_empty());
    assert_eq!(owner.inbox_ids(""), [id], "and nothing happened to it");
}

//! The audit trail: each change leaves one record that names who asked, what and how it ended, and nothing else does.

use std::collections::BTreeSet;

use api::changes::{By, CHANGES, Change, NO_CHANGES, Subject};
use serde_json::{Value, json};

use crate::key_ends::id_of;
use crate::support::belongings::{Owner, tenant_named};
use crate::support::client::{Reply, Tenant};
use crate::support::openapi::{Ids, Operation, Slot, operation, operations};

/// What ingest answers.
const INGEST: [&str; 2] = ["POST /api/events", "POST /api/events/batch"];

/// The records of a tenant as they are stored, oldest first.
fn stored(tenant: &Tenant, id: &str) -> Vec<Value> {
    tenant.place.partition("Control", &format!("t#{id}#audit"))
}

/// The records that a tenant is shown, newest first.
fn shown(tenant: &Tenant, query: &str) -> Vec<Value> {
    let page = tenant.get(&format!("/api/audit{query}")).expect(200).json();
    page["changes"].as_array().expect("changes").clone()
}

fn change_of(operation: &Operation) -> Option<&'static Change> {
    CHANGES.iter().find(|change| change.route == operation.name())
}

/// Makes a change of the owner's, or of a tenant that may end; returns the tenant and its id, the ids that were named, the
/// answer, and the records that it left.
fn make(owner: &Owner, operation: Operation) -> (Tenant, String, Ids, Reply, Vec<Value>) {
    let slots: Vec<Slot> = operation.slots();
    let needed: Vec<Slot> =
        slots.into_iter().filter(|slot| slot.required || operation.method != "GET").collect();
    let is_end = ["DELETE /api/tenant", "POST /api/keys/rotate"].contains(&operation.name().as_str());
    let ids = owner.own(operation, &needed);
    let tenant = if is_end { tenant_named("Example Ltd") } else { owner.tenant.with_key(&owner.tenant.key) };
    let of_operator = operation.is_of_operator().then(|| ids.get("id").cloned()).flatten();
    let id = of_operator.unwrap_or_else(|| tenant.id.clone());
    let before = stored(&tenant, &id);
    let reply = operation.request(&ids).send(&tenant);
    assert!((200..300).contains(&reply.status), "{}: {}", operation.name(), reply.text());
    let is_signup = operation.name() == "POST /api/keys/generate";
    let (id, before) = if is_signup {
        (reply.json()["organization_id"].as_str().unwrap().to_owned(), Vec::new())
    } else {
        (id, before)
    };
    let mut left = stored(&tenant, &id); // those of one millisecond have any order
    left.retain(|record| !before.contains(record));
    (tenant, id, ids, reply, left)
}

#[test]
fn every_route_is_a_change_or_is_listed_as_none() {
    let is_of_api = |operation: &Operation| !INGEST.contains(&operation.name().as_str());
    let all: BTreeSet<String> = operations().iter().filter(|it| is_of_api(it)).map(Operation::name).collect();
    let listed: BTreeSet<String> =
        CHANGES.iter().map(|change| change.route).chain(NO_CHANGES).map(str::to_owned).collect();
    assert_eq!(listed.len(), CHANGES.len() + NO_CHANGES.len(), "each once");
    assert_eq!(listed.difference(&all).collect::<Vec<_>>(), [""; 0], "a change that no route makes");
    let unlisted = all.difference(&listed).filter(|name| !name.starts_with("GET "));
    assert_eq!(unlisted.collect::<Vec<_>>(), [""; 0], "a route that is in no list of changes.rs");
}

#[test]
fn every_change_leaves_one_record_and_nothing_else_does() {
    let owner = Owner::marked("audited");
    let mut made = 0;
    for operation in operations().into_iter().filter(|it| !INGEST.contains(&it.name().as_str())) {
        let (tenant, id, ids, reply, left) = make(&owner, operation);
        let name = operation.name();
        let Some(change) = change_of(&operation) else {
            assert_eq!(left, [Value::Null; 0], "{name} is no change");
            continue;
        };
        assert_eq!(left.len(), 1, "{name}: {left:?}");
        let text = |member: &str| left[0][member]["S"].as_str().map(str::to_owned);
        assert_eq!(text("action").as_deref(), Some(change.action), "{name}");
        check_author(change, &tenant, &left[0], &owner);
        let subject = match change.subject {
            Subject::New => None,
            Subject::Tenant => Some(id.clone()),
            Subject::DefaultEndpoint => Some(id.replacen("org_", "ep_", 1)),
            Subject::OwnKey => text("by"),
            Subject::Named(_) => Some(ids["id"].clone()),
        };
        assert_eq!(text("subject"), subject, "{name}");
        assert_eq!(left[0]["status"]["N"], reply.status.to_string(), "{name}");
        assert_eq!(text("request_id").as_deref(), reply.header("x-request-id"), "{name}");
        check_created(change, &reply, text("created").as_deref());
        check_contents(&owner, &left[0], &name);
        made += 1;
    }
    assert_eq!(made, CHANGES.len());
}

/// The record names the key that asked, or the operator. A key that is gone can no longer be listed.
fn check_author(change: &Change, tenant: &Tenant, record: &Value, owner: &Owner) {
    let text = |member: &str| record[member]["S"].as_str();
    let by = text("by").expect("an author");
    if matches!(change.by, By::Operator | By::Signup) {
        assert!(text("last4").is_none() && ["operator", "signup"].contains(&by), "{}: {by}", change.route);
        return;
    }
    assert!(by.starts_with("key_"), "{}: {by}", change.route);
    assert_eq!(text("last4"), Some(&tenant.key[tenant.key.len() - 4..]), "{}", change.route);
    if tenant.id == owner.tenant.id {
        assert_eq!(by, id_of(&owner.tenant, "default"), "{}", change.route);
    }
}

/// The record names what was created. The answer to a sign-up has no id of the first key.
fn check_created(change: &Change, reply: &Reply, created: Option<&str>) {
    let member = match change.action {
        "key.create" | "key.rotate" | "endpoint.create" | "replay.create" => "id",
        "event.replay" => "replay_id",
        "tenant.create" => return assert!(created.is_some_and(|id| id.starts_with("key_"))),
        _ => return assert_eq!(created, None, "{}", change.route),
    };
    assert_eq!(created, reply.json()[member].as_str(), "{}", change.route);
    assert!(created.is_some(), "{}", change.route);
}

/// A record is small, and holds nothing that only its owner may know.
fn check_contents(owner: &Owner, record: &Value, name: &str) {
    let text = record.to_string();
    let names: BTreeSet<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
    let known =
        ["pk", "sk", "action", "at", "by", "last4", "subject", "created", "request_id", "status", "ttl"];
    assert!(names.is_subset(&known.into()), "{name}: {names:?}");
    for secret in ["whsec_", "trg_live_", "http", "audited", owner.tenant.key.as_str()] {
        assert!(!text.contains(secret), "{name} tells {secret}: {text}");
    }
}

#[test]
fn a_refused_change_is_recorded_with_its_status_and_one_without_a_key_is_not() {
    let tenant = Tenant::new();
    let narrow = tenant.further_key(&["inbox:read"]);
    let narrow_id = id_of(&tenant, "further");
    let before = shown(&tenant, "").len();
    let unknown = "ep_00000000000000000000000000000000";
    let pasted = format!("/api/endpoints/{}/enable", tenant.key);
    let json = [("content-type", "application/json")];
    for (key, method, path, body, status, action, subject) in [
        (&narrow, "DELETE", format!("/api/endpoints/{unknown}"), "", 403, "endpoint.delete", json!(unknown)),
        (&tenant, "POST", format!("/api/endpoints/{unknown}/test"), "", 404, "endpoint.test", json!(unknown)),
        (&tenant, "POST", pasted, "", 404, "endpoint.enable", Value::Null),
        (&tenant, "POST", "/api/endpoints".to_owned(), "{}", 422, "endpoint.create", Value::Null),
        (&tenant, "PATCH", "/api/tenant?a=b".to_owned(), "{}", 422, "tenant.change", json!(tenant.id)),
    ] {
        let reply = key.call(method, &path, &json, body).expect(status);
        let is_ours = |record: &Value| record["request_id"].as_str() == reply.header("x-request-id");
        let record = shown(&tenant, "").into_iter().find(is_ours).expect("a record");
        let expected = json!({"id": record["id"], "at": record["at"], "action": action, "subject_id": subject,
            "created_id": null, "by": "key", "key_id": record["key_id"], "key_last4": key.key[key.key.len() - 4..],
            "request_id": reply.header("x-request-id"), "outcome": "refused", "status": status});
        assert_eq!(record, expected);
        assert_eq!(record["key_id"] == narrow_id.as_str(), status == 403);
    }
    let invented = tenant.with_key("trg_live_nonsense");
    invented.call("POST", "/api/endpoints", &json, "{}").problem(401, "unauthorized");
    tenant.call("PUT", "/api/endpoints", &json, "{}").problem(405, "method-not-allowed");
    let of_operator = format!("/api/admin/tenants/{}/keys", tenant.id);
    tenant.call("POST", &of_operator, &[("x-admin-token", "wrong")], "").problem(401, "unauthorized");
    assert_eq!(shown(&tenant, "").len(), before + 5);
}

#[test]
fn the_operator_leaves_no_record_of_a_tenant_that_does_not_exist() {
    let (tenant, erased) = (Tenant::new(), tenant_named("Example Ltd"));
    operation("DELETE /api/tenant").request(&Ids::new()).send(&erased).expect(202);
    let before = stored(&erased, &erased.id).len();
    for id in ["org_00000000000000000000000000000000", &erased.id] {
        let url = format!("{}/api/admin/tenants/{id}/resume", tenant.place.url());
        let token = [("x-admin-token", tenant.place.admin_token())];
        crate::support::client::call("POST", &url, &token, "").problem(404, "not-found");
    }
    assert_eq!(stored(&tenant, "org_00000000000000000000000000000000"), [Value::Null; 0]);
    assert_eq!(stored(&erased, &erased.id).len(), before);
}

#[test]
fn pages_are_newest_first_and_each_record_is_on_one() {
    let tenant = Tenant::new();
    for n in 0..5 {
        tenant.further_key(&["inbox:read"]);
        assert_eq!(shown(&tenant, "").len(), n + 2, "at once, and the creation of the tenant");
    }
    let all = shown(&tenant, "?limit=100");
    let times: Vec<&str> = all.iter().map(|record| record["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    let signup = all.iter().find(|record| record["action"] == "tenant.create").expect("a record");
    assert_eq!((&signup["by"], &signup["key_id"]), (&json!("signup"), &Value::Null));

    let (mut paged, mut query) = (Vec::new(), "?limit=4".to_owned());
    loop {
        let page = tenant.get(&format!("/api/audit{query}")).expect(200).json();
        paged.extend(page["changes"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("?limit=4&cursor={cursor}");
    }
    assert_eq!(paged, all);

    let since = times[2];
    let later = shown(&tenant, &format!("?since={since}"));
    let earlier = shown(&tenant, &format!("?until={since}"));
    assert_eq!([later.as_slice(), earlier.as_slice()].concat(), all);
    assert!(later.iter().all(|record| record["at"].as_str().unwrap() >= since));
    assert_eq!(shown(&tenant, &format!("?since={since}&until={since}")), [Value::Null; 0]);
    for (query, status, slug) in [
        ("?limit=101", 422, "invalid"),
        ("?since=yesterday", 422, "invalid"),
        ("?action=key.create", 422, "invalid"),
        ("?cursor=x", 400, "cursor-invalid"),
    ] {
        tenant.get(&format!("/api/audit{query}")).problem(status, slug);
    }
}

#[test]
fn a_trail_is_shown_to_its_tenant_alone_and_to_its_administrators() {
    let [tenant, other] = [Tenant::new(), Tenant::new()];
    tenant.further_key(&["inbox:read"]);
    let cursor = tenant.get("/api/audit?limit=1").expect(200).json()["next_cursor"].take();
    let with_cursor = format!("/api/audit?limit=1&cursor={}", cursor.as_str().unwrap());
    other.get(&with_cursor).problem(400, "cursor-invalid");
    tenant.get(&format!("{with_cursor}&since=2020-01-01T00:00:00Z")).problem(400, "cursor-invalid");
    let ours: Vec<Value> = shown(&tenant, "");
    let of_other = shown(&other, "");
    assert_eq!((ours.len(), of_other.len()), (2, 1));
    assert!(!ours.contains(&of_other[0]));
    let narrow = tenant.further_key(&["keys:admin", "endpoints:admin", "inbox:read"]);
    narrow.get("/api/audit").problem(403, "forbidden");
}

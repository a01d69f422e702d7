//! The matrix of operations and scopes, taken from `infra/openapi.json`: a key that lacks a scope of an operation is refused,
//! and the refusal names the scope. What shows a payload, a signature or a secret is listed here with the scopes it wants.

use std::collections::{BTreeMap, BTreeSet};

use domain::tenant::api_key::Scope;
use serde_json::{Value, json};

use crate::openapi::routes;
use crate::support::belongings::{Owner, never, tenant_named};
use crate::support::client::{Reply, Tenant};
use crate::support::openapi::{Ids, Operation, Slot, operations};

/// The operations without an API key: documents, keys that verify webhooks, receipts, and what the operator asks for.
const WITHOUT_KEY: [&str; 13] = [
    "GET /.well-known/webhook-keys",
    "GET /api/admin/tenants",
    "GET /api/admin/tenants/{id}",
    "GET /api/erasures/{id}",
    "GET /health",
    "GET /health/live",
    "GET /health/ready",
    "GET /metrics",
    "GET /openapi.json",
    "POST /api/admin/tenants/{id}/keys",
    "POST /api/admin/tenants/{id}/resume",
    "POST /api/admin/tenants/{id}/suspend",
    "POST /api/keys/generate",
];

/// Every operation whose answer shows a payload that is stored, a signature, or the secret of an endpoint, with the scopes
/// that its caller has. The signature of `POST /api/explain` wants `events:write` too: without it the rest is shown.
const SHOWING: [(&str, &str, &[&str]); 10] = [
    ("GET /api/endpoints/{id}/sample", "payload", &["endpoints:admin", "inbox:read"]),
    ("GET /api/events", "payload", &["inbox:read"]),
    ("GET /api/events/{id}", "payload", &["inbox:read"]),
    ("GET /api/export", "payload", &["tenant:admin"]),
    ("GET /api/inbox", "payload", &["inbox:read"]),
    ("POST /api/endpoints", "secret", &["endpoints:admin"]),
    ("POST /api/endpoints/{id}/rotate-secret", "secret", &["endpoints:admin"]),
    ("POST /api/explain", "signature", &["endpoints:admin"]),
    ("POST /api/inbox/lease", "payload", &["inbox:ack"]),
    ("POST /api/webhook/config", "secret", &["endpoints:admin"]),
];

/// Returns all scopes that the document names for an operation.
fn scopes(operation: &Operation) -> Vec<&'static str> {
    let ways = operation.spec["security"].as_array().into_iter().flatten();
    let lists = ways.filter_map(|way| way["apiKey"].as_array());
    lists.flatten().filter_map(Value::as_str).collect()
}

fn all_scopes() -> Vec<&'static str> {
    Scope::ALL.into_iter().map(Scope::as_str).collect()
}

/// Returns the scope of the operation that a refusal names.
fn lacked(reply: &Reply) -> Option<String> {
    if reply.status != 403 {
        return None;
    }
    let detail = reply.problem(403, "forbidden")["detail"].take();
    let (_, scope) = detail.as_str()?.split_once("this API key lacks the scope ")?;
    // A key that cannot give a scope to another key has passed the check of the operation.
    (!scope.contains(' ')).then(|| scope.to_owned())
}

/// Calls the operation with ids that never were, and with a new key of these scopes.
fn call(operation: Operation, tenant: &Tenant, scopes: &[&str]) -> Reply {
    let ids = operation.slots().iter().map(|slot| (slot.name, never(slot.kind))).collect();
    operation.request(&ids).send_with(tenant, Some(&tenant.further_key(scopes).key))
}

#[test]
fn every_scope_that_a_key_lacks_is_refused_by_its_name_on_every_route() {
    let names: BTreeSet<String> = operations().iter().map(Operation::name).collect();
    assert_eq!(names, routes(), "the router has the operations of the document");
    let (guarded, open): (Vec<Operation>, Vec<Operation>) =
        operations().into_iter().partition(|operation| !scopes(operation).is_empty());
    let open: BTreeSet<String> = open.iter().map(Operation::name).collect();
    assert_eq!(open, WITHOUT_KEY.map(str::to_owned).into());
    let (mut calls, mut refusals) = (0, 0);
    for operation in guarded {
        let (name, needed, tenant) = (operation.name(), scopes(&operation), Tenant::new());
        let mut sets: Vec<Vec<&str>> = all_scopes().into_iter().map(|scope| vec![scope]).collect();
        for lacking in &needed {
            sets.push(all_scopes().into_iter().filter(|scope| scope != lacking).collect());
        }
        sets.push(all_scopes().into_iter().filter(|scope| !needed.contains(scope)).collect());
        sets.push(needed.clone());
        for set in sets {
            let reply = call(operation, &tenant, &set);
            let missing: Vec<&str> = needed.iter().filter(|scope| !set.contains(scope)).copied().collect();
            match lacked(&reply) {
                Some(scope) => assert!(missing.contains(&scope.as_str()), "{name} {set:?}: {}", reply.text()),
                None => assert!(missing.is_empty(), "{name} {set:?}: {} {}", reply.status, reply.text()),
            }
            assert_ne!(reply.status, 401, "{name} {set:?}: the key is good");
            calls += 1;
            refusals += usize::from(!missing.is_empty());
        }
    }
    println!("scopes: {calls} calls, {refusals} refusals");
    assert!(refusals > 240, "{refusals}");
}

/// Returns what the answer shows of the owner whose texts hold this mark.
fn shown(text: &str, mark: &str) -> BTreeSet<&'static str> {
    let text = text.replace('\\', "");
    let mut shown = BTreeSet::new();
    for (what, sign) in [
        ("payload", format!(r#""text":"{mark}""#)),
        ("signature", "v1,".to_owned()),
        ("secret", "whsec_".to_owned()),
    ] {
        if text.contains(&sign) {
            shown.insert(what);
        }
    }
    shown
}

/// Calls the operation with ids of the owner, and with the tenant's key.
fn call_own(operation: Operation, owner: &Owner, tenant: &Tenant) -> Reply {
    if operation.name() == "POST /api/explain" {
        let event = json!({"type": "taken.twice.now", "payload": {"n": 1}});
        return tenant.post("/api/explain", event.to_string());
    }
    let is_needed = |slot: &Slot| slot.required || operation.method != "GET";
    let needed: Vec<_> = operation.slots().into_iter().filter(is_needed).collect();
    let ids = owner.own(operation, &needed);
    operation.request(&ids).send(tenant)
}

#[test]
fn what_shows_a_payload_a_signature_or_a_secret_is_listed_with_its_scopes() {
    const MARK: &str = "shownmark";
    let owner = Owner::marked(MARK);
    let mut showing: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    // The document shows the secret of its examples.
    for operation in operations().into_iter().filter(|it| it.path != "/openapi.json") {
        let is_end = ["DELETE /api/tenant", "POST /api/keys/rotate"].contains(&operation.name().as_str());
        let reply = if is_end {
            operation.request(&Ids::new()).send(&tenant_named("Example Ltd")) // it loses its key or itself
        } else {
            call_own(operation, &owner, &owner.tenant)
        };
        assert!((200..300).contains(&reply.status), "{}: {}", operation.name(), reply.text());
        let shown = shown(&reply.text(), MARK);
        if !shown.is_empty() {
            showing.insert(operation.name(), shown);
        }
    }
    let listed = SHOWING.map(|(name, what, _)| (name.to_owned(), BTreeSet::from([what])));
    assert_eq!(showing, listed.into());
    for operation in operations() {
        let listed = SHOWING.iter().find(|(name, ..)| operation.name() == *name);
        if let Some((name, _, wanted)) = listed {
            assert_eq!(scopes(&operation), *wanted, "{name}");
        }
    }
    let without = owner.tenant.further_key(&["endpoints:admin", "inbox:read"]);
    let explain = operations().into_iter().find(|operation| operation.name() == "POST /api/explain");
    let reply = call_own(explain.expect("an operation"), &owner, &without).expect(200);
    assert!(shown(&reply.text(), MARK).is_empty(), "{}", reply.text());
}

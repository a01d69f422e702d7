//! What only the operator of a stack may read and do.

use std::sync::Arc;

use api::deps::Api;
use api::router::{answer, router};
use axum::body::{Body, to_bytes};
use domain::testing::START;
use http::Request;
use serde_json::json;
use store::testing::clock::FixedClock;
use store::testing::faults::Faults;
use store::testing::memory::Memory;

use crate::key_ends::id_of;
use crate::support::client::{Reply, Tenant, call};
use crate::support::configs::{self, ADMIN_TOKEN};

#[tokio::test]
async fn only_the_operator_sees_the_numbers() {
    let ports = Memory::new(&Faults::default(), &FixedClock::at(START));
    let api = Arc::new(Api::new(&ports, configs::api()));
    let metrics = async |token: Option<&str>| {
        let request = token
            .into_iter()
            .fold(Request::get("/metrics"), |request, token| request.header("X-Admin-Token", token));
        let request = request.body(Body::empty()).unwrap();
        let (head, body) =
            answer(&api, router(Arc::clone(&api)), request, "/metrics", "request").await.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Reply { status: head.status.as_u16(), headers: head.headers, body }
    };
    metrics(None).await.problem(401, "unauthorized");
    metrics(Some("wrong")).await.problem(401, "unauthorized");
    metrics(Some(ADMIN_TOKEN)).await.expect(200);
}

/// Asks as the operator of this tenant's stack.
fn ask(tenant: &Tenant, method: &str, path: &str) -> Reply {
    let url = format!("{}/api/admin/tenants{path}", tenant.place.url());
    call(method, &url, &[("x-admin-token", tenant.place.admin_token())], "")
}

#[test]
fn no_route_of_the_operator_is_open_to_the_key_of_a_tenant() {
    let tenant = Tenant::new();
    let of_tenant = format!("/api/admin/tenants/{}", tenant.id);
    for (method, path) in [
        ("GET", "/api/admin/tenants"),
        ("GET", &of_tenant),
        ("POST", &format!("{of_tenant}/keys")),
        ("POST", &format!("{of_tenant}/suspend")),
        ("POST", &format!("{of_tenant}/resume")),
    ] {
        tenant.call(method, path, &[], "").problem(401, "unauthorized");
        tenant.call(method, path, &[("x-admin-token", "wrong")], "").problem(401, "unauthorized");
    }
    assert_eq!(tenant.get("/api/keys").expect(200).json()["keys"].as_array().unwrap().len(), 1);
}

#[test]
fn a_tenant_that_has_lost_its_keys_gets_one_with_all_scopes() {
    let lost = Tenant::of_tier("business");
    let made = ask(&lost, "POST", &format!("/{}/keys", lost.id)).expect(201).json();
    let found = lost.with_key(made["api_key"].as_str().unwrap());
    assert_eq!(made["scopes"].as_array().unwrap().len(), domain::tenant::api_key::Scope::ALL.len());
    assert_eq!((&made["expires_at"], &made["rate_limit_per_minute"]), (&json!(null), &json!(10_000)));
    found.accepted("a");
    found.call("DELETE", &format!("/api/keys/{}", id_of(&found, "default")), &[], "").expect(204);
    for unknown in ["org_00000000000000000000000000000000", "org_1", "tenant", &lost.id.to_uppercase()] {
        ask(&lost, "POST", &format!("/{unknown}/keys")).problem(404, "not-found");
    }
}

#[test]
fn the_list_shows_every_tenant_once_until_it_is_erased() {
    let ours: Vec<Tenant> = (0..3).map(|_| Tenant::of_tier("free")).collect();
    let listed = || {
        let (mut ids, mut query) = (Vec::new(), "?limit=2".to_owned());
        loop {
            let page = ask(&ours[0], "GET", &query).expect(200).json();
            let tenants = page["tenants"].as_array().unwrap();
            assert!(tenants.len() <= 2, "{page}");
            ids.extend(tenants.iter().map(|tenant| tenant["organization_id"].as_str().unwrap().to_owned()));
            let Some(cursor) = page["next_cursor"].as_str() else { return ids };
            query = format!("?limit=2&cursor={cursor}");
        }
    };
    let ids = listed();
    for tenant in &ours {
        assert_eq!(ids.iter().filter(|id| **id == tenant.id).count(), 1);
        let read = ask(tenant, "GET", &format!("/{}", tenant.id)).expect(200).json();
        assert_eq!((&read["organization_name"], &read["tier"]), (&json!("A story"), &json!("free")));
    }
    let json_body = [("content-type", "application/json")];
    ours[1].call("DELETE", "/api/tenant", &json_body, r#"{"confirm":"A story"}"#).expect(202);
    assert!(!listed().contains(&ours[1].id));
    ask(&ours[0], "GET", &format!("/{}", ours[1].id)).problem(404, "not-found");
    ask(&ours[0], "GET", "?cursor=x").problem(400, "cursor-invalid");
    ask(&ours[0], "GET", "?limit=101").problem(422, "invalid");
}

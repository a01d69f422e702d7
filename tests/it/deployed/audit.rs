//! The audit trail in the real table, with the roles of the template.

use serde_json::json;

use crate::support::client::Tenant;

#[test]
fn a_change_is_in_the_audit_trail_at_once_and_pages_end() {
    let tenant = Tenant::deployed();
    let body = json!({"url": "https://example.com/hook", "event_types": ["a"]});
    let made = tenant.post("/api/endpoints", body.to_string()).expect(201);
    let unknown = "/api/replays/rpl_00000000000000000000000000000000";
    tenant.call("DELETE", unknown, &[], "").problem(404, "not-found");
    let (mut shown, mut query) = (Vec::new(), "?limit=1&since=2020-01-01T00:00:00Z".to_owned());
    let first = query.clone();
    loop {
        let page = tenant.get(&format!("/api/audit{query}")).expect(200).json();
        shown.extend(page["changes"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("{first}&cursor={cursor}");
    }
    let told: Vec<_> = shown.iter().map(|it| [&it["action"], &it["outcome"], &it["status"]]).collect();
    assert_eq!(
        json!(told),
        json!([
            ["replay.cancel", "refused", 404],
            ["endpoint.create", "done", 201],
            ["tenant.create", "done", 201]
        ])
    );
    assert_eq!(shown[1]["created_id"], made.id());
    assert_eq!(shown[1]["request_id"].as_str(), made.header("x-request-id"));
    assert_eq!(tenant.get("/api/audit?until=2020-01-01T00:00:00Z").expect(200).json()["changes"], json!([]));
}

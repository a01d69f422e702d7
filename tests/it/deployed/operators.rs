//! What only the operator of a stack may change, with the functions as they are configured in AWS.

use serde_json::json;

use crate::deployed::support::runtime::{environment, invoke_http, request};
use crate::deployed::support::stack::shared;
use crate::support::client::Reply;

/// One request to api with these parameters of the stack.
fn ask(signup: &str, token: Option<&str>, method: &str, path: &str) -> Reply {
    let environment = environment("api", &[("SIGNUP", signup), ("ENVIRONMENT", "aws")]);
    let json = [("Content-Type", "application/json")];
    let token = token.map(|token| ("X-Admin-Token", token));
    let headers: Vec<_> = json.into_iter().chain(token).collect();
    let body = json!({"organization_name": "Ada", "tier": "enterprise"}).to_string();
    invoke_http("api", &environment, &request(method, path, &headers, &body))
}

#[test]
fn only_the_operator_signs_up_tenants_unless_signup_is_open() {
    let sign_up = |signup, token| ask(signup, token, "POST", "/api/keys/generate");
    let right = Some(shared().summary().admin_token.as_str());
    sign_up("admin", None).problem(401, "unauthorized");
    sign_up("admin", Some("wrong")).problem(401, "unauthorized");
    assert_eq!(sign_up("admin", right).expect(201).json()["tier"], "enterprise");
    assert_eq!(sign_up("open", None).expect(201).json()["tier"], "free", "whatever it asks for");
    assert_eq!(sign_up("open", right).expect(201).json()["tier"], "enterprise");
}

//! Paths and methods that the template does not route to a function of their own.

use crate::support::client::Tenant;

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn an_unknown_path_is_not_found() {
    let tenant = Tenant::deployed();
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/api"),
        ("POST", "/api/event"),
        ("GET", "/api/nothing?a=b"),
        ("GET", "/api/keys%23"),
        ("GET", "/api/keys%3Fa=b"),
    ] {
        tenant.call(method, path, &[JSON], "").problem(404, "not-found");
    }
}

#[test]
fn another_method_of_a_path_is_not_allowed_and_the_right_one_is_named() {
    let tenant = Tenant::deployed();
    for (method, path, allowed) in [
        ("PUT", "/api/events", "POST"),
        ("PUT", "/api/events", "GET"),
        ("PATCH", "/api/events", "POST"),
        ("DELETE", "/api/events", "POST"),
        ("GET", "/api/events/batch", "POST"),
        ("DELETE", "/api/events/batch", "POST"),
        ("POST", "/api/inbox", "GET"),
        ("DELETE", "/api/keys", "GET"),
        ("GET", "/api/keys/rotate", "POST"),
        ("GET", "/api/ack/evt_1", "POST"),
        ("POST", "/api/tenant", "PATCH"),
        ("POST", "/health", "GET"),
    ] {
        let reply = tenant.call(method, path, &[JSON], "");
        reply.problem(405, "method-not-allowed");
        let allow = reply.header("allow").unwrap_or_default(); // RFC 9110, section 15.5.6: it must be there
        assert!(allow.split(',').any(|name| name.trim() == allowed), "{method} {path}: {allow:?}");
    }
}

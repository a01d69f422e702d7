//! Paths and methods that the template does not route to a function of their own.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use crate::deployed::support::runtime::{environment, invoke_http, request};
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

#[test]
fn an_export_arrives_whole_with_any_accept_or_none() {
    let tenant = Tenant::deployed();
    for accept in ["*/*", "text/html", "application/json", "application/x-ndjson"] {
        let export = tenant.call("GET", "/api/export", &[("accept", accept)], "").expect(200).text();
        assert!(export.lines().count() >= 2 && export.ends_with('\n'), "{accept}: {export}");
    }
    // The function hands it out as text, so that no gateway has to decode it.
    let key = [("X-API-Key", tenant.key.as_str())];
    let export = invoke_http("api", &environment("api", &[]), &request("GET", "/api/export", &key, ""));
    assert!(export.expect(200).text().lines().count() >= 2);
}

#[test]
fn the_openapi_document_names_the_url_of_the_api() {
    let tenant = Tenant::deployed();
    let document = tenant.get("/openapi.json").expect(200).json();
    assert_eq!(document["servers"][0]["url"], tenant.place.url(), "{}", document["servers"]);
}

#[test]
fn a_compressed_document_arrives_as_it_was_compressed() {
    let tenant = Tenant::deployed();
    let get =
        |encoding| tenant.call("GET", "/openapi.json", &[("accept-encoding", encoding)], "").expect(200);
    let (plain, compressed) = (get("identity"), get("gzip"));
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    MultiGzDecoder::new(compressed.body.as_slice()).read_to_string(&mut text).expect("gzip of a text");
    assert_eq!(text, plain.text());
}

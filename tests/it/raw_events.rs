//! Events as Lambda hands them over: of API Gateway in both versions, of SQS, and of `EventBridge`. Nothing that a client or a
//! queue sends ends the process: a release build aborts at a panic.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use futures_util::FutureExt;
use lambda_http::lambda_runtime::{Context, LambdaEvent, Service};
use lambda_http::{Error, Request, RequestExt, service_fn};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use runtime::request::SourceAddress;
use runtime::{answer, gateway};
use serde_json::{Value, json};

use crate::support::raw::{gateway as raw_gateway, queues, schedule};

const SAMPLES: [&str; 6] = [
    include_str!("../../events/api-health.json"),
    include_str!("../../events/api-inbox.json"),
    include_str!("../../events/ingest-batch.json"),
    include_str!("../../events/ingest-cloudevent.json"),
    include_str!("../../events/ingest-malformed.json"),
    include_str!("../../events/ingest-valid.json"),
];

/// Texts that break a URL, a header, a method, a path, or base64.
const HOSTILE: [&str; 24] = [
    "",
    "1",
    "file",
    "https:",
    "http",
    "javascript",
    "://",
    "/",
    "//",
    "?",
    "#",
    "@",
    ":99999",
    "[",
    "[::1",
    "%",
    "%zz",
    "\\",
    " ",
    "a b",
    "\n",
    "\0",
    "é",
    "x:y@z",
];

/// Reads the event and answers it, with a handler that returns the path and the query of the request.
fn answer(event: &Value) -> Value {
    let mut service = gateway::service(service_fn(|request: Request| async move {
        let mut query: Vec<&str> = request.uri().query().unwrap_or_default().split('&').collect();
        query.sort_unstable(); // a map of the query has no order
        let uri = format!("{} {query:?}", request.raw_http_path());
        Ok::<_, Error>(answer::json(http::StatusCode::OK, &json!(uri)))
    }));
    let payload = serde_json::from_str(&event.to_string()).unwrap();
    let answer = service.call(LambdaEvent::new(payload, Context::default())).now_or_never().unwrap();
    serde_json::to_value(answer.unwrap()).unwrap()
}

/// Returns a sample in version 1, as API Gateway sends it, and in version 2, as `cargo lambda watch` does.
fn both_versions(sample: &str) -> [Value; 2] {
    let first: Value = serde_json::from_str(sample).unwrap();
    let second = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": first["path"],
        "rawQueryString": "a=b",
        "headers": first["headers"],
        "requestContext": {
            "domainName": "localhost",
            "http": {"method": first["httpMethod"], "path": first["path"]},
            "stage": "$default",
        },
        "body": first["body"],
        "isBase64Encoded": first["isBase64Encoded"],
    });
    [first, second]
}

fn path_member(event: &Value) -> &'static str {
    if event.get("rawPath").is_some() { "rawPath" } else { "path" }
}

fn assert_malformed(answer: &Value, case: &str) {
    assert_eq!(answer["statusCode"], 400, "{case}: {answer}");
    assert_eq!(answer["headers"]["content-type"], "application/problem+json", "{case}");
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert!(body["type"].as_str().unwrap().ends_with("malformed"), "{case}: {body}");
}

#[test]
fn a_scheme_and_a_host_of_the_client_change_nothing() {
    for sample in SAMPLES {
        for event in both_versions(sample) {
            let expected = answer(&event);
            assert_eq!(expected["statusCode"], 200, "{expected}");
            for name in ["X-Forwarded-Proto", "Host"] {
                for value in HOSTILE.iter().filter(|value| !value.contains(['\n', '\0'])) {
                    let mut event = event.clone();
                    event["headers"][name] = json!(value);
                    assert_eq!(answer(&event), expected, "{name}: {value}");
                }
            }
            let mut event = event;
            event["requestContext"]["domainName"] = json!("a b");
            event["headers"].as_object_mut().unwrap().remove("Host");
            assert_eq!(answer(&event), expected);
        }
    }
}

#[test]
fn a_request_without_a_valid_form_is_malformed_and_not_an_error_of_the_invocation() {
    for mut event in both_versions(SAMPLES[5]) {
        event["body"] = json!("not base64!");
        assert_malformed(&answer(&event), "body");
    }
    for mut event in both_versions(SAMPLES[0]) {
        event["headers"]["X-Note"] = json!("a\nb");
        assert_malformed(&answer(&event), "header");
    }
    for mut event in both_versions(SAMPLES[0]) {
        let member = path_member(&event);
        event[member] = json!(format!("/{}", "x".repeat(70_000)));
        assert_malformed(&answer(&event), "path");
    }
    let [mut first, mut second] = both_versions(SAMPLES[0]);
    let mut listless = first.clone();
    listless["multiValueQueryStringParameters"] = json!({"limit": []});
    assert_malformed(&answer(&listless), "query without a value");
    first["httpMethod"] = json!("GE T");
    assert_malformed(&answer(&first), "method");
    second["rawQueryString"] = json!("a=<b c>");
    assert_malformed(&answer(&second), "query");
}

/// Replaces one text of the event by a hostile one, or mixes such a one into it.
fn mutate(value: &mut Value, rng: &mut StdRng) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let chosen = rng.random_range(0..members.len());
            let (_, member) = members.iter_mut().nth(chosen).unwrap();
            mutate(member, rng);
        }
        Value::Array(items) if !items.is_empty() => {
            let chosen = rng.random_range(0..items.len());
            mutate(&mut items[chosen], rng);
        }
        Value::String(text) if rng.random_bool(0.5) => {
            let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            text.insert_str(*ends.choose(rng).unwrap(), HOSTILE.choose(rng).unwrap());
        }
        Value::Bool(flag) => *flag = !*flag,
        other => *other = json!(HOSTILE.choose(rng).unwrap()),
    }
}

#[test]
fn no_event_ends_the_process() {
    const PARTS: [&str; 9] = [
        "headers",
        "multiValueHeaders",
        "path",
        "rawPath",
        "rawQueryString",
        "body",
        "isBase64Encoded",
        "requestContext",
        "queryStringParameters",
    ];
    let events: Vec<Value> = SAMPLES.into_iter().flat_map(both_versions).collect();
    let mut rng = StdRng::seed_from_u64(94);
    let mut statuses = [0, 0];
    for _ in 0..4000 {
        let mut event = events.choose(&mut rng).unwrap().clone();
        for _ in 0..rng.random_range(1..4) {
            let part = PARTS.choose(&mut rng).unwrap();
            if let Some(part) = event.get_mut(part) {
                mutate(part, &mut rng);
            }
        }
        let answered = catch_unwind(AssertUnwindSafe(|| answer(&event)));
        let answered = answered.unwrap_or_else(|_| panic!("the process ends at {event}"));
        match answered["statusCode"].as_u64() {
            Some(200) => statuses[0] += 1,
            Some(400) => statuses[1] += 1,
            other => panic!("{other:?} for {event}"),
        }
    }
    assert!(statuses.into_iter().all(|count| count > 500), "{statuses:?}");
}

#[test]
fn the_address_of_a_client_is_that_of_the_request_context_and_of_no_header() {
    let handler = service_fn(async |request: Request| {
        let address = runtime::gateway::source_address(&request);
        Ok::<_, Error>(format!("{:?}", address.map(|SourceAddress(address)| address)))
    });
    let mut service = gateway::service(handler);
    for mut event in both_versions(SAMPLES[0]) {
        event["headers"]["X-Forwarded-For"] = json!("192.0.2.9");
        for (address, expected) in [(json!("192.0.2.1"), "Some(192.0.2.1)"), (Value::Null, "None")] {
            event["requestContext"]["identity"]["sourceIp"] = address.clone();
            if event.get("rawPath").is_some() {
                event["requestContext"]["http"]["sourceIp"] = address;
            }
            let payload = serde_json::from_str(&event.to_string()).unwrap();
            let answer = service.call(LambdaEvent::new(payload, Context::default())).now_or_never().unwrap();
            let answer = serde_json::to_value(answer.unwrap()).unwrap();
            assert_eq!(answer["body"], expected, "{event}");
        }
    }
}

#[test]
fn the_base_url_has_the_host_and_the_stage_or_the_base_path() {
    let handler = service_fn(async |request: Request| {
        Ok::<_, Error>(runtime::gateway::base_url(&request).unwrap_or_default())
    });
    let mut service = gateway::service(handler);
    for (host, called, expected) in [
        (json!(["a.example.com"]), json!("/v1/health"), "https://a.example.com/v1"),
        (json!(["a.example.com"]), json!("/health"), "https://a.example.com"),
        (json!(["a.example.com:8443"]), json!("/base/path/health"), "https://a.example.com:8443/base/path"),
        (json!(["a.example.com"]), json!("/v1/other"), ""),
        (json!(["a.example.com"]), Value::Null, ""),
        (json!([]), json!("/v1/health"), ""),
    ] {
        let mut event: Value = serde_json::from_str(SAMPLES[0]).unwrap();
        event["path"] = json!("/health");
        event["multiValueHeaders"]["Host"] = host;
        event["requestContext"]["path"] = called;
        let payload = serde_json::from_str(&event.to_string()).unwrap();
        let answer = service.call(LambdaEvent::new(payload, Context::default())).now_or_never().unwrap();
        let answer = serde_json::to_value(answer.unwrap()).unwrap();
        assert_eq!(answer["body"], expected, "{event}");
    }
}

/// Sends a raw event to a function.
type Send = fn(&[u8]);

/// The functions, by the folder of `fuzz/seeds` with their events.
const FUNCTIONS: [(&str, Send); 6] = [
    ("gateway_ingest", raw_gateway::ingest),
    ("gateway_api", raw_gateway::api),
    ("consumer", queues::consumer),
    ("delivery", queues::delivery),
    ("scheduler", schedule::scheduler),
    ("drain", queues::drain),
];

/// Mutates a text that is JSON itself, as the body of a message is; mutates any other value as [`mutate`] does.
fn mutate_deeply(value: &mut Value, rng: &mut StdRng) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let chosen = rng.random_range(0..members.len());
            members.values_mut().nth(chosen).into_iter().for_each(|member| mutate_deeply(member, rng));
        }
        Value::Array(items) if !items.is_empty() => {
            let chosen = rng.random_range(0..items.len());
            mutate_deeply(&mut items[chosen], rng);
        }
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(mut inner) => {
                mutate(&mut inner, rng);
                *text = inner.to_string();
            }
            Err(_) => mutate(value, rng),
        },
        _ => mutate(value, rng),
    }
}

#[test]
fn no_raw_event_ends_a_function() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    let mut rng = StdRng::seed_from_u64(108);
    for (name, send) in FUNCTIONS {
        let mut files: Vec<_> =
            fs::read_dir(seeds.join(name)).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let events: Vec<Value> =
            files.iter().map(|file| serde_json::from_slice(&fs::read(file).unwrap()).unwrap()).collect();
        let untouched = events.iter().cloned();
        let mutated = (0..400).map(|_| {
            let mut event = events.choose(&mut rng).unwrap().clone();
            for _ in 0..rng.random_range(1..4) {
                mutate_deeply(&mut event, &mut rng);
            }
            event
        });
        for event in untouched.chain(mutated) {
            let sent = catch_unwind(|| send(event.to_string().as_bytes()));
            assert!(sent.is_ok(), "{name} ends at {event}");
        }
    }
}

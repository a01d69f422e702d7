//! `cargo dev listen`: what it shows, how it answers, and what becomes of its endpoint.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use dev::options::Options;
use dev::stack::Stack;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::running::Running;
use crate::support::target::{Request, Target};
use crate::support::{state_dir::StateDir, text, wait_for};

/// The stack of these stories, and its state directory. Each story has event types of its own.
static STACK: LazyLock<(Stack, PathBuf)> = LazyLock::new(|| {
    let options = Options { keeps_state: true, ..Options::isolated("listen") };
    (Stack::start(&options).expect("a stack"), options.dir)
});

fn call(method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let summary = STACK.0.summary();
    let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", summary.url));
    let request = request.header("x-api-key", &summary.api_key).header("content-type", "application/json");
    let request = request.body(body.map(Value::to_string).unwrap_or_default()).unwrap();
    let agent = ureq::Agent::from(ureq::Agent::config_builder().http_status_as_error(false).build());
    let mut answer = agent.run(request).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_default())
}

fn post_event(event_type: &str, payload: &Value) -> String {
    let (status, accepted) =
        call("POST", "/api/events", Some(&json!({"type": event_type, "payload": payload})));
    assert_eq!(status, 202, "{accepted}");
    accepted["id"].as_str().unwrap().to_owned()
}

fn create_endpoint(url: &str, description: &str) -> String {
    let body = json!({"url": url, "description": description, "event_types": ["nothing.comes"]});
    let (status, created) = call("POST", "/api/endpoints", Some(&body));
    assert_eq!(status, 201, "{created}");
    created["id"].as_str().unwrap().to_owned()
}

fn exists(endpoint: &str) -> bool {
    match call("GET", &format!("/api/endpoints/{endpoint}"), None).0 {
        200 => true,
        404 => false,
        other => panic!("{other}"),
    }
}

/// Returns the result of a `listen` that ends by itself.
fn fail(args: &[&str]) -> String {
    let output = command(args).output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{}", text(&output.stdout));
    text(&output.stderr)
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dev"));
    command.arg("listen").args(args).arg("--dir").arg(&STACK.1);
    command
}

/// A running `listen`.
struct Listener {
    running: Running,
    url: String,
    endpoint: String,
}

impl Listener {
    fn start(args: &[&str]) -> Self {
        let running = Running::start(&mut command(args));
        let notes = running.read_until("Ctrl-C ends and removes the endpoint");
        let request = notes.iter().find_map(|line| line.strip_prefix("POST /api/endpoints ")).unwrap();
        let request: Value = serde_json::from_str(request).unwrap();
        assert_eq!(request["description"], "cargo dev listen");
        let url = request["url"].as_str().unwrap().to_owned();
        let endpoint =
            notes.iter().find_map(|line| line.strip_prefix("created the endpoint ")).unwrap().to_owned();
        Self { running, url, endpoint }
    }

    /// Reads the lines of the next webhook, up to one with a text.
    fn read_until(&self, text: &str) -> String {
        self.running.read_until(text).join("\n")
    }

    /// Sends a request to it. Returns the status and the text of the answer.
    fn post(&self, request: &Request, changed: &[(&str, &str)]) -> (u16, String) {
        let mut post = ureq::post(&self.url).config().http_status_as_error(false).build();
        for name in
            ["webhook-id", "webhook-timestamp", "webhook-signature", "webhook-attempt", "x-event-type"]
        {
            let other = changed.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
            if let Some(value) = other.or(request.header(name)).filter(|value| !value.is_empty()) {
                post = post.header(name, value);
            }
        }
        let mut answer = post.send(&request.body).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }
}

#[test]
fn a_webhook_is_shown_as_verified_and_ctrl_c_and_sigterm_remove_the_endpoint() {
    for signal in ["INT", "TERM"] {
        let wanted = format!("shown.{}", signal.to_lowercase());
        let mut listener = Listener::start(&["--types", &format!("other.type,{wanted}")]);
        assert!(exists(&listener.endpoint));
        post_event("shown.not", &json!({}));
        let id = post_event(&wanted, &json!({"a": "b  c\u{1b}[31m", "long": "x".repeat(300)}));

        let shown = listener.read_until(r#"{"a""#);
        let (first, payload) = shown.split_once('\n').unwrap();
        assert!(first.ends_with(&format!("  {wanted}  {id}  attempt 1  verified")), "{shown}");
        assert!(payload.starts_with(r#"    {"a":"b c\u001b[31m","long":"xxx"#), "{shown}");
        assert!(payload.ends_with("x... (332 bytes)"), "{shown}");
        assert!(!shown.contains('\u{1b}'), "no colours in a pipe: {shown}");

        assert!(listener.running.end_by(signal).success());
        assert_eq!(listener.running.read_until("removed"), ["removed the endpoint"]);
        assert!(!exists(&listener.endpoint));
    }
}

#[test]
fn a_closed_pipe_ends_it_and_removes_the_endpoint() {
    let script = "\"$0\" listen --json --types 'piped.*' --dir \"$1\" | head -n 1";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_dev")]).arg(&STACK.1);
    let running = Running::start(&mut shell);
    running.read_until("Ctrl-C ends");
    post_event("piped.first", &json!({}));
    running.read_until("piped.first");
    post_event("piped.second", &json!({}));
    let last = running.read_until("removed the endpoint");
    assert_eq!(last.len(), 1, "{last:?}");
}

#[test]
fn json_has_the_payload_as_it_was_sent_and_the_mark_of_a_replay() {
    let listener = Listener::start(&["--json", "--types", "json.*"]);
    let id = post_event("json.made", &json!(1));
    let parse =
        |line: String| serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let first = parse(listener.read_until("payload"));
    assert_eq!((&first["id"], &first["type"]), (&json!(id), &json!("json.made")), "{first}");
    assert_eq!(
        (&first["attempt"], &first["verified"], &first["answered"]),
        (&json!(1), &json!(true), &json!(200))
    );
    assert_eq!(
        (&first["replay"], &first["reason"], &first["forwarded"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );

    let path = format!("/api/events/{id}/replay");
    wait_for("the delivery has ended", || call("POST", &path, None).0 == 202);
    let replayed = parse(listener.read_until("payload"));
    assert_eq!((&replayed["id"], &replayed["verified"]), (&json!(id), &json!(true)), "{replayed}");
    assert!(replayed["replay"].is_string(), "{replayed}");

    let (status, _) = call("POST", &format!("/api/endpoints/{}/test", listener.endpoint), None);
    assert_eq!(status, 200);
    assert_eq!(parse(listener.read_until("payload"))["verified"], true);
}

#[test]
fn a_forged_an_old_and_an_unsigned_webhook_are_refused_and_shown() {
    let target = Target::answering(&["200 OK"]);
    let listener = Listener::start(&["--types", "forged.*", "--forward", &target.url]);
    post_event("forged.not", &json!({"total": 1}));
    listener.read_until("forwarded to");
    let real = target.next();

    assert_eq!(listener.post(&real, &[]).0, 200, "the webhook itself verifies a second time");
    listener.read_until("forwarded to");
    target.next();

    let now: i64 = real.header("webhook-timestamp").unwrap().parse().unwrap();
    let (old, ahead) = ((now - 400).to_string(), (now + 900).to_string());
    let changed_body = Request { body: real.body.replace("\"total\":1", "\"total\":2"), ..real.clone() };
    assert_ne!(changed_body.body, real.body);
    let no_event = Request { body: "\u{1b}[2J\u{202e}hi".to_owned(), ..real.clone() };
    for (request, changed, status, reason) in [
        (&changed_body, ("", ""), 401, "no signature matches"),
        (&no_event, ("x-event-type", "forged.text"), 401, "no signature matches"),
        (&real, ("webhook-signature", "v1,AAAA"), 401, "no signature matches"),
        (&real, ("webhook-id", "evt_other"), 401, "no signature matches"),
        (&real, ("webhook-timestamp", old.as_str()), 401, "more than 5 minutes ago"),
        (&real, ("webhook-timestamp", ahead.as_str()), 401, "more than 5 minutes ahead"),
        (&real, ("webhook-timestamp", "soon"), 400, "not a number"),
        (&real, ("webhook-timestamp", ""), 400, "no header `webhook-timestamp`"),
        (&real, ("webhook-signature", ""), 400, "no header `webhook-signature`"),
        (&real, ("webhook-id", ""), 400, "no header `webhook-id`"),
    ] {
        let (answered, why) = listener.post(request, &[changed]);
        assert!(answered == status && why.contains(reason), "{changed:?}: {answered} {why}");
        let shown = listener.read_until(&format!("answered {status}"));
        assert!(shown.contains("NOT VERIFIED: ") && shown.contains(reason), "{shown}");
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
    }
    assert_eq!(
        ureq::post(&format!("{}x", listener.url)).send("").unwrap_err().to_string(),
        "http status: 404"
    );

    post_event("forged.last", &json!(1));
    assert!(target.next().body.contains("forged.last"), "no forged webhook was forwarded before");
}

#[test]
fn a_webhook_is_forwarded_with_its_headers_and_answered_as_the_target_answers() {
    let target = Target::answering(&["302 Found\r\nlocation: /", "204 No Content", LATER]);
    let listener = Listener::start(&["--types", "forwarded.*", "--forward", &target.url]);
    let id = post_event("forwarded.to", &json!({"total": 7}));
    let shown = listener.read_until("forwarded to");
    assert!(
        shown.contains("attempt 1  verified") && shown.contains(&format!("{}: 302 in ", target.url)),
        "{shown}"
    );
    let shown = listener.read_until("forwarded to");
    assert!(shown.contains("attempt 2  verified") && shown.contains(": 204 in "), "{shown}");
    wait_for("the delivery has succeeded", || delivery(&id)["state"] == "delivered");

    let request = target.next();
    assert!(request.head[0].starts_with("POST /hook?from=listen "), "{request:?}");
    assert_eq!(request.header("webhook-id"), Some(id.as_str()));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert!(
        request.header("webhook-signature").is_some() && request.body.contains(r#""payload":{"total":7}"#)
    );

    let id = post_event("forwarded.later", &json!({}));
    assert!(listener.read_until("forwarded to").contains(": 503 in "));
    wait_for("its first attempt is recorded", || delivery(&id)["attempts"] == 1);
    let next_at = OffsetDateTime::parse(delivery(&id)["next_at"].as_str().unwrap(), &Rfc3339).unwrap();
    assert!(next_at > OffsetDateTime::now_utc() + Duration::from_secs(1800), "`Retry-After` is passed on");
}

/// An answer that asks for a pause of an hour.
const LATER: &str = "503 Service Unavailable\r\nretry-after: 3600";

/// Returns the one delivery of an event.
fn delivery(event: &str) -> Value {
    call("GET", &format!("/api/events/{event}"), None).1["deliveries"][0].take()
}

#[test]
fn a_target_that_is_dead_is_said_and_answered_with_502() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listener = Listener::start(&["--types", "dead.*", "--forward", &format!("http://{free}/hook")]);
    post_event("dead.target", &json!({}));
    let shown = listener.read_until("forwarded");
    assert!(
        shown.contains("verified") && shown.contains(&format!("not forwarded to http://{free}/hook: ")),
        "{shown}"
    );
    assert!(shown.ends_with("; answered 502"), "{shown}");
    let error = fail(&["--forward", "https://example.com"]);
    assert!(error.contains("--forward must be an http:// URL, not `https://example.com`"), "{error}");
}

#[test]
fn the_endpoint_of_a_killed_listen_is_removed_by_the_next_and_no_other_endpoint_is() {
    let mut killed = Listener::start(&["--types", "killed.*"]);
    let (running, stopped) =
        (Listener::start(&["--types", "killed.a"]), Listener::start(&["--types", "killed.b"]));
    killed.running.end_by("KILL");
    stopped.running.signal("STOP");

    // Another program has the port of a dead `listen` now.
    let other = Target::answering(&["200 OK"]);
    let reused = create_endpoint(&other.url, "cargo dev listen");
    // The paths of a running `listen` that had the port before.
    let earlier = create_endpoint(&format!("{}0", running.url), "cargo dev listen");
    // Endpoints of the owner, where nothing listens.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let own = create_endpoint(&format!("http://{free}/own"), "mine");
    let remote = create_endpoint("https://example.com/hook", "cargo dev listen");

    let next = Listener::start(&["--types", "killed.c"]);
    for gone in [&killed.endpoint, &reused, &earlier] {
        assert!(!exists(gone), "{gone}");
    }
    for kept in [&running.endpoint, &stopped.endpoint, &next.endpoint, &own, &remote] {
        assert!(exists(kept), "{kept}");
    }
    for removed in [&own, &remote] {
        call("DELETE", &format!("/api/endpoints/{removed}"), None);
    }
    stopped.running.signal("CONT");
}

#[test]
fn a_type_that_the_api_refuses_and_a_stack_that_does_not_run_are_said() {
    let error = fail(&["--types", ""]);
    assert!(error.contains("422 `/event_types/0` is not valid: a pattern must have 1 to 255"), "{error}");
    let types: Vec<String> = (0..51).map(|n| format!("many.{n}")).collect();
    let error = fail(&["--types", &types[..30].join(","), "--types", &types[30..].join(",")]);
    assert!(error.contains("422 ") && error.contains("50"), "{error}");

    let nowhere = StateDir::new("nowhere");
    let output = nowhere.run(&["listen"]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("Start one with `cargo dev`"), "{}", text(&output.stderr));
}

#[test]
fn a_connection_that_says_nothing_delays_no_webhook() {
    let listener = Listener::start(&["--types", "silent.*"]);
    let address = listener.url.trim_start_matches("http://").split('/').next().unwrap();
    let mut silent = std::net::TcpStream::connect(address).unwrap();
    silent.write_all(b"POST / HTTP/1.1\r\n").unwrap();
    post_event("silent.not", &json!({}));
    listener.read_until("verified");
    drop(listener);
    let _closed = silent.read(&mut [0]);
}

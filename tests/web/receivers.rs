//! The receivers of `examples/receivers`: each gets a real webhook of the stack, and refuses forged ones.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;
use standardwebhooks::Webhook;

use crate::api::{Api, send};
use crate::tools::{Server, build_example, eventually, find_free_port, is_found, output_of, python, root};
use crate::{node, stack};

fn folder() -> PathBuf {
    root().join("examples/receivers")
}

/// The receivers that keep no ids, and say where a program would.
const DUPLICATES_ARE_A_COMMENT: [&str; 2] = ["library", "php"];

/// Returns the seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the receivers compare timestamps with the clock of the machine"
)]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time");
    i64::try_from(since.as_secs()).expect("a time")
}

/// A webhook that is signed with the secret of the receiver.
struct Forgery<'a> {
    id: &'a str,
    timestamp: i64,
    body: &'a str,
}

impl Forgery<'_> {
    fn signature(&self, secret: &str) -> String {
        let webhook = Webhook::new(secret).expect("a secret");
        webhook.sign(self.id, self.timestamp, self.body.as_bytes()).expect("a signature")
    }

    /// Sends it with this signature and this body. Returns the status.
    fn send(&self, url: &str, signature: &str, body: &str) -> u16 {
        let timestamp = self.timestamp.to_string();
        let headers = [
            ("content-type", "application/json"),
            ("webhook-id", self.id),
            ("webhook-timestamp", timestamp.as_str()),
            ("webhook-signature", signature),
        ];
        send("POST", url, &headers, body).0
    }
}

/// Starts a receiver, and tries everything.
fn check(name: &str, command: impl FnOnce(u16) -> Command) {
    let (port, secret) = (find_free_port(), format!("whsec_{}", BASE64.encode(rand::random::<[u8; 32]>())));
    let mut command = command(port);
    command.env("PORT", port.to_string()).env("WEBHOOK_SECRET", &secret);
    let server = Server::start(name, port, &mut command);
    let url = format!("http://127.0.0.1:{port}/webhooks");

    // A real webhook is answered with 200. Its work is done once.
    let api = Api::sign_up(name);
    api.call("POST", "/api/endpoints", &json!({"url": url, "secret": secret}));
    let id = api.post("order.created", &json!({"order": "A-1042", "name": "Zoë"}));
    api.wait_for(&id, "delivered");
    let received = format!("received order.created {id}");
    let times = || server.written().replace('"', "").matches(&received).count();
    eventually("the receiver says what it received", || (times() == 1).then_some(()));

    // So is a webhook that the library of the specification signs, one with an older signature beside it, and a retry.
    let body =
        r#"{"id":"evt_1","type":"order.paid","created_at":"2026-11-29T16:53:39.057Z","payload":{"a":1.50}}"#;
    let genuine = Forgery { id: "evt_1", timestamp: now(), body };
    let signature = genuine.signature(&secret);
    let other = genuine.signature(&format!("whsec_{}", BASE64.encode([7; 32])));
    assert_eq!(genuine.send(&url, &signature, body), 200);
    assert_eq!(genuine.send(&url, &format!("{other} v1a,AAAA {signature}"), body), 200, "a rotation");
    let old = Forgery { timestamp: now() - 240, ..genuine };
    assert_eq!(old.send(&url, &old.signature(&secret), body), 200, "the clocks may differ by five minutes");

    // Everything else is refused.
    let changed = body.replace("1.50", "1.5");
    assert_eq!(genuine.send(&url, &signature, &changed), 400, "another body");
    assert_eq!(genuine.send(&url, &other, body), 400, "another secret");
    assert_eq!(genuine.send(&url, &signature.replace("v1,", "v1a,"), body), 400, "another scheme");
    assert_eq!(genuine.send(&url, signature.trim_start_matches("v1,"), body), 400, "no scheme");
    assert_eq!(genuine.send(&url, &signature[..signature.len() - 4], body), 400, "a part of the signature");
    assert_eq!(genuine.send(&url, "v1,", body), 400, "an empty signature");
    assert_eq!(genuine.send(&url, "", body), 400, "no signature");
    for age in [360, -360] {
        let forgery = Forgery { timestamp: now() - age, ..genuine };
        assert_eq!(forgery.send(&url, &forgery.signature(&secret), body), 400, "{age} s old");
        assert_eq!(forgery.send(&url, &signature, body), 400, "the signature of another time");
    }
    let renamed = Forgery { id: "evt_2", ..genuine };
    assert_eq!(renamed.send(&url, &signature, body), 400, "another id");
    assert_eq!(send("POST", &url, &[], body).0, 400, "no headers");
    assert_eq!(times(), 1);
    let retries = server.written().replace('"', "").matches("received order.paid evt_1").count();
    assert_eq!(retries, if DUPLICATES_ARE_A_COMMENT.contains(&name) { 3 } else { 1 });
}

fn in_folder(program: impl AsRef<Path>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program.as_ref());
    command.args(arguments).current_dir(folder());
    command
}

/// Builds the receiver in Go. With `go run` the program would live on when `go` is ended.
fn build_in_go() -> PathBuf {
    let _turn = stack::take_turn();
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("receiver-go");
    output_of(in_folder("go", &["build", "-o"]).arg(&binary).arg("go/receiver.go"));
    binary
}

#[test]
fn the_receivers_in_python_take_real_webhooks_and_refuse_forged_ones() {
    check("python", |_| in_folder(python(), &["python/receiver.py"]));
    check("library", |_| in_folder(python(), &["python/library.py"]));
}

#[test]
fn the_receiver_in_javascript_takes_real_webhooks_and_refuses_forged_ones() {
    if node::is_found("the receiver in JavaScript does not run") {
        check("javascript", |_| in_folder("node", &["javascript/receiver.mjs"]));
    }
}

#[test]
fn the_receiver_in_go_takes_real_webhooks_and_refuses_forged_ones() {
    if is_found("go", "the receiver in Go does not run") {
        let binary = build_in_go();
        check("go", |_| in_folder(&binary, &[]));
    }
}

#[test]
fn the_receiver_in_ruby_takes_real_webhooks_and_refuses_forged_ones() {
    if is_found("ruby", "the receiver in Ruby does not run") {
        check("ruby", |_| in_folder("ruby", &["ruby/receiver.rb"]));
    }
}

#[test]
fn the_receiver_in_php_takes_real_webhooks_and_refuses_forged_ones() {
    if is_found("php", "the receiver in PHP does not run") {
        check("php", |port| in_folder("php", &["-S", &format!("127.0.0.1:{port}"), "php/receiver.php"]));
    }
}

#[test]
fn the_receiver_in_rust_takes_real_webhooks_and_refuses_forged_ones() {
    let binary = build_example("receivers/rust", "receiver");
    check("rust", |_| in_folder(&binary, &[]));
}

#[test]
fn no_receiver_starts_or_answers_with_an_empty_secret() {
    let mut commands = vec![in_folder(python(), &["python/receiver.py"])];
    commands.push(in_folder(build_example("receivers/rust", "receiver"), &[]));
    if node::is_found("the receiver in JavaScript does not run") {
        commands.push(in_folder("node", &["javascript/receiver.mjs"]));
    }
    if is_found("ruby", "the receiver in Ruby does not run") {
        commands.push(in_folder("ruby", &["ruby/receiver.rb"]));
    }
    if is_found("go", "the receiver in Go does not run") {
        commands.push(in_folder(build_in_go(), &[]));
    }
    for mut command in commands {
        let output = command.env("WEBHOOK_SECRET", "whsec_").env("PORT", "0").output().expect("it ends");
        assert!(!output.status.success(), "{command:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("set WEBHOOK_SECRET"),
            "{command:?}: {output:?}"
        );
    }
    if is_found("php", "the receiver in PHP does not run") {
        let port = find_free_port();
        let address = format!("127.0.0.1:{port}");
        let mut command = in_folder("php", &["-S", &address, "php/receiver.php"]);
        let _server = Server::start("php-without-secret", port, command.env("WEBHOOK_SECRET", "whsec_"));
        let (status, text) = send("POST", &format!("http://{address}/"), &[], "{}");
        assert!(status == 500 && text.starts_with("set WEBHOOK_SECRET"), "{status} {text}");
    }
}

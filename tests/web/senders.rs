//! The senders of `examples/senders`: the event of each arrives once, and a refused or unanswered request is repeated.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::api::Api;
use crate::node;
use crate::scripted::answer_by;
use crate::tools::{build_example, output_of, python, root};

fn sender(program: impl Into<PathBuf>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program.into());
    command.args(arguments).current_dir(root().join("examples/senders"));
    command
}

/// Returns the senders that can run here, each by its name.
fn senders() -> Vec<(&'static str, Command)> {
    let mut senders = vec![
        ("curl", sender("curl/send.sh", &[])),
        ("python", sender(python(), &["python/send.py"])),
        ("rust", sender(build_example("senders/rust", "sender"), &[])),
    ];
    if node::is_found("the sender in JavaScript does not run") {
        senders.push(("javascript", sender("node", &["javascript/send.mjs"])));
    }
    senders
}

fn find_id(said: &str) -> String {
    let words = said.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .into_iter()
        .find(|word| word.starts_with("evt_"))
        .unwrap_or_else(|| panic!("no id: {said}"))
        .to_owned()
}

#[test]
fn the_event_of_every_sender_arrives_and_a_second_run_sends_no_second_event() {
    let api = Api::sign_up("senders");
    let sender_key = api.with_scopes(&["events:write"]);
    let cloud_event = ("cloudevents", sender(python(), &["cloudevents/send.py"]));
    let senders: Vec<_> = senders().into_iter().chain([cloud_event]).collect();
    let count = senders.len();
    for (name, mut command) in senders {
        let command = command.arg(format!("{name}-1")).envs(sender_key.variables());
        let first = output_of(command);
        assert!(first.starts_with("accepted"), "{name}: {first}");
        // The data of a CloudEvent has another time in the second run, which its source and id do not care about.
        assert_eq!(find_id(&output_of(command)), find_id(&first), "{name}");
    }
    for event in api.stored(count) {
        let payload = if event["payload"]["specversion"] == "1.0" {
            &event["payload"]["data"]
        } else {
            &event["payload"]
        };
        assert_eq!(event["type"], "order.created");
        assert_eq!(payload["order"], "A-1042", "{event}");
        assert_eq!(payload["total"].as_f64(), Some(79.9), "{event}");
    }
    assert_eq!(api.statuses().len(), count);
}

#[test]
fn every_sender_repeats_what_was_refused_for_now_and_takes_a_409_as_a_success() {
    for (name, mut command) in senders() {
        let (url, bodies) = answer_by(vec![Some(429), Some(503), Some(409)]);
        let said = output_of(command.arg("order-7").env("URL", url).env("KEY", "k"));
        assert!(said.contains("accepted") && said.contains("evt_1"), "{name}: {said}");
        let bodies: Vec<Value> = bodies.iter().collect();
        assert_eq!(bodies.len(), 3, "{name}");
        assert!(
            bodies.iter().all(|body| body["dedup_id"] == "order-7" && *body == bodies[0]),
            "{name}: {bodies:?}"
        );
    }
}

#[test]
fn every_sender_repeats_a_request_without_an_answer() {
    for (name, mut command) in senders() {
        let (url, bodies) = answer_by(vec![None, Some(202)]);
        output_of(command.env("URL", url).env("KEY", "k"));
        assert_eq!(bodies.iter().count(), 2, "{name}");
    }
}

#[test]
fn no_sender_repeats_what_is_refused_for_good() {
    for (name, mut command) in senders() {
        let (url, bodies) = answer_by(vec![Some(422)]);
        let output = command.env("URL", url).env("KEY", "k").output().expect("it ends");
        assert!(!output.status.success(), "{name}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("422") && said.contains("wait"), "{name}: {said}");
        assert_eq!(bodies.iter().count(), 1, "{name}");
    }
}

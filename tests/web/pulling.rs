//! The worker of `examples/worker` against an inbox.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::api::Api;
use crate::tools::{output_of, python, root};

/// Returns the worker, which ends when no event is free.
fn worker(api: &Api, command: &[&str]) -> Command {
    let mut worker = Command::new(python());
    worker.arg(root().join("examples/worker/worker.py")).arg("--until-empty").args(command);
    worker.envs(api.with_scopes(&["inbox:ack"]).variables()).env("RELEASE_DELAY_SECONDS", "3600");
    worker
}

fn post(api: &Api, count: usize) -> Vec<String> {
    let ids = (1..=count).map(|n| api.post("order.created", &json!({"order": n}))).collect();
    api.stored(count);
    ids
}

#[test]
fn two_workers_empty_an_inbox_and_do_each_event_once() {
    let api = Api::sign_up("workers");
    let ids = post(&api, 25);
    let workers = [(), ()].map(|()| {
        let mut worker = worker(&api, &[]);
        worker.stdout(std::process::Stdio::piped()).spawn().expect("it starts")
    });
    let said = workers.map(|worker| worker.wait_with_output().expect("it ends").stdout);
    let said = String::from_utf8(said.concat()).expect("text");
    for id in &ids {
        assert_eq!(said.matches(id.as_str()).count(), 1, "{id} in {said}");
    }
    assert!(api.statuses().values().all(|status| status == "acked"), "{:?}", api.statuses());
}

#[test]
fn an_event_whose_command_fails_is_released_and_the_others_are_acknowledged() {
    let api = Api::sign_up("a failing command");
    let ids = post(&api, 3);
    output_of(&mut worker(&api, &["sh", "-c", "! grep '\"order\": 2'"]));
    let statuses = api.statuses();
    let statuses: Vec<&str> = ids.iter().map(|id| statuses[id].as_str()).collect();
    assert_eq!(statuses, ["acked", "pending", "acked"]);
    let lease = api.call("POST", "/api/inbox/lease", &json!({}));
    assert_eq!(lease["results"], json!([]), "it is released with a delay");
}

#[test]
fn a_command_that_takes_longer_than_the_lease_keeps_its_event() {
    let api = Api::sign_up("a slow command");
    let ids = post(&api, 2);
    let done = Path::new(env!("CARGO_TARGET_TMPDIR")).join("slow-command");
    let _absent = fs::remove_file(&done);
    let script = format!("cat >> '{}'; echo >> '{0}'; sleep 4", done.display());
    let said = output_of(worker(&api, &["sh", "-c", &script]).env("LEASE_SECONDS", "3"));
    assert!(!said.contains("has ended"), "{said}");
    let done: Vec<Value> = fs::read_to_string(&done)
        .expect("a file")
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event"))
        .collect();
    assert_eq!(done.len(), ids.len(), "each was done once");
    assert!(api.statuses().values().all(|status| status == "acked"), "{:?}", api.statuses());
}
